"""What holds for every test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from operations import logs

# Machines are slow at times, and a test that fails should fail for everybody.
settings.register_profile("ours", deadline=None, derandomize=True)
settings.load_profile("ours")

_SYSTEM = Path(__file__).parent / "system"


@pytest.fixture
def flower_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower builds messages only in a process that knows its run, as that of a ServerApp does."""
    from flwr.supercore.task_identity import TaskIdentity  # noqa: PLC0415 - most tests need no Flower

    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture(autouse=True)
def _logging_ends_with_its_command() -> Iterator[None]:
    """A command that was run in this very process would log what the tests after it do."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in [each for each in root.handlers if type(each).__module__ == logs.__name__]:
        root.removeHandler(handler)


def _duration(item: pytest.Item) -> float:
    marker = item.get_closest_marker("long")
    return 0.0 if marker is None else float(marker.args[0])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of tests/system, and start with those that take longest.

    pytest-xdist gives each worker two tests before any has run: beside one of the longest, one of the shortest.
    """
    for item in items:
        if _SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)
    items.sort(key=_duration, reverse=True)
    workers = int(getattr(config, "workerinput", {}).get("workercount", 0))
    if 0 < 2 * workers <= len(items):
        longest, others = items[:workers], items[workers:]
        shortest = [others.pop() for _ in longest]
        items[:] = [*(item for pair in zip(longest, shortest, strict=True) for item in pair), *others]
