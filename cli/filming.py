"""Plays battles in order to show them: with a scripted policy, or with the agents of a run."""

from __future__ import annotations

from pathlib import Path

from cli.battles import play_policy
from cli.viewer.film import Film
from envproxy.backend import create_backend
from envproxy.backends.skirmish import Skirmish
from envproxy.backends.skirmish.maps import kind_names
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.backends.skirmish.recording import Recorder
from envproxy.rules import SMAC_RULES, Rules

_BACKEND = "skirmish"  # the one whose battles can be recorded


def film_policy(policy: str, map_name: str, battles: int, seed: int) -> Film:
    """Raises KeyError if there is no such policy, UnknownNameError if there is no such map."""
    recorder = _recorder(map_name, battles, SMAC_RULES)
    play_policy(POLICIES[policy], recorder, seed)
    return _film(map_name, policy, recorder)


def film_run(run: Path, map_name: str | None, battles: int, seed: int | None) -> Film:
    """Film the battles that `cli.in_process.evaluate` plays. `seed`: None is the run's, as with `map_name`.

    Raises RunDirectoryError if `run` is not a run directory or has no checkpoint yet, ValueError if it cannot be
    filmed or played another map than `map_name`.
    """
    from cli.in_process import evaluate, read_trained  # noqa: PLC0415 - loads torch

    trained = read_trained(run)
    settings = trained.settings
    if settings.backend != _BACKEND:
        raise ValueError(f"{run} was trained on the backend {settings.backend!r}; only {_BACKEND!r} can be watched")
    if map_name not in (None, settings.map):
        raise ValueError(f"map: {run} was trained on {settings.map!r}, its agents cannot play {map_name!r}")
    recorder = _recorder(settings.map, settings.battles, trained.rules)
    evaluate(trained, recorder, battles, seed)
    return _film(settings.map, f"run {run.name} after {trained.checkpoint.steps:,} steps", recorder)


def _recorder(map_name: str, battles: int, rules: Rules) -> Recorder:
    backend = create_backend(_BACKEND, map_name, battles, rules)
    assert isinstance(backend, Skirmish)
    return Recorder(backend)


def _film(map_name: str, players: str, recorder: Recorder) -> Film:
    facts = recorder.recorded.facts
    return Film(map_name, players, facts, kind_names(map_name), recorder.recordings())
