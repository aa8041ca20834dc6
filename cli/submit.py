"""`pps-qmix submit`: a run on a SuperLink that others have started, followed to its end."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cli import flags, following, superlink
from cli.defaults import Value
from cli.flags import Chosen
from cli.submission import Submission
from cli.superlink import SuperLink
from operations import logs
from server.run_directory import is_held
from server.settings import SettingsError

_NOTICED_WITHIN = 20.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    superlink.add_arguments(parser)
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
    with flags.claimed(chosen) as claimed:
        console = following.console("submit", claimed.path.name)
        with following.told(claimed, console), tempfile.TemporaryDirectory(prefix="pps-qmix-") as home:
            following.follow(claimed, _player(claimed, link, Path(home)), lambda: None, options.retries, console)
    return 0


def _player(chosen: Chosen, link: SuperLink, home: Path) -> Callable[[dict[str, Value], Callable[[str], None]], None]:
    log = chosen.path / "logs" / "run.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def play(given: dict[str, Value], _: Callable[[str], None]) -> None:
        submission = Submission(link, given, home, log)
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
