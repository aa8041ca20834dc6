"""The parts of the dashboard's page of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from operations.paths import shown
from pps_qmix.comparison.compared_run import ODD_ROWS, sign
from pps_qmix.configuration import default_config
from pps_qmix.dashboard.overview import address
from pps_qmix.dashboard.seats import SeatState, Words, last_words, now_of, seat_states
from pps_qmix.status import RUNNING, state_of
from server.checkpoints import whole_checkpoints
from server.report import charts, html, result
from server.report import rounds as figures
from server.report.summary import Row, of_kind, team_size, whole_rounds
from server.report.words import TIMES, heading, percent
from server.run_directory import (
    RunDirectoryError,
    document_path,
    metrics_path,
    now_path,
    read_rows,
    read_run,
    report_path,
    watch_path,
)

IDS: Final = ("now", "tiles", "curve", "seats", "rounds", "sharing", "times", "recorded")
_ROUNDS: Final = 12  # newest ones that are listed
_PARTS: Final = {"envproxy": "env proxy", "superlink": "SuperLink", "run": "ServerApp", "loaded": "preloaded devices"}


class RunView:
    """Reads one run directory again and again, and draws it if it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: object = None
        self._document: dict[str, Any] = {}
        self._rows: list[dict[str, Any]] = []
        self._played: dict[str, str] = {}

    def parts(self) -> dict[str, str]:
        """Return the HTML of each part, as the run is now. Raises RunDirectoryError, OSError.

        A row that no run has written leads to other exceptions.
        """
        signs = [sign(path(self._path)) for path in (document_path, metrics_path)]
        if signs != self._read_at:
            self._document, self._rows = read_run(self._path), read_rows(self._path)
            self._played = _played(self._document, self._rows)
            self._read_at = signs
        return {**self._played, **_at_the_moment(self._path, self._document, self._rows)}


def title(run: Path) -> str:
    """Return what the run is, in words; the agents of a team from its first round on. Raises RunDirectoryError."""
    settings = {**default_config(), **read_run(run)["settings"]}
    try:
        agents = team_size(of_kind(read_rows(run), "round"))
    except (RunDirectoryError, OSError, *ODD_ROWS):
        agents = None  # the parts of the page say what is wrong
    return heading(settings, agents)


def _played(document: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, str]:
    """The parts that change with the rows."""
    settings = {**default_config(), **document["settings"]}
    tests, rounds = of_kind(rows, "evaluation"), of_kind(rows, "round")
    return {
        "tiles": result.tiles(settings, document.get("runtime"), tests, rounds),
        "curve": result.learning_curve(tests, rounds),
        "rounds": _rounds(rounds),
        "sharing": figures.small_charts(whole_rounds(rounds)),
        "times": figures.times(rows),
    }


def _at_the_moment(run: Path, document: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, str]:
    """The parts that also change between two rows."""
    rounds = of_kind(rows, "round")
    steps, total = rounds[-1]["steps"] if rounds else 0, int(document["settings"]["total-steps"])
    state, now, words = state_of(run, steps, total), now_of(run), last_words(run)
    return {
        "now": _now(run, state, now, steps, total),
        "seats": _seats(list(seat_states(state, now, rows, words)), words),
        "recorded": _recorded(run),
    }


def _now(run: Path, state: str, now: Mapping[str, Any], steps: int, total: int) -> str:
    """What the run is at: a line and a bar."""
    line = f'<span class="state {state}">{state}</span>'
    if state == RUNNING and now.get("waiting-for"):
        line += f": waits for seat {escape(', '.join(map(str, now['waiting-for'])))}"
    elif state == RUNNING and "round" in now:
        line += f": plays round {int(now['round'])}, begun {_since(now_path(run).stat().st_mtime)}"
    share = min(1.0, steps / total) if total else 0.0
    bar = (
        f'<div class="progress" role="progressbar" aria-label="environment steps" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * share:.0f}"><i style="width:{100 * share:.1f}%"></i></div>'
    )
    report = f' <a href="{address(run, report_path(run).name)}">Report</a>' if report_path(run).exists() else ""
    return f"<p>{line}; {steps:,} of {total:,} steps ({percent(share)}).{report}</p>{bar}"


def _seats(seats: Sequence[SeatState], words: Mapping[str, Words]) -> str:
    lines = [
        (
            f"Seat {each.seat}" if each.team is None else f"Team {each.team}, seat {each.seat}",
            each.state,
            _number(each.report.get("battles")),
            _number(each.report.get("missed")),
            _number(each.report.get("loss")),
            _number(each.weight),
            _said(each.words),
        )
        for each in seats
    ]
    head = ("Device", "State", "Battles", "Missed", "Loss", "Weight", "Last words")
    marked_up = [(escape(first), escape(state), *rest) for first, state, *rest in lines]
    found = html.table_of_html(head, marked_up) if lines else ""
    others = [(label, _said(words[name])) for name, label in _PARTS.items() if name in words]
    if others:
        found += html.table_of_html(("Process", "Last words"), others)
    return html.section("Devices and seats", found) if found else ""


def _rounds(rounds: Sequence[Row]) -> str:
    if not rounds:
        return ""
    newest = list(reversed(rounds[-_ROUNDS:]))
    longest = max(row["seconds"]["round"] + row["seconds"].get("aggregation", 0.0) for row in newest)
    head = ("Round", "Steps", "Won", "Return", "Time", "Where the time went")
    key = charts.legend((label, charts.hue(number, len(TIMES))) for number, (label, _) in enumerate(TIMES.values()))
    return html.section("Newest rounds", html.table_of_html(head, (_round(row, longest) for row in newest)) + key)


def _round(row: Row, longest: float) -> tuple[str, ...]:
    seconds = row["seconds"]
    took = seconds["round"] + seconds.get("aggregation", 0.0)
    parts = [(label, float(seconds.get(name) or 0.0)) for name, (label, _) in TIMES.items()]
    width = 100 * took / longest if longest else 0.0
    bar = f'<div style="width:{width:.0f}%">{charts.stacked_bar(parts)}</div>'
    won = "–" if row.get("win-rate") is None else percent(row["win-rate"])
    return str(row["round"]), f"{row['steps']:,}", won, _number(row.get("return")), f"{took:.1f} s", bar


def _recorded(run: Path) -> str:
    """Links that show battles in the frame below them."""
    links = []
    if watch_path(run).exists():
        links.append(f'<a href="{address(run, watch_path(run).name)}" target="battles">Battles recorded at the end</a>')
    if checkpoints := whole_checkpoints(run):
        name = checkpoints[-1].name
        links.append(
            f'<a href="{address(run, f"battles/{name}")}" target="battles">Play three battles with the agents of '
            f"round {int(name.rpartition('-')[2])}</a>"
        )
    if not links:
        return '<p class="faint">The first round has not ended: there are no agents to watch yet.</p>'
    return f'<p class="links">{" ".join(links)}</p>'


def _number(value: object) -> str:
    return charts.number_text(float(value)) if isinstance(value, (int, float)) else "–"


def _said(words: Words | None) -> str:
    return "–" if words is None else f'{escape(shown(words.text))} <span class="faint">{_since(words.when)}</span>'


def _since(when: float) -> str:
    """A time that the page counts on (live.js)."""
    return f'<time data-since="{when:.0f}"></time>'
