"""`pps-qmix train`: a whole run on this machine, over Flower or in this process."""

from __future__ import annotations

import argparse

from cli import flags, memory_flag, run_display
from operations import logs
from pps_qmix import training
from pps_qmix.requested_run import claimed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        choices=training.RUNTIMES,
        help="flower: over Flower, as processes of this machine; in-process: the same agents in this process (default: "
        "a resumed run keeps its runtime; flower, or in-process with --centralised)",
    )
    run_display.add_arguments(parser)
    memory_flag.add_arguments(parser)
    logs.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Train.

    Raises SettingsError (and other ValueErrors) for wrong flags, RunDirectoryError, DeviceError, BackendFailedError,
    or PartFailedError.
    """
    logs.choose(options.log_format)
    requested = flags.choose(options)
    runtime = training.chosen_runtime(requested, options.runtime)
    training.check_here(requested, runtime, memory=not options.no_memory_check)
    with claimed(requested) as run:
        if runtime == training.IN_PROCESS:
            run_display.silence_logs()
        display = run_display.RunDisplay(run_display.console("train", run.path.name))
        training.play(run, runtime, options.retries, display)
    display.conclude(run.path, run.settings.total_steps)
    return 0
