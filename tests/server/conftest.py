"""Flower's messages, and no waiting between two looks."""

from __future__ import annotations

import pytest
from flwr.supercore.task_identity import TaskIdentity

import server.rounds
import server.seats


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower builds messages only in a process that knows its run, as that of a ServerApp does."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.rounds, "_PAUSE", 0.001)
    monkeypatch.setattr(server.rounds, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(server.seats, "_PAUSE", 0.001)
