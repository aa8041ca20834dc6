"""The Flower ServerApp: one run from its settings to its run directory."""

from __future__ import annotations

import errno
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from operations import logs
from operations.protocol import PROTOCOL
from operations.simulator import simulator_of
from operations.tied import tie
from server.checkpoints import newest_checkpoint, save_checkpoint
from server.curve import draw_curve
from server.failure import NeedsYouError
from server.flower_internals import call_at_exit
from server.grids import PackingGrid, UnreadableReplyFilter
from server.member_grid import MemberGrid
from server.report.page import write_report
from server.report.summary import result_of, spread_of
from server.rounds import DivergedError, RoundResult, Rounds
from server.run_directory import RunDirectory, RunDirectoryError, Runtime, open_run, read_run, report_path
from server.seats import NoTeamError
from server.settings import Settings, SettingsError, Value, check_settings
from server.strategy_failure import StrategyFailedError, failures_of
from server.tensorboard_writer import TensorBoardWriter
from strategies.attestation import Attestation, read_key
from strategies.groups import GroupedSharing, UnknownUnitTypesError
from strategies.registry import UnusableStrategyError, create_strategy
from strategies.settings import SharingSettings
from strategies.sharing import Sharing

log = logging.getLogger("server")

_PICTURE_EVERY = 20.0  # seconds at least between two drawings of the curve
_PICTURE_SHARE = 0.02  # of the time at most, in CPU-seconds: the more rows a run has, the longer it takes

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run `[tool.flwr.app.config]` with what `--run-config` changed.

    Raises InUseError, SeatsError or RoundsError with a message for the user if another try may go better, else
    NeedsYouError.
    """
    logs.set_up("server", "strategies")  # Flower collects it for `flwr run --stream`
    # Flower ends a ServerApp whose SuperExec is gone, but not one that is sending a message: that would try for ever,
    # and hold the run's lock.
    tie(os.getppid())
    try:
        _train(UnreadableReplyFilter(grid), context.run_config, grid.run.override_config)
    except NeedsYouError as error:
        _say_last(error.reason)
        raise
    except Exception as error:
        _say_last(str(error) or type(error).__name__)
        raise


def _say_last(reason: str) -> None:
    """Make a sentence the last line of this process, and of `flwr run --stream`."""
    call_at_exit(lambda: print(logs.last_word("the run failed", reason), file=sys.stderr, flush=True))


def _train(grid: Grid, config: Mapping[str, Value], given: Mapping[str, Value]) -> None:
    """Train. Raises NeedsYouError if another try would end in the same way."""
    try:
        train(grid, config, given)
    except (SettingsError, RunDirectoryError, NoTeamError, DivergedError, UnknownUnitTypesError) as error:
        raise NeedsYouError(str(error)) from error
    except StrategyFailedError as error:
        raise NeedsYouError(f"{error}; correct the strategy, then resume the run with --resume") from error
    except OSError as error:  # of a curve or an event file
        if error.errno not in _NO_ROOM:
            raise
        raise NeedsYouError(f"{error}; make room, then use --resume") from error


def train(
    grid: Grid, config: Mapping[str, Value], given: Mapping[str, Value], runtime: Runtime = "flower"
) -> RunDirectory:
    """Play a run to its end over `grid`, which is of `runtime`; `given` are the settings that the user named.

    Raises SettingsError, RunDirectoryError, InUseError, SeatsError, RoundsError or StrategyFailedError with a message
    for the user.
    """
    with open_run(check_settings(config), given) as directory:
        directory.note_runtime(runtime)
        _play(grid, directory)
    return directory


def _play(grid: Grid, directory: RunDirectory) -> None:
    """Play the run of a directory from where it is to its end."""
    settings = directory.settings
    start = newest_checkpoint(directory.path) if settings.resume else None
    if settings.resume:
        directory.drop_after(start.round if start else 0)
    log.info("run %s in %s", settings.run, directory.path, extra={"run": settings.run})
    strategy = _create_strategy(settings, directory.run_id)
    run_config = {
        **settings.config(),
        "run-id": directory.run_id,
        "protocol": PROTOCOL,
        "simulator": simulator_of(settings.backend),
        "version": version("pps-qmix"),
    }
    writer = TensorBoardWriter(directory.path, start.steps if start else 0)
    picture = _Picture(directory)
    told = (picture.draw_when_due, directory.note_provenance, directory.note_now)
    rounds = Rounds(MemberGrid(PackingGrid(grid)), settings, strategy, run_config, *told)
    for result in rounds.play(start):
        _keep(directory, writer, result)
        picture.due = True
        if result.checkpoint.round == 1:
            with failures_of(strategy, settings.strategy):
                strategy.summary()
    picture.draw()
    writer.close()
    for name, value in result_of(directory.rows()).items():
        log.info("%s: %s", name, value)


def _create_strategy(settings: Settings, run_id: str) -> Sharing:
    """Raises SettingsError if the strategy, or the key of the env proxy's statements, cannot be used."""
    sharing = SharingSettings.from_config(settings.config(), _attestation(settings, run_id))
    try:
        if settings.share_among == "all":
            return create_strategy(settings.strategy, sharing)
        return GroupedSharing(lambda: create_strategy(settings.strategy, sharing), settings.share_among)
    except UnusableStrategyError as error:
        raise SettingsError(f"strategy: {error}") from error


def _attestation(settings: Settings, run_id: str) -> Attestation | None:
    if not settings.attest_key:
        return None
    try:
        key = read_key(Path(settings.attest_key))
    except ValueError as error:
        raise SettingsError(f"attest-key: {error}") from None
    return Attestation(key, run_id, settings.arena, settings.reward_credit, settings.reward_buffer)


def _keep(directory: RunDirectory, writer: TensorBoardWriter, result: RoundResult) -> None:
    about = {"run": directory.settings.run, "round": result.checkpoint.round}
    # Before the checkpoint: a resumed run drops rows without one, and cannot make rows that are missing.
    directory.append(*result.rows)
    for row in result.rows:
        writer.add(row)
        if row["kind"] == "evaluation":
            log.info(
                "step %d: test win rate %.2f%s (%d battles), return %.2f",
                *(row["steps"], row["win-rate"], spread_of(row, "win-rate"), row["battles"], row["return"]),
                extra=about,
            )
        else:
            log.info(
                "round %d: %d steps, %d battles, win rate %.2f%s, return %.2f, %.1f s",
                *(row["round"], row["steps"], row["battles"], row["win-rate"] or 0.0, spread_of(row, "win-rate")),
                row["return"] or 0.0,
                row["seconds"]["round"],
                extra=about,
            )
    save_checkpoint(directory.path, result.checkpoint)


class _Picture:
    """Curve and report of a run; `due` says that there is something new to draw."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._not_before = -math.inf
        self.due = False

    def draw_when_due(self) -> None:
        """Draw, unless nothing is new or the last drawing is young. Raises OSError."""
        if self.due and time.monotonic() > self._not_before:
            self.draw()

    def draw(self) -> None:
        """Draw what there is; a run continues without a picture, unless the disk is full. Raises OSError."""
        began = time.thread_time()
        directory = self._directory
        rows = directory.rows()
        curve = directory.path / "curve.png"
        try:
            draw_curve(rows, directory.settings.run, curve)
            write_report(report_path(directory.path), read_run(directory.path), rows)
        except OSError:
            raise
        except Exception:
            log.exception("curve and report cannot be drawn", extra={"run": directory.settings.run})
        took = time.thread_time() - began
        self._not_before, self.due = time.monotonic() + max(_PICTURE_EVERY, took / _PICTURE_SHARE), False
