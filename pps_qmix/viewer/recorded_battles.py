"""Plays battles in order to show them: with a scripted policy, or with the agents of a run."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from envproxy.backend import Recordable, create_recordable
from envproxy.backends.skirmish import Skirmish
from envproxy.backends.skirmish.maps import kind_names, map_facts
from envproxy.backends.skirmish.policies import DESCRIPTIONS, draw, scripted_team
from envproxy.maps import map_names
from envproxy.recording import Recorder
from envproxy.rules import SMAC_RULES, Rules
from operations.paths import shown
from pps_qmix.runtime.battles import Choice, play_battles
from pps_qmix.viewer.film import Film

_USUAL = "skirmish"  # a film of another backend says so


def film_policy(policy: str, map_name: str, battles: int, seed: int, backend: str = _USUAL, options: str = "") -> Film:
    """Film battles that a scripted policy plays, all at once.

    Raises KeyError if there is no such policy, ValueError for a wrong backend, map or options, and for a policy that
    needs positions on another backend than skirmish; BackendFailedError.
    """
    played = _recordable(backend, map_name, battles, SMAC_RULES, options)
    if policy == "random":
        choose: Choice = draw
    elif isinstance(played, Skirmish):
        played = Skirmish(map_name, battles, SMAC_RULES, masked=False)  # for SMAC's heuristic, which orders more
        choose = functools.partial(scripted_team(policy), played)
    else:
        raise ValueError(f"backend: the policy {policy!r} plays on skirmish alone, only random plays on {backend}")
    with contextlib.closing(Recorder(played)) as recorder:
        recorder.prepare()
        play_battles(choose, recorder, seed)
    return _film(map_name, SMAC_RULES, f"scripted: {DESCRIPTIONS[policy]}", backend, recorder)


def film_run(
    run: Path,
    map_name: str | None,
    battles: int,
    seed: int | None,
    backend: str | None = None,
    options: str | None = None,
    team: int = 0,
) -> Film:
    """Film the battles that `pps_qmix.runtime.evaluation.evaluate` plays. What is None is the run's.

    Raises RunDirectoryError if `run` is not a run directory or has no checkpoint yet, ValueError if it cannot be played
    on another map than its own, or for a wrong backend, options or team; BackendFailedError.
    """
    from pps_qmix.runtime.evaluation import evaluate, read_trained_team  # noqa: PLC0415 - loads torch

    trained = read_trained_team(run, team)
    settings = trained.settings
    if map_name not in (None, settings.map):
        raise ValueError(f"map: {run} was trained on {settings.map!r}, its agents cannot play {map_name!r}")
    name, how = trained.backend_named(backend, options)
    played = _recordable(name, settings.map, min(settings.battles, battles), trained.rules, how)
    with contextlib.closing(Recorder(played)) as recorder:
        recorder.prepare()
        evaluate(trained, recorder, battles, seed)
    of_team = "" if settings.teams == 1 else f", team {team}"
    players = f"run {shown(trained.run.name)}{of_team} after {trained.checkpoint.steps:,} steps"
    return _film(settings.map, trained.rules, players, name, recorder)


def _recordable(backend: str, map_name: str, battles: int, rules: Rules, options: str) -> Recordable:
    """Return battles to be filmed. Raises ValueError if a page cannot show them: it draws SMAC's and SMACv2's maps."""
    played = create_recordable(backend, map_name, battles, rules, options)
    if map_name not in map_names():
        raise ValueError(
            f"map: pages show the maps of SMAC and SMACv2 only, found {map_name!r} of the backend {backend!r}"
        )
    return played


def _film(map_name: str, rules: Rules, players: str, backend: str, recorder: Recorder) -> Film:
    where = "" if backend == _USUAL else f", on {backend}"
    return Film(map_name, players + where, map_facts(map_name, rules), kind_names(map_name), recorder.recordings())
