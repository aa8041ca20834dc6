"""The samples of a soak as files: a soak that is killed loses none, and they can be read while it runs."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from benchmarks.soak.census import Reading
from benchmarks.soak.faults import Fault
from benchmarks.soak.figures import Progress


class Record:
    """A folder with a CSV file of each kind of sample; the header of each names its columns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, rows: Iterable[NamedTuple]) -> None:
        """Write rows, all of one kind or of several, each to the end of its file."""
        for row in rows:
            path = self._path(type(row))
            new = not path.exists()
            with open(path, "a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(row._fields)
                writer.writerow(row)

    def readings(self) -> list[Reading]:
        return self._read(Reading)

    def progress(self) -> list[Progress]:
        return self._read(Progress)

    def faults(self) -> list[Fault]:
        return self._read(Fault)

    def _read(self, kind: type[Any]) -> list[Any]:
        """Return the rows of a kind; a last line that is being written is left out."""
        path = self._path(kind)
        if not path.exists():
            return []
        types = get_type_hints(kind)
        with open(path, newline="", encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        return [kind(**{name: types[name](value) for name, value in row.items()}) for row in csv.DictReader(lines)]

    def _path(self, kind: type[Any]) -> Path:
        return self._folder / f"{kind.__name__.lower()}.csv"
