"""A film as one HTML page with its player: no network, no other file."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib import resources
from string import Template
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND
from envproxy.recording import NO_UNIT, Recording
from operations.colours import css_variables
from pps_qmix.viewer.appearance import DARK, HEALTH, LIGHT, OTHER_SIGN, SIGNS
from pps_qmix.viewer.film import Film, window_of

_SCRIPTS: Final = ("battle.js", "field.js", "panel.js", "strengths.js", "player.js")
_PER_CELL, _PER_POINT = 1024, 16  # what is rounded to: 1/1024 of a cell, 1/16 of a hit point
_CODED_NOBODY: Final = 255  # or no action


def make_page(film: Film) -> str:
    """Return the page."""
    return Template(_asset("viewer.html")).substitute(
        title=escape(film.title),
        map=escape(film.map_name),
        players=escape(film.players),
        colours=css_variables(LIGHT, DARK),
        style=_asset("viewer.css"),
        film=json.dumps(_film(film), separators=(",", ":")).replace("<", "\\u003c"),
        script="".join(_asset(name) for name in _SCRIPTS),
    )


def _asset(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _film(film: Film) -> dict[str, Any]:
    """What `battle.js` reads."""
    facts = film.facts
    return {
        "map": film.map_name,
        "agents": facts.n_agents,
        "kinds": [_kind(name, kind) for name, kind in zip(film.kind_names, facts.kinds, strict=True)],
        "pathable": ["".join(".#"[not cell] for cell in row) for row in facts.pathable],
        "healthColours": HEALTH,
        "firstTarget": facts.first_target,
        "looks": facts.looks.tolist(),
        "enemiesAim": any(_enemies_aim(film, recording) for recording in film.recordings),
        "secondsPerStep": int(facts.rules[0]["step_mul"]) / LOOPS_PER_SECOND,
        "battles": [_battle(film, recording) for recording in film.recordings],
    }


def _enemies_aim(film: Film, recording: Recording) -> bool:
    """Whether any enemy is shown with a target: StarCraft II does not tell theirs."""
    return bool((recording.frames["target"][:, film.facts.n_agents :] != NO_UNIT).any())


def _kind(name: str, kind: np.void) -> dict[str, Any]:
    return {
        "name": name,
        "radius": float(kind["radius"]),
        "health": float(kind["health"]),
        "shield": float(kind["shield"]),
        "energy": float(kind["max_energy"]),
        "heals": bool(kind["heal_range"] > 0.0),
        "burst": float(kind["burst"]),
        "layer": int(kind["layer"]),
        "sight": float(kind["sight"]),
        "reach": float(kind["reach"]),
        "sign": SIGNS.get(name, OTHER_SIGN),
    }


def _battle(film: Film, recording: Recording) -> dict[str, Any]:
    frames = recording.frames
    return {
        "outcome": recording.outcome,
        "steps": recording.steps,
        "units": recording.kinds.tolist(),
        "rewards": [round(float(reward), 3) for reward in recording.rewards],
        "window": [round(edge, 2) for edge in window_of(film, recording)],
        "columns": {
            "x": _shorts(frames["x"], _PER_CELL),
            "y": _shorts(frames["y"], _PER_CELL),
            "health": _shorts(frames["health"], _PER_POINT),
            "shield": _shorts(frames["shield"], _PER_POINT),
            "energy": _shorts(frames["energy"], _PER_POINT),
            "action": _bytes(frames["last_action"]),
            "target": _bytes(frames["target"]),
            "shotAt": _bytes(recording.shot_at()),
            "healing": _bytes(frames["healing"]),
        },
    }


def _shorts(values: NDArray[np.float32], per_unit: int) -> dict[str, Any]:
    """[T + 1, U] as uint16; rounded up, so that who is alive has health."""
    whole = np.ceil(values * per_unit - 1e-3).clip(0, 2**16 - 1).astype("<u2")
    return {"per": per_unit, "data": _text(whole, empty=0)}


def _bytes(values: NDArray[np.int16]) -> dict[str, Any]:
    """[T + 1, U] as uint8, with -1 as 255."""
    return {"per": 0, "data": _text(np.where(values < 0, _CODED_NOBODY, values).astype(np.uint8), empty=_CODED_NOBODY)}


def _text(values: NDArray[Any], empty: int) -> str:
    """Base64, or nothing where there is nothing to tell."""
    return "" if (values == empty).all() else base64.b64encode(values.tobytes()).decode()
