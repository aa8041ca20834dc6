"""What holds for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

_SYSTEM = Path(__file__).parent / "system"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of real processes: they wait much, and others can run meanwhile."""
    items.sort(key=lambda item: _SYSTEM not in item.path.parents)
