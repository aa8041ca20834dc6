"""How games are run on this machine. Nothing of it changes what is played: that is in `envproxy.rules`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import ClassVar, Final

from envproxy.options import Options

INTERPRETER: Final = "PPS_SMAC_PYTHON"  # environment variable
_LONGEST_WAIT: Final = 86_400.0  # seconds


@dataclass(frozen=True)
class GameOptions(Options):
    """The setting `backend-options` of the backend smac. Times are in seconds. Raises OptionsError for a wrong one."""

    NOUN: ClassVar[str] = "backend-options"

    python: str = ""  # interpreter that has SMAC; "": that of PPS_SMAC_PYTHON, or our own
    start_timeout: float = 180.0  # until the first observation of a new game; pysc2 would wait 360
    step_timeout: float = 30.0  # of one environment step, or of the next battle of a game
    close_timeout: float = 5.0
    memory: int = 4096  # MiB of a game and its worker, from which on both are replaced after the battle

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start_timeout", "step_timeout", "close_timeout"):
            self.check(name, 0 < getattr(self, name) <= _LONGEST_WAIT, f"more than 0, at most {_LONGEST_WAIT:.0f}")
        self.check("memory", self.memory >= 1, "at least 1 (MiB)")

    @property
    def interpreter(self) -> str:
        """The program that runs workers."""
        return os.path.expanduser(self.python or os.environ.get(INTERPRETER) or sys.executable)
