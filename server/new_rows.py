"""Follows the metrics of a run that is played: looks often, and reads every row once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from server.run_directory import metrics_path, whole_rows


class NewRows:
    """What is added to a run directory's metrics.jsonl from one look to the next."""

    def __init__(self, path: Path) -> None:
        """`path` is the run directory; it may not be there yet."""
        self._path = metrics_path(path)
        self._file: int | None = None  # inode: a run that goes on from a checkpoint writes the file anew
        self._read = 0  # bytes
        self._rows = 0  # in them

    def look(self) -> list[dict[str, Any]]:
        """Return the whole rows since the last look. Of a file written anew, those beyond as many as were seen."""
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                seen = 0
                if status.st_ino != self._file or status.st_size < self._read:
                    self._file, self._read, seen, self._rows = status.st_ino, 0, self._rows, 0
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            return []
        whole = added[: added.rfind(b"\n") + 1]
        rows = whole_rows(whole.decode("utf-8", errors="replace"))
        self._read += len(whole)
        self._rows += len(rows)
        return rows[seen:]
