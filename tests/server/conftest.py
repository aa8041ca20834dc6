"""Flower's messages, and no waiting between two polls."""

from __future__ import annotations

import pytest

import server.exchange
import server.seats


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, flower_identity: None) -> None:
    monkeypatch.setattr(server.exchange, "_PAUSE", 0.001)
    monkeypatch.setattr(server.exchange, "_POLL_EVERY", 0.0)
    monkeypatch.setattr(server.seats, "_PAUSE", 0.001)
