"""What holds for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Machines are slow at times, and a test that fails should fail for everybody.
settings.register_profile("ours", deadline=None, derandomize=True)
settings.load_profile("ours")

_SYSTEM = Path(__file__).parent / "system"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of real processes: they wait much, and others can run meanwhile."""
    items.sort(key=lambda item: _SYSTEM not in item.path.parents)
