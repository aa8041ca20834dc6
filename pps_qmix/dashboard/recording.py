"""Battles with the agents of a run that still plays: recorded on request, in a process of their own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from operations.tied import tied
from pps_qmix.run_pages import recording_command

_LIMIT: Final = 120.0  # seconds
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # the run needs the other cores


class RecordingError(Exception):
    """No battles can be recorded; the message says why."""


class Recordings:
    """The recorded battles of this process, in a folder of its own. One recording is made at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pps-qmix-dashboard-")
        self._one = asyncio.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._folder.cleanup()

    async def page(self, run: Path, checkpoint: Path) -> Path:
        """Return the page with battles of a run's agents since `checkpoint`, recorded if it is not there.

        Raises RecordingError, OSError if the checkpoint is gone.
        """
        made = checkpoint.stat().st_mtime_ns  # another run may get the same name
        page = Path(self._folder.name) / f"{made}-{checkpoint.name}.html"
        async with self._one:
            if not page.exists():
                await _record(recording_command(run, page))
        return page


async def _record(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *tied(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD},
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), _LIMIT)
    except TimeoutError:
        raise RecordingError(f"the battles are not recorded after {_LIMIT:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise RecordingError(lines[-1] if lines else f"the recording ended with exit code {process.returncode}")
