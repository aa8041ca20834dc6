"""A run as the Python API has it: train one, read its directory, evaluate and resume it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from operations.paths import real_path, user_path
from operations.suggestions import did_you_mean
from pps_qmix import training
from pps_qmix.configuration import Value, default_config, kept_settings
from pps_qmix.configuration import preset as preset_settings
from pps_qmix.requested_run import RequestedRun, claimed, new_run, resumed_run
from pps_qmix.runtime.battles import check_request
from pps_qmix.runtime.supervisor import RETRIES
from server.metrics import MetricsReader
from server.run_directory import RunDirectoryError, read_rows, read_run
from server.settings import Settings, SettingsError, check_settings

if TYPE_CHECKING:
    from client.play import Evaluation as Battles

_LOOK_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Evaluation:
    """Greedy battles of a whole team during a run."""

    steps: int  # environment steps collected before
    win_rate: float  # 0..1
    mean_return: float  # reward of the team per battle; SMAC's reach 20


OnEvaluation = Callable[[Evaluation], object]


@dataclass(frozen=True)
class Run:
    """A run directory, finished or not."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def settings(self) -> Settings:
        """All settings; `settings.config()` has them by their names. Raises RunDirectoryError."""
        return check_settings(kept_settings(self.path))

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations so far, in order. Raises RunDirectoryError if metrics.jsonl is damaged."""
        return [_evaluation(row) for row in read_rows(self.path) if row["kind"] == "evaluation"]

    def evaluate(
        self,
        battles: int = 32,
        *,
        seed: int | None = None,
        backend: str | None = None,
        backend_options: str | None = None,
        team: int = 0,
    ) -> Battles:
        """Play `battles` greedy battles with the agents of the newest checkpoint.

        `team` is the number of the team whose agents play. What is None is the run's: the seed of the battles, the
        backend and its options. Loads PyTorch.

        Returns what was played: `won`, `battles`, `return_mean`, `length_mean` (steps).

        Raises:
            RunDirectoryError: the run has no checkpoint yet.
            ValueError: an argument is wrong; the message says what was expected.
            BackendFailedError: the backend cannot play on this machine.
        """
        from pps_qmix.runtime.evaluation import evaluate, read_trained_team  # noqa: PLC0415 - loads torch

        check_request(battles, seed)
        trained = read_trained_team(self.path, team)
        return evaluate(trained, trained.backend(battles, backend, backend_options), battles, seed)

    def resume(
        self,
        *,
        runtime: str | None = None,
        on_evaluation: OnEvaluation | None = None,
        retries: int = RETRIES,
        memory_check: bool = True,
        **settings: Value,
    ) -> Run:
        """Play the run from its newest checkpoint to its end, with changed settings such as `total_steps=400_000`.

        Parameters and errors are those of `train`. RunDirectoryError if the directory holds no run; SettingsError for
        a setting that a run must keep; InUseError if another process plays the run.
        """
        requested = resumed_run(self.path, _named(settings))
        return _play(requested, runtime, on_evaluation, retries, memory_check)


def train(
    *,
    preset: str | None = None,
    runtime: str | None = None,
    on_evaluation: OnEvaluation | None = None,
    retries: int = RETRIES,
    memory_check: bool = True,
    **settings: Value,
) -> Run:
    """Train a team on this machine and return its run.

    Args:
        preset: settings that go together, such as "quick"; `settings` override them.
        runtime: "flower": an env proxy, a SuperLink and a SuperNode for each seat, as processes of this machine;
            "in-process": the same agents in this process. Both give the same weights. Default: "flower",
            "in-process" with `centralised=True`; `Run.resume` keeps the runtime of the run.
        on_evaluation: called with each evaluation, in order, in a thread of this call. An exception that it raises
            is raised at the end of the run.
        retries: how often in a row a failed run over Flower resumes from its newest checkpoint.
        memory_check: refuse a run over Flower that needs more memory than is free.
        settings: any setting of `[tool.flwr.app.config]`, with _ for -: `map="3m"`, `strategy="rs-pps"`,
            `total_steps=200_000`. Their defaults are the paper's.

    Raises:
        SettingsError: a setting is unknown or wrong; a ValueError, as all errors of arguments.
        RunDirectoryError: the directory of the run exists, or cannot be made.
        TooLittleMemoryError: see `memory_check`.
        PartFailedError: a process of the run failed more often than `retries`.
        BackendFailedError: the backend cannot play on this machine.
    """
    named = {**(preset_settings(preset) if preset else {}), **_named(settings)}
    return _play(new_run(named), runtime, on_evaluation, retries, memory_check)


def load_run(path: str | PathLike[str]) -> Run:
    """Return the run of a directory. Raises RunDirectoryError if `path` is not a run directory."""
    if not str(path):
        raise RunDirectoryError("run: expected a run directory, found nothing")
    found = real_path(user_path(path))
    read_run(found)
    return Run(found)


def _named(settings: dict[str, Value]) -> dict[str, Value]:
    """Return settings under their own names. Raises SettingsError for one that does not exist."""
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    unknown = sorted(set(named) - (set(default_config()) - {"resume"}))
    if unknown:
        known = [name for name in default_config() if name != "resume"]
        hint = did_you_mean(unknown[0], known) or f"; expected one of {', '.join(known)}"
        raise SettingsError(f"{unknown[0]}: unknown setting{hint}")
    return {name: str(value) if isinstance(value, PathLike) else value for name, value in named.items()}


def _play(
    requested: RequestedRun, named_runtime: str | None, on_evaluation: OnEvaluation | None, retries: int, memory: bool
) -> Run:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ValueError(f"retries: expected 0 or more, found {retries!r}")
    if on_evaluation is not None and not callable(on_evaluation):
        raise ValueError(f"on_evaluation: expected a function, found {on_evaluation!r}")
    runtime = training.chosen_runtime(requested, named_runtime)
    training.check_here(requested, runtime, memory=memory)
    follower = _Follower(on_evaluation)
    with claimed(requested) as run:
        training.play(run, runtime, retries, follower.follow)
    follower.raise_error()
    return Run(run.path)


class _Follower:
    """Calls a function with each new evaluation of a run."""

    def __init__(self, call: OnEvaluation | None) -> None:
        self._call = call
        self._error: Exception | None = None
        self._stop = threading.Event()

    @contextmanager
    def follow(self, run: RequestedRun, _: training.Progress) -> Iterator[training.Tell]:
        rows = MetricsReader(run.path)
        rows.read_new()  # those of an earlier call
        thread = threading.Thread(target=self._look_on, args=(rows,), daemon=True)
        thread.start()
        try:
            yield lambda _: None
        finally:
            self._stop.set()
            thread.join()
            self._look(rows)

    def raise_error(self) -> None:
        """Raise the exception of the function, if it raised one."""
        if self._error is not None:
            raise self._error

    def _look_on(self, rows: MetricsReader) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            self._look(rows)

    def _look(self, rows: MetricsReader) -> None:
        for row in rows.read_new():
            if row["kind"] == "evaluation" and self._call is not None and self._error is None:
                try:
                    self._call(_evaluation(row))
                except Exception as error:
                    self._error = error


def _evaluation(row: dict[str, float]) -> Evaluation:
    return Evaluation(int(row["steps"]), float(row["win-rate"]), float(row["return"]))
