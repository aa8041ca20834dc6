"""What a map is, in words: the units of both sides, and how hard SMAC's authors call it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from envproxy.maps import battle_map, map_names
from envproxy.maps.battle_map import DrawnTeams, Spawn

# The groups of SMAC's paper (Samvelyan et al., 2019, arXiv 1902.04043, results), and where its authors placed 3s_vs_3z
# and 3s_vs_4z, which only the paper's first version has (github.com/oxwhirl/smac, issue 52). It groups no other map.
_GROUPS: Final = {
    "easy": ("2s_vs_1sc", "2s3z", "3s5z", "1c3s5z", "10m_vs_11m", "3s_vs_3z", "3s_vs_4z"),
    "hard": ("2c_vs_64zg", "bane_vs_bane", "5m_vs_6m", "3s_vs_5z"),
    "super hard": ("3s5z_vs_3s6z", "6h_vs_8z", "27m_vs_30m", "MMM2", "corridor"),
}
_DIFFICULTY: Final = {name: group for group, names in _GROUPS.items() for name in names}
_PLURALS: Final = {"Colossus": "Colossi", "SpineCrawler": "Spine Crawlers"}
_SINGULARS: Final = {"SpineCrawler": "Spine Crawler"}


def difficulty(name: str) -> str | None:
    """Return `easy`, `hard` or `super hard`; None for a map that SMAC's authors did not group."""
    return _DIFFICULTY.get(name)


def units(name: str) -> str | None:
    """Return `3 Marines against 3 Marines`, or from what teams are drawn; None for a map of neither SMAC nor SMACv2."""
    if name not in map_names():
        return None
    one = battle_map(name)
    if isinstance(one.teams, DrawnTeams):
        shares = ", ".join(f"{100 * share:.0f} % {_plural(unit)}" for unit, share in one.teams.shares.items())
        return f"{one.n_agents} against {one.n_enemies}, drawn: {shares}"
    return f"{_counted(one.teams.allies)} against {_counted(one.teams.enemies)}"


def _counted(spawns: Iterable[Spawn]) -> str:
    counts: Counter[str] = Counter()
    for spawn in spawns:
        counts[spawn.unit] += spawn.count
    return ", ".join(
        f"{count} {_plural(unit) if count > 1 else _SINGULARS.get(unit, unit)}"
        for unit, count in sorted(counts.items())
    )


def _plural(unit: str) -> str:
    return _PLURALS.get(unit, f"{unit}s")
