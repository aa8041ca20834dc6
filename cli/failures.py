"""The exceptions whose message is all that the user of a command is told."""

from __future__ import annotations

from typing import Final

from envproxy.backend import BackendFailedError
from envproxy.server import ProcessEndedError
from operations.home import HomeError
from operations.locks import InUseError
from pps_qmix.runtime.processes import PartFailedError
from server.rounds import RoundsError
from server.run_directory import NotKeptError, RunDirectoryError
from server.seats import SeatsError
from server.strategy_failure import StrategyFailedError

RUN_FAILURES: Final = (
    *(BackendFailedError, ProcessEndedError, PartFailedError),
    *(RoundsError, SeatsError, StrategyFailedError, HomeError, NotKeptError),
)
USAGE_ERRORS: Final = (ValueError, OSError, InUseError, RunDirectoryError)  # after RUN_FAILURES, which are some of them
