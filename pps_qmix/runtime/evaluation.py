"""Greedy battles of a run's agents: those of its newest checkpoint."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from client.play import Evaluation, play_evaluation
from envproxy.arena import Arena
from envproxy.backend import Backend, create_backend
from envproxy.rules import Rules
from learning.actor import actor_from
from operations.members import Teams
from operations.paths import real_path
from pps_qmix.configuration import kept_settings
from pps_qmix.runtime.battles import check_team, evaluation_phase
from pps_qmix.runtime.lockstep import play_in_lockstep
from pps_qmix.runtime.seat_sizes import seat_spec
from server.checkpoints import Checkpoint, newest_checkpoint
from server.run_directory import RunDirectoryError
from server.settings import Settings, check_settings


class TrainedTeam(NamedTuple):
    """The result of a run: its settings, its newest checkpoint, and the team whose agents play."""

    run: Path
    settings: Settings
    checkpoint: Checkpoint
    team: int

    @property
    def rules(self) -> Rules:
        """What the run's battles were played under."""
        return Rules.parse(self.settings.rules)

    def backend_named(self, name: str | None, options: str | None) -> tuple[str, str]:
        """Return a backend and its options. None is the run's; its options are for its own backend alone."""
        own = self.settings.backend
        name = name or own
        return name, options if options is not None else self.settings.backend_options if name == own else ""

    def backend(self, battles: int, name: str | None = None, options: str | None = None) -> Backend:
        """Return a backend that plays up to `battles` battles at once, ready to play. What is None is the run's.

        Raises ValueError for a wrong name or wrong options, BackendFailedError if it cannot play here.
        """
        name, options = self.backend_named(name, options)
        at_once = min(self.settings.battles, battles)
        backend = create_backend(name, self.settings.map, at_once, self.rules, options)
        backend.prepare()
        return backend


def read_trained_team(run: Path, team: int = 0) -> TrainedTeam:
    """Read a run directory, under whatever name it is kept. `team` is the number of the team whose agents play.

    Raises RunDirectoryError if `run` is not a run directory or has no checkpoint yet, ValueError for a team that the
    run does not have.
    """
    settings = check_settings(kept_settings(run))
    check_team(team, settings.teams)
    checkpoint = newest_checkpoint(run)
    if checkpoint is None:
        raise RunDirectoryError(f"{run} has no checkpoint yet: its first round has not ended")
    return TrainedTeam(real_path(run), settings, checkpoint, team)


def evaluate(trained: TrainedTeam, backend: Backend, battles: int, seed: int | None) -> Evaluation:
    """Play `battles` greedy battles of `seed` (None: the run's) with the agents of a team, and close the backend."""
    settings = trained.settings
    arena = Arena(backend)
    spec = arena.spec
    members = Teams(settings.teams, spec.n_agents).of_team(trained.team)
    agents, steps = trained.checkpoint.agents, trained.checkpoint.steps
    phase = evaluation_phase(settings.seed if seed is None else seed, battles)
    with contextlib.closing(arena):
        players = [
            play_evaluation(actor_from(agents[number], seat_spec(spec, seat), arena.battles), phase, steps)
            for seat, number in enumerate(members)
            if number in agents
        ]
        reports = play_in_lockstep(arena, players)
    return reports[0].evaluations[0]
