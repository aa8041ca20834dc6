"""`pps-qmix evaluate RUN`: plays battles with the agents of a run's newest checkpoint."""

from __future__ import annotations

import argparse

from cli.plain_console import PlainConsole
from operations.paths import user_path
from pps_qmix.configuration import default_config
from pps_qmix.runtime.battles import check_request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument("--evaluate-battles", type=int, default=default_config()["evaluate-battles"], metavar="N")
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
    trained = read_trained_team(user_path(options.run))
    backend = trained.backend(options.evaluate_battles, options.backend, options.backend_options)
    console = PlainConsole()
    if not backend.repeatable:
        name = options.backend or trained.settings.backend
        console.say(f"{name} cannot repeat battles: the next evaluation plays others with any seed")
    result = evaluate(trained, backend, options.evaluate_battles, options.seed)
    console.say(
        f"{result.won} of {result.battles} battles won: win rate {result.won / result.battles:.3f}, "
        f"return {result.return_mean:.2f}, length {result.length_mean:.1f} steps"
    )
    return 0
