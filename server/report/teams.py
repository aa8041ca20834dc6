"""The teams of a run of several: what each has come to, and how much it counts in the aggregate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from server.report import charts, html
from server.report.summary import Row, last_whole_round, of_kind
from server.report.words import percent

_HEAD: Final = ("Team", "Steps", "Battles", "Win rate", "Return", "Last test", "Weight")


def teams(rows: Sequence[Row]) -> str:
    """Return the teams' figures in the newest whole round, and of their last test; nothing for a single team."""
    last = last_whole_round(of_kind(rows, "round"))
    if last is None or "teams" not in last:
        return ""
    tests: dict[str, Mapping[str, Any]] = {}
    for row in of_kind(rows, "evaluation"):
        tests |= row["teams"]
    weights = weights_of_teams(last)
    lines = [
        (
            f"team {team}",
            f"{figures['steps']:,}",
            str(figures["battles"]),
            _percent(figures["win-rate"]),
            _short(figures["return"]),
            _percent(tests.get(team, {}).get("win-rate")),
            _short(weights.get(team)),
        )
        for team, figures in last["teams"].items()
    ]
    absent = int(last["shared"].get("seats-missing", 0))
    note = f'<p class="faint">{absent} agents were missing.</p>' if absent else ""
    return html.section(f"Teams in round {last['round']}", f"{html.table(_HEAD, lines)}{note}")


def team_weights(rounds: Sequence[Row]) -> dict[str, charts.Curve]:
    """Return how much each team counts, by name."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rounds:
        for team, weight in weights_of_teams(row).items():
            found.setdefault(f"team {team}", []).append((float(row["steps"]), weight))
    return dict(sorted(found.items(), key=_number))


def weights_of_teams(row: Row) -> dict[str, float]:
    """Return the sum of the weights of each team's members in a round."""
    found: dict[str, float] = {}
    for name, weight in row["shared"].items():
        kind, _, member = name.partition("/")
        if kind == "weight":
            team = member.partition(":")[0]
            found[team] = found.get(team, 0.0) + weight
    return found


def _number(item: tuple[str, object]) -> int:
    return int(item[0].removeprefix("team "))


def _percent(value: object) -> str:
    return percent(value) if isinstance(value, int | float) else "-"


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"
