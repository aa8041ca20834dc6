"""The stand-in's folder: what a client of StarCraft II looks for, and what a test asks about its games."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from envproxy.maps.smac import names
from tests.starcraft.battle import Battles
from tests.starcraft.faults import Fault, write_faults
from tests.starcraft.launches import launches

BUILD: Final = 75689  # of StarCraft II 4.10.0
PROGRAM: Final = f"Versions/Base{BUILD}/SC2_x64"
_ROOT: Final = Path(__file__).parents[2]


def make_installation(folder: Path, maps: Sequence[str] | None = None, faults: Sequence[Fault] = ()) -> Path:
    """Make an installation with these maps (None: all of SMAC's) in a folder that may not exist yet, and return it.

    A client finds it by SC2PATH. Its games have the `faults`; `write_faults` changes them between launches. `launches`
    tells which games there were. A test calls `end_games` when it is done.
    """
    program = folder / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text(_script())
    program.chmod(0o755)
    (folder / "Maps" / "SMAC_Maps").mkdir(parents=True)
    for name in (*names(), "32x32_flat") if maps is None else maps:
        (folder / "Maps" / "SMAC_Maps" / f"{name}.SC2Map").touch()
    write_faults(folder, faults)
    _compile_ahead()
    return folder


def end_games(folder: Path) -> None:
    """Kill all games that were launched out of the installation `folder` and still run."""
    for launch in launches(folder):
        launch.end()


def _script() -> str:
    """Return the program: the stand-in under the test's interpreter, whatever interpreter the client was set up for."""
    python, game, root = (shlex.quote(str(path)) for path in (sys.executable, _ROOT / "tests/starcraft/game.py", _ROOT))
    return f'#!/bin/sh\nunset PYTHONHOME\nPYTHONPATH={root}\nexport PYTHONPATH\nexec {python} -P {game} "$@"\n'


@functools.cache
def _compile_ahead() -> None:
    """Fill numba's cache, so that a game is ready in a second rather than in half a minute."""
    Battles("3m", 0).compile()
