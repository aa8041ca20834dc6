"""What goes wrong in a game, on demand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

What: TypeAlias = Literal[
    "exit-at-start",  # prints `words` to stderr and exits with status 1, as a program does that cannot be loaded
    "never-listens",  # runs, but does not listen
    "ignores-sigterm",  # and nothing else is wrong: combine it with another fault
    "age",  # the game loops are counted from `loops`
    "late-units",  # after a spawn the last `units` of each side appear one game loop later
    "crash",  # prints `words` to stderr and aborts
    "hang",  # does not answer, and answers nothing after it
    "error",  # answers with the error `words` and does nothing; the next request is served
    "slow",  # sleeps `seconds` before it serves each one from `number` on
]

LAUNCH: Final = "launch"
# The faults that come `at` a request, or at the launch.
_AT_A_REQUEST: Final = ("crash", "hang", "error", "slow")
_AT_THE_LAUNCH: Final = ("exit-at-start", "never-listens", "ignores-sigterm")
_FILE: Final = "faults.json"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. Raises ValueError for one that could not come about.

    A crash, a hang, an error and slowness come at a request, which `at` and `number` name: Fault("crash", number=2) is
    a crash at the third RequestStep since the launch. at="launch" is before the game listens.
    """

    what: What
    launches: tuple[int, ...] = ()  # numbers of the launches that it hits, in order of start from 0; none: all
    map: str = ""  # "3m": only games of this map, which is known from create_game on; "": all
    at: str = "step"  # "launch", or a request's name in the API: "ping", "create_game", "join_game", "observation", ...
    number: int = 0  # which request of this name since the launch, from 0
    words: str = ""  # what it says: on stderr, or as the error
    units: int = 0
    loops: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.what not in get_args(What):
            raise ValueError(f"there is no fault {self.what!r}; there are {', '.join(get_args(What))}")
        if self.map and (self.what in _AT_THE_LAUNCH or self.at in (LAUNCH, "ping")):
            raise ValueError("a game's map is not known before create_game")
        if self.what == "error" and (self.at == LAUNCH or not self.words):
            raise ValueError("an error is the answer to a request, and has words")
        if self.what == "late-units" and self.units < 1:
            raise ValueError("late-units: expected how many, at least 1 of each side")

    def hits(self, map_name: str) -> bool:
        """Tell whether it hits a game of this map; "" is a game whose map is not known yet."""
        return self.map in ("", map_name)

    def comes_at(self, request: str, number: int, map_name: str) -> bool:
        """Tell whether it comes at the request of this name and number, from 0, in a game of this map."""
        if self.what not in _AT_A_REQUEST or self.at != request or not self.hits(map_name):
            return False
        return number >= self.number if self.what == "slow" else number == self.number


def write_faults(folder: Path, faults: Sequence[Fault]) -> None:
    """Let the games launched from now on out of the installation `folder` have these faults, instead of others."""
    new = folder / f"{_FILE}.new"
    new.write_text(json.dumps([dataclasses.asdict(fault) for fault in faults], indent=1))
    new.replace(folder / _FILE)  # whole: a game may be reading it


def read_faults(folder: Path, launch: int) -> list[Fault]:
    """Return the faults of the launch of this number."""
    written: list[dict[str, Any]] = json.loads((folder / _FILE).read_text())
    faults = [Fault(**{**fault, "launches": tuple(fault["launches"])}) for fault in written]
    return [fault for fault in faults if not fault.launches or launch in fault.launches]
