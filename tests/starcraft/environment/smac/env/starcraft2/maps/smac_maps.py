"""The maps under SMAC's names. They come from the test's process, for this runs under the worker's interpreter."""

from __future__ import annotations

import json
import os
from typing import Any

from pysc2.maps import lib

from smac.env.starcraft2 import MAP_SIZES


def get_smac_map_registry() -> dict[str, Any]:
    """Return the maps by name, with their sizes."""
    registry: dict[str, Any] = json.loads(os.environ[MAP_SIZES])
    return registry


for _name, _sizes in get_smac_map_registry().items():
    globals()[_name] = type(_name, (lib.Map,), {"directory": "SMAC_Maps", "filename": _sizes["file"], "players": 2})
