"""What there is to show, before anybody decides how: the battles, the map, and the part of it to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.recording import Recording

_MARGIN = 2.0  # cells around the units, for what is drawn about them


@dataclass(frozen=True)
class Film:
    """Battles of one map, and who played them."""

    map_name: str
    players: str
    facts: MapFacts
    kind_names: Sequence[str]  # [K]
    recordings: Sequence[Recording]

    @property
    def title(self) -> str:
        return f"{self.map_name}, {self.players}"


class Window(NamedTuple):
    """A part of a map, in cells; y grows north."""

    west: float
    south: float
    east: float
    north: float


def window_of(film: Film, recording: Recording) -> Window:
    """Return the part of the map in which a battle takes place, from beginning to end."""
    height, width = film.facts.pathable.shape
    x, y = recording.frames["x"], recording.frames["y"]
    return Window(
        west=max(0.0, float(x.min()) - _MARGIN),
        south=max(0.0, float(y.min()) - _MARGIN),
        east=min(float(width), float(x.max()) + _MARGIN),
        north=min(float(height), float(y.max()) + _MARGIN),
    )


def verdict(recording: Recording, n_agents: int) -> str:
    """Return how a battle ended, in a line."""
    left = int((recording.frames["health"][-1, :n_agents] > 0.0).sum())
    return (
        f"{recording.outcome} after {recording.steps} steps, return {recording.rewards.sum():.2f}, "
        f"{left} of {n_agents} agents left"
    )
