"""Plays a requested run to its end: in this process, over Flower on this machine, or on a SuperLink that exists."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

from client.device import check_devices
from envproxy.rules import Rules
from envproxy.transport import Transport, open_channel
from operations.addresses import check_address
from operations.members import Teams
from pps_qmix.configuration import Value
from pps_qmix.playable import check_in_process
from pps_qmix.requested_run import RequestedRun, backend_of
from pps_qmix.run_pages import Recording, record_battles, write_pages
from pps_qmix.runtime.cores import cores
from pps_qmix.runtime.local_flower import FlowerRun
from pps_qmix.runtime.memory import check_over_flower
from pps_qmix.runtime.processes import PartFailedError
from pps_qmix.runtime.round_progress import RoundProgress
from pps_qmix.runtime.submission import Submission
from pps_qmix.runtime.submitted_runs import make_way, resume_hint
from pps_qmix.runtime.superlink import SuperLink
from pps_qmix.runtime.supervisor import supervise
from server.checkpoints import newest_checkpoint_steps
from server.flower_internals import STOPPED_WITHIN
from server.run_directory import Runtime, has_run, is_held, kept_runtime
from server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from learning.stacked import TakeSteps

RUNTIMES: Final[tuple[str, ...]] = get_args(Runtime)
FLOWER, IN_PROCESS = RUNTIMES

Tell: TypeAlias = Callable[[str], None]
# Returns the round that is played and the environment steps collected in it, None if that is unknown.
Progress: TypeAlias = Callable[[], tuple[int, int] | None]
# Shows a run while the context lasts; yields what shows a line of text.
Display: TypeAlias = Callable[[RequestedRun, Progress], AbstractContextManager[Tell]]

_SERVES_WITHIN = 180.0  # seconds until an env proxy must answer; without compiled code it begins with compiling
_ASK_AGAIN = 1.0  # seconds


def chosen_runtime(requested: RequestedRun, named: str | None) -> str:
    """Return the runtime of a run: the one `named`, or that of the run to resume, or the default.

    The default is in-process for a centralised run and Flower for all others. Raises SettingsError for an unknown
    runtime, and for a centralised run over Flower; RunDirectoryError if the run to resume has an unknown one.
    """
    if named is not None and named not in RUNTIMES:
        raise SettingsError(f"runtime: expected {' or '.join(RUNTIMES)}, found {named!r}")
    centralised = requested.settings.centralised
    runtime = named
    if runtime is None and requested.settings.resume:
        runtime = kept_runtime(requested.path)
    if runtime is None:
        runtime = IN_PROCESS if centralised else FLOWER
    if centralised and runtime == FLOWER:
        raise SettingsError("runtime: a centralised run has nothing to federate; expected in-process, found flower")
    return runtime


def check_here(requested: RequestedRun, runtime: str, *, memory: bool = True) -> None:
    """Check that this machine can play a run, before anything is made for it; with `memory` also its memory.

    Raises SettingsError, DeviceError, TooLittleMemoryError, BackendFailedError.
    """
    settings = requested.settings
    check_devices(requested.path.name)
    if runtime == IN_PROCESS:
        check_in_process(settings)
        return
    backend = backend_of(settings, 1)
    if memory:
        check_over_flower(backend.spec, settings)
    backend.prepare()  # else the failure is in the log of the env proxy


def play(claimed: RequestedRun, runtime: str, retries: int, display: Display) -> None:
    """Play a claimed run to its end on this machine.

    `retries`: how often in a row a failed run over Flower resumes. Raises PartFailedError, BackendFailedError,
    RoundsError, SeatsError, DeviceError, NotKeptError.
    """
    if runtime == FLOWER:
        _play_over_flower(claimed, retries, display)
        write_pages(claimed.path)
    else:
        play_in_process(claimed, display)


def takes_steps_as_one(settings: Settings) -> bool:
    """Say whether a run in one process takes the training steps of all its agents as one.

    It does on CUDA if its agents learn alone: there a step costs as much as it starts operations.
    """
    if settings.mixing != "solo" or settings.device == "cpu":
        return False
    from learning.compute import computes_on_cuda  # noqa: PLC0415 - no torch where it is not needed

    return computes_on_cuda(settings.device)


def play_in_process(claimed: RequestedRun, display: Display, take: TakeSteps | None = None) -> None:
    """Play a claimed run to its end in this process.

    `take` takes the training steps of its agents; None: as one if `takes_steps_as_one`, else each agent its own.
    Raises BackendFailedError, RoundsError, SeatsError, DeviceError, NotKeptError.
    """
    from learning.stacked import take_together  # noqa: PLC0415 - no torch for a run over Flower
    from pps_qmix.runtime.in_process import Federation, run_in_process  # noqa: PLC0415

    settings = claimed.settings
    if take is None and takes_steps_as_one(settings):
        take = take_together
    federation = Federation(
        settings.backend,
        settings.map,
        settings.battles,
        settings.arena,
        Rules.parse(settings.rules),
        options=settings.backend_options,
        centralised=settings.centralised,
        threads=settings.threads or cores(),
        teams=settings.teams,
        take=take,
    )
    with closing(federation), display(claimed, lambda: federation.progress):
        run_in_process(settings.config(), claimed.given, federation)
    record_battles(claimed.path)
    write_pages(claimed.path)


def submit(claimed: RequestedRun, link: SuperLink, envproxy: str | None, retries: int, display: Display) -> None:
    """Play a claimed run to its end on a SuperLink; wait for the env proxy at `envproxy` (HOST:PORT) first, if given.

    Raises ValueError for a wrong address, TransportError, PartFailedError. KeyboardInterrupt stops the run.
    """
    with (
        _asked(envproxy, link, claimed) as progress,
        display(claimed, progress) as tell,
        tempfile.TemporaryDirectory(prefix="pps-qmix-") as home,
        Recording(claimed.path, claimed.settings.total_steps) as recording,
    ):
        make_way(claimed, link.address, tell)
        if envproxy is not None:
            _wait_until_served(envproxy, progress, tell)
        try:
            _play_with_retries(claimed, _submitter(claimed, link, Path(home), recording.look), retries, tell)
        except KeyboardInterrupt:
            tell(resume_hint(claimed))
            raise
    write_pages(claimed.path)


def _play_over_flower(claimed: RequestedRun, retries: int, display: Display) -> None:
    with (
        Recording(claimed.path, claimed.settings.total_steps) as recording,
        FlowerRun(claimed.settings, claimed.path, claimed.n_agents) as flower,
        display(claimed, flower.where) as tell,
    ):
        tell("starting the env proxy, the SuperLink and the SuperNodes")
        flower.start()
        _play_with_retries(claimed, partial(flower.play, meanwhile=recording.look), retries, tell)


def _play_with_retries(
    claimed: RequestedRun, play_once: Callable[[dict[str, Value], Tell], None], retries: int, tell: Tell
) -> None:
    """Call `play_once` with the settings to submit until the run is at its end. Raises PartFailedError."""

    def steps() -> int | None:
        return newest_checkpoint_steps(claimed.path) if has_run(claimed.path) else None

    supervise(lambda: play_once({**claimed.given, "resume": has_run(claimed.path)}, tell), steps, retries, tell)


def _submitter(
    claimed: RequestedRun, link: SuperLink, home: Path, look: Callable[[], None]
) -> Callable[[dict[str, Value], Tell], None]:
    log = claimed.path / "logs" / "run.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def play_once(given: dict[str, Value], tell: Tell) -> None:
        submission = Submission(link, given, home, log)
        tell(f"submitted to the SuperLink at {link.address}; waiting for its ServerApp")
        try:
            submission.follow(look)
        except KeyboardInterrupt:
            submission.stop()  # the SuperLink would continue it
            _wait_until_released(claimed.path, tell)
            raise
        finally:
            submission.stream.end()

    return play_once


def _wait_until_released(run: Path, tell: Tell) -> None:
    """Wait until the ServerApp of a stopped run has ended: until then a command that resumes the run is refused."""
    if is_held(run):
        tell("waiting for the end of its ServerApp")
    deadline = time.monotonic() + STOPPED_WITHIN
    while is_held(run) and time.monotonic() < deadline:
        time.sleep(0.2)


@contextmanager
def _asked(envproxy: str | None, link: SuperLink, run: RequestedRun) -> Iterator[Progress]:
    """Yield what asks an env proxy for the progress of the round."""
    if envproxy is None:
        yield lambda: None
        return
    check_address("envproxy", envproxy)
    transport = Transport(link.root_certificates, insecure=link.root_certificates is None)
    arena = Teams(run.settings.teams, run.n_agents).arenas(run.settings.arena)[0]
    progress = RoundProgress(open_channel(envproxy, transport), arena)
    try:
        yield progress.ask
    finally:
        progress.close()


def _wait_until_served(envproxy: str, ask: Progress, tell: Tell) -> None:
    """Wait until an env proxy serves the arena. Raises PartFailedError."""
    deadline = time.monotonic() + _SERVES_WITHIN
    told = False
    while ask() is None:
        missing = f"no env proxy serves the run's arena at {envproxy}"
        if time.monotonic() > deadline:
            raise PartFailedError(f"{missing} after {_SERVES_WITHIN:.0f} s; its log says why")
        if not told:
            tell(f"waiting: {missing} yet")
            told = True
        time.sleep(_ASK_AGAIN)
