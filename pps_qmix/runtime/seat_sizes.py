"""A seat and its sizes, as its learner wants them, from the map's."""

from __future__ import annotations

from envproxy.backend import MapSpec
from learning.settings import SeatSpec


def seat_spec(spec: MapSpec, seat: int) -> SeatSpec:
    """Return what a learner of `seat` on a map is made for."""
    return SeatSpec(
        seat=seat,
        n_agents=spec.n_agents,
        obs_size=spec.obs_size,
        n_actions=spec.n_actions,
        episode_limit=spec.episode_limit,
    )
