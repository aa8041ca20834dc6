"""The data file: SMAC's maps, and the units and grids that they name; `generate.py` beside it writes it."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def facts() -> dict[str, Any]:
    """Return the data file: `maps`, `terrains`, `cliffs` and `units`, each by name. It is shared: do not change it."""
    data: dict[str, Any] = json.loads((resources.files(__package__) / "facts.json").read_text())
    return data
