"""`pps-qmix evaluate RUN`: plays battles with the agents of a run's newest checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from cli.plain_console import PlainConsole
from operations.paths import user_path
from pps_qmix.configuration import default_config
from pps_qmix.runtime.battles import check_request
from server.report.summary import Rate, Row, of_kind, together, told
from server.report.words import percent
from server.run_directory import read_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run directory")
    battles = default_config()["evaluate-battles"]
    parser.add_argument(
        "--evaluate-battles", type=int, default=battles, metavar="N", help="battles to play (default: %(default)s)"
    )
    parser.add_argument("--team", type=int, default=0, metavar="T", help="whose agents play, of several (default: 0)")
    parser.add_argument("--seed", type=int, help="of the battles (default: the run's)")
    parser.add_argument("--backend", help="what plays the battles (default: the run's)")
    parser.add_argument("--backend-options", metavar="'NAME=VALUE, ...'", help="how it runs (default: the run's)")


def run(options: argparse.Namespace) -> int:
    """Evaluate.

    Raises RunDirectoryError if there is nothing to evaluate, ValueError for wrong flags, BackendFailedError.
    """
    from pps_qmix.runtime.evaluation import evaluate, read_trained_team  # noqa: PLC0415 - loads torch

    check_request(options.evaluate_battles, options.seed, name="evaluate-battles")
    if not options.run:
        raise ValueError("run: expected a run directory, found nothing")
    trained = read_trained_team(user_path(options.run), options.team)
    backend = trained.backend(options.evaluate_battles, options.backend, options.backend_options)
    console = PlainConsole()
    if not backend.repeatable:
        name = options.backend or trained.settings.backend
        console.say(f"{name} cannot repeat battles: the next evaluation plays others with any seed")
    result = evaluate(trained, backend, options.evaluate_battles, options.seed)
    rate = Rate(result.won, result.battles)
    low, high = rate.interval
    console.say(
        f"{result.won} of {result.battles} battles won: win rate {100 * rate.share:.1f} %, "
        f"95 % interval {100 * low:.0f} to {percent(high)}"
    )
    console.say(f"return {result.return_mean:.2f}, length {result.length_mean:.1f} steps")
    tests = [_of_team(row, options.team) for row in of_kind(read_rows(trained.run), "evaluation")]
    for line in _compared(rate, trained.checkpoint.steps, tests):
        console.say(line)
    return 0


def _of_team(test: Row, team: int) -> Row:
    """Return what a test says of a team; of a run of one team, and where the team was late, what it says of all."""
    own: Row = test.get("teams", {}).get(str(team), test)
    return own


def _compared(rate: Rate, steps: int, tests: Sequence[Row]) -> Iterator[str]:
    """Say why a rate of the agents after `steps` differs from that of the run's last test."""
    if not tests:
        return
    last = tests[-1]
    yield f"last test of the run: win rate {told(together([last]))} at step {last['steps']:,}"
    later = f", by agents that had learned for {steps - last['steps']:,} more steps" if steps > last["steps"] else ""
    yield f"why they differ: the test had {last['battles']} battles, this has {rate.battles} others{later}"
    yield "more battles (--evaluate-battles) make the interval narrower"
