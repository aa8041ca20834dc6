"""Devices that start at once, as those of `pps-qmix train` do."""

from __future__ import annotations

import os
from pathlib import Path

from pps_qmix.runtime.preloaded.loaded import ENVIRONMENT
from pps_qmix.runtime.preloaded.supernode import loaded_command
from pps_qmix.runtime.processes import TELEMETRY_OFF, Part, wait_until_made
from tests.waiting import WAIT_LIMIT


class Preloaded:
    """A process that has loaded Flower and PyTorch, for devices of many federations: they are forks of it."""

    def __init__(self, folder: Path) -> None:
        (folder / "home").mkdir()
        self.socket = folder / "preloaded.sock"
        environment = {"FLWR_HOME": str(folder / "home"), **TELEMETRY_OFF, **ENVIRONMENT}
        self._part = Part("preloaded", loaded_command(self.socket, os.getpid()), folder / "loaded.log", environment)
        wait_until_made(self._part, self.socket, WAIT_LIMIT)

    def close(self) -> None:
        self._part.end()
