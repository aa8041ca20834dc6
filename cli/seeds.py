"""`python -m cli.seeds --told-on FD RUN...`: plays runs of an experiment that differ only in the seed, for the command
`pps-qmix experiment`, which starts it.

RUN is a run's directory in the experiment's folder. A line on the descriptor FD tells that a run has ended: `[run,
null]`, or `[run, reason]` for one that is not finished. The rest is in the log of the run.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from cli import run_display
from cli.failures import RUN_FAILURES, USAGE_ERRORS
from cli.main import INTERRUPTED
from cli.plain_console import PlainConsole
from operations import logs
from operations.files import read_text
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.schedule import schedule
from pps_qmix.experiment.seeds import play_seeds
from pps_qmix.experiment.spec import parse_experiment


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the runs; return 0, or 130 if interrupted, which a signal to end is, too."""
    parser = argparse.ArgumentParser(prog="python -m cli.seeds")
    parser.add_argument("--told-on", type=int, required=True, metavar="FD")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_display.silence_logs()
    try:
        _play(options.runs, options.told_on)
    except KeyboardInterrupt:
        print(logs.last_word("pps-qmix", "interrupted"), file=sys.stderr)
        return INTERRUPTED
    return 0


def _play(paths: Sequence[Path], told_on: int) -> None:
    folder, names = Folder(paths[0].parents[1]), {path.name for path in paths}
    plan = parse_experiment(read_text(folder.experiment))
    entries = schedule([run for run in plan.runs if run.name in names], folder)
    with ExitStack() as open_logs:
        consoles = {
            name: PlainConsole(file=open_logs.enter_context(open(folder.log(name), "a", encoding="utf-8")))
            for name in names
        }
        displays = {name: run_display.RunDisplay(console) for name, console in consoles.items()}
        playing = play_seeds(entries, folder, lambda entry: displays[entry.run.name])
        with closing(playing), open(told_on, "w", encoding="utf-8") as told:
            for entry, error in playing:
                name = entry.run.name
                reason = None if error is None else _last_words(error, consoles[name])
                if error is None:
                    displays[name].conclude(folder.run(name), entry.run.settings.total_steps)
                print(json.dumps([name, reason]), file=told, flush=True)


def _last_words(error: BaseException, console: PlainConsole) -> str:
    """Say in a run's log why it has ended, and return that in one line."""
    if isinstance(error, (*RUN_FAILURES, *USAGE_ERRORS)):
        reason = str(error)
        console.say(f"pps-qmix: {reason}")
    else:
        reason = f"{type(error).__name__}: {error}"
        console.say(logging.Formatter().formatException((type(error), error, error.__traceback__)))
    return " ".join(reason.split())


if __name__ == "__main__":
    sys.exit(main())
