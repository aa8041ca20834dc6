"""What of StarCraft II and SMAC is installed: told in a line each before any game is started."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from envproxy.backend import BackendFailedError
from envproxy.backends.smac.game_map import game_map
from envproxy.backends.smac.options import INTERPRETER, GameOptions
from envproxy.backends.smac.probe import REQUIREMENTS
from envproxy.maps import battle_map

_PROBE: Final = Path(__file__).with_name("probe.py")
_PROBE_LIMIT: Final = 120.0  # seconds; the first import of an environment on a slow disk
_EXPECTED: Final = (
    f"expected Python 3.8 or newer with what is in {REQUIREMENTS}; name it in {INTERPRETER}, or as python=... in "
    "backend-options"
)


@dataclass(frozen=True)
class Found:
    """One thing that a game needs: how it is, and what to do where it is not right."""

    what: str
    is_right: bool
    says: str
    is_needed: bool = True  # else games can be played without it


@dataclass(frozen=True)
class Installation:
    """What was found, in the order in which it is needed, up to the first thing that is needed and not right."""

    found: tuple[Found, ...]
    provenance: Mapping[str, str]

    def require(self) -> None:
        """Raise BackendFailedError, with what to do, unless games can be played."""
        for each in self.found:
            if each.is_needed and not each.is_right:
                raise BackendFailedError(f"{each.what}: {each.says}")


def find_installation(
    options: GameOptions, map_name: str, game_version: str, other_maps: Sequence[str] = ()
) -> Installation:
    """Ask the workers' interpreter what it has, and the machine for the game. It takes about a second.

    `other_maps` are looked for, too, and not needed; those that another package plays are not.
    """
    one = game_map(battle_map(map_name))
    asked_for = {"package": one.package, "registered": one.registered, "file": one.file}
    of_others = [game_map(battle_map(name)) for name in other_maps]
    others = sorted({other.file for other in of_others if other.package == one.package} - {one.file})
    try:
        asked = subprocess.run(
            [options.interpreter, str(_PROBE)],
            input=json.dumps({"map": map_name, **asked_for, "game_version": game_version, "other_files": others}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_LIMIT,
            check=False,
        )
    except OSError as error:
        why = "it is a folder" if Path(options.interpreter).is_dir() else error.strerror
        return _wrong(f"cannot run {options.interpreter}: {why}; {_EXPECTED}")
    except subprocess.TimeoutExpired:
        return _wrong(f"{options.interpreter} did not answer within {_PROBE_LIMIT:.0f} s; {_EXPECTED}")
    try:
        answer: dict[str, Any] = json.loads(asked.stdout)
        return Installation(tuple(Found(**each) for each in answer["found"]), answer["provenance"])
    except (ValueError, KeyError, TypeError):
        return _wrong(_why_no_answer(options.interpreter, asked))


def _wrong(says: str) -> Installation:
    return Installation((Found("worker's python", False, says),), {})


def _why_no_answer(interpreter: str, asked: subprocess.CompletedProcess[str]) -> str:
    if "module 'enum' has no attribute" in asked.stderr:
        return (
            f"{interpreter} has enum34 on its path, which hides Python's own enum; pip uninstall enum34, or take its "
            "folder off PYTHONPATH: pysc2 asks for it and does not need it"
        )
    last = (asked.stderr.strip().splitlines() or ["nothing"])[-1][:300]
    return f"{interpreter} does not say what it has (exit code {asked.returncode}; last words: {last}); {_EXPECTED}"
