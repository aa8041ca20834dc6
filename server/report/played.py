"""How the run was played: its battles, commands to use it, its settings, the versions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from operations.defaults import default_config, descriptions
from server.report import html
from server.run_directory import WATCH_PAGE

_OF_THE_RUN: Final = {"run", "runs", "resume"}


def battles(settings: Mapping[str, Any], recorded: bool) -> str:
    """The recorded battles beside the page, if they are `recorded`, or the command that records some."""
    if recorded:
        link = f'<a href="{WATCH_PAGE}">Watch recorded battles</a>'
        return html.section("Battles", f"<p>{link} of the run's agents, step by step.</p>")
    command = escape(shlex.join(["pps-qmix", "watch", _folder(settings)]))
    return html.section("Battles", f"<p>This command records battles:</p><pre><code>{command}</code></pre>")


def commands(settings: Mapping[str, Any], runtime: str | None) -> str:
    """Commands to reproduce, resume, evaluate and watch the run; `runtime` is what run.json says."""
    run = _folder(settings)
    changed = [f"--{name}={settings[name]}" for name in _differing(settings)]
    if not any(flag.startswith("--map=") for flag in changed):
        changed.insert(0, f"--map={settings['map']}")
    where = ["--runtime", runtime] if runtime else []
    further = str(2 * int(settings["total-steps"]))
    found = {
        "Reproduce it": ["train", *where, *changed],
        "Resume it": ["train", "--resume", run, "--total-steps", further],
        "Evaluate it": ["evaluate", run, "--evaluate-battles", "256"],
        "Watch it": ["watch", run],
    }
    lines = "".join(
        f"<h3>{name}</h3><pre><code>{escape(shlex.join(['pps-qmix', *words]))}</code></pre>"
        for name, words in found.items()
    )
    return html.section("Commands", lines)


def settings_tables(settings: Mapping[str, Any]) -> str:
    """The settings: those that differ from the defaults, then all in their groups."""
    defaults, described = default_config(), descriptions()
    differing = [
        (name, _shown(settings[name]), _shown(defaults[name]), described[name].meaning) for name in _differing(settings)
    ]
    head = ("Setting", "Value", "Default", "Meaning")
    first = html.table(head, differing) if differing else '<p class="faint">All settings have their defaults.</p>'
    folded = "".join(
        html.details(
            f"All {group} settings",
            html.table(head[:2] + head[3:], [(name, _shown(settings[name]), each.meaning) for name, each in members]),
        )
        for group, members in groupby(described.items(), lambda item: item[1].group)
    )
    return html.section("Settings", first + folded)


def versions(run: Mapping[str, Any]) -> str:
    simulator = [("simulator", run["simulator"])] if run.get("simulator") else []
    commit = ("commit", run["commit"] or "unknown")
    found = [*run["versions"].items(), *simulator, *run.get("provenance", {}).items(), commit]
    return html.section("Versions", html.table(("", ""), [(str(name), str(value)) for name, value in found]))


def _folder(settings: Mapping[str, Any]) -> str:
    return str(Path(str(settings["runs"])) / str(settings["run"]))


def _differing(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ from their defaults."""
    return [name for name, default in default_config().items() if name not in _OF_THE_RUN and settings[name] != default]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value) if value != "" else '""'
