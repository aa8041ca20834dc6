"""`pps-qmix submit`: a run on a SuperLink that others have started, followed to its end."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli import flags, following, superlink
from cli.collected import Collected
from cli.defaults import Value
from cli.flags import Chosen
from cli.parts import PartFailedError
from cli.submission import Submission
from cli.submitted import make_way, resume_hint
from cli.superlink import SuperLink
from envproxy.transport import Transport, open_channel
from operations import logs
from operations.addresses import check_address
from server.run_directory import is_held
from server.settings import SettingsError

_NOTICED_WITHIN = 20.0  # seconds
_SERVES_WITHIN = 180.0  # seconds that an env proxy has to answer; without compiled code it begins with compiling
_ASK_AGAIN = 1.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    superlink.add_arguments(parser)
    parser.add_argument(
        "--envproxy",
        metavar="HOST:PORT",
        help="env proxy of the devices: asked how far a round is (default: not asked)",
    )
    following.add_arguments(parser)
    logs.add_arguments(parser)
    flags.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Submit and follow. Raises SettingsError (and other ValueErrors) for wrong flags, PartFailedError."""
    logs.choose(options.log_format)
    link = superlink.choose(options)
    chosen = flags.choose(options)
    if chosen.settings.centralised:
        raise SettingsError("centralised: expected false: a centralised run has nothing to federate (pps-qmix train)")
    with flags.claimed(chosen) as claimed, _asked(options.envproxy, link, claimed) as where:
        console = following.console("submit", claimed.path.name)
        make_way(claimed, link.address, console.say)
        if options.envproxy is not None:
            _see_serving(options.envproxy, where, console.say)
        with following.told(claimed, console), tempfile.TemporaryDirectory(prefix="pps-qmix-") as home:
            try:
                following.follow(claimed, _player(claimed, link, Path(home)), where, options.retries, console)
            except KeyboardInterrupt:
                console.say(resume_hint(claimed))
                raise
    return 0


@contextmanager
def _asked(envproxy: str | None, link: SuperLink, chosen: Chosen) -> Iterator[Callable[[], tuple[int, int] | None]]:
    """Yield what says how far the round is that is on. Raises ValueError, TransportError."""
    if envproxy is None:
        yield lambda: None
        return
    check_address("envproxy", envproxy)
    transport = Transport(link.root_certificates, insecure=link.root_certificates is None)
    collected = Collected(open_channel(envproxy, transport), chosen.settings.arena)
    try:
        yield collected.ask
    finally:
        collected.close()


def _see_serving(envproxy: str, ask: Callable[[], object | None], tell: Callable[[str], None]) -> None:
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


def _player(chosen: Chosen, link: SuperLink, home: Path) -> Callable[[dict[str, Value], Callable[[str], None]], None]:
    log = chosen.path / "logs" / "run.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def play(given: dict[str, Value], tell: Callable[[str], None]) -> None:
        submission = Submission(link, given, home, log)
        tell(f"submitted to the SuperLink at {link.address}; waiting for its ServerApp")
        try:
            submission.follow(lambda: None)
        except KeyboardInterrupt:
            submission.stop()  # it would go on without us
            _see_released(chosen.path)
            raise
        finally:
            submission.stream.end()

    return play


def _see_released(run: Path) -> None:
    """Wait until nobody writes the run any more: a ServerApp takes seconds to notice that it was stopped.

    Whoever resumed the run at once would be told that it is still written.
    """
    deadline = time.monotonic() + _NOTICED_WITHIN
    while is_held(run) and time.monotonic() < deadline:
        time.sleep(0.2)
