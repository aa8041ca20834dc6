"""The `pps-qmix` command."""

from __future__ import annotations

import argparse
import io
import re
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from cli import (
    admit,
    agent,
    certs,
    compare,
    dashboard,
    doctor,
    envproxy,
    evaluate,
    experiment,
    flags,
    listing,
    status,
    strategy_flags,
    submit,
    train,
    watch,
)
from cli.failures import RUN_FAILURES, USAGE_ERRORS
from operations import logs
from operations.interrupts import kept_interrupts
from operations.paths import shown
from operations.suggestions import did_you_mean
from pps_qmix.surroundings import check_working_directory

USAGE_ERROR, RUN_FAILED, INTERRUPTED = 2, 1, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong, and what was probably meant, in one line."""

    def error(self, message: str) -> NoReturn:
        if wrong := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message):
            message += did_you_mean(wrong[1], re.findall(r"[\w-]+", wrong[2]))
        self.exit(USAGE_ERROR, f"{self.prog}: {shown(message)} (see {self.prog} --help)\n")


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the whole command. The strategy that `arguments` choose adds its own flags."""
    parser = _Parser(prog="pps-qmix", description="Federated multi-agent Q-learning: PPS-QMIX on Flower.")
    parser.add_argument("--version", action="version", version=version("pps-qmix"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, help_, add_arguments, run in (
        ("train", "train a team on this machine, over Flower or in this process", train.add_arguments, train.run),
        ("submit", "submit a run to a running SuperLink, and follow it", submit.add_arguments, submit.run),
        ("envproxy", "serve the battles of one or more arenas", envproxy.add_arguments, envproxy.run),
        ("agent", "run a device: the SuperNode and the agent of one seat", agent.add_arguments, agent.run),
        ("certs", "make certificates, keys and tokens, one folder for each machine", certs.add_arguments, certs.run),
        ("admit", "register devices at a SuperLink", admit.add_arguments, admit.run),
        ("evaluate", "play battles with the agents of a run", evaluate.add_arguments, evaluate.run),
        (
            "watch",
            "play battles and write a page that shows them",
            watch.add_arguments,
            watch.run,
        ),
        ("compare", "write a page that compares runs", compare.add_arguments, compare.run),
        ("dashboard", "serve a page that follows runs", dashboard.add_arguments, dashboard.run),
        ("experiment", "play many runs and compare methods over seeds", experiment.add_arguments, experiment.run),
        ("doctor", "check what this machine needs for a run", doctor.add_arguments, doctor.run),
        ("status", "show the state of a run and of the devices of this machine", status.add_arguments, status.run),
        ("strategies", "list the strategies", None, listing.show_strategies),
        ("maps", "list the maps", listing.add_map_arguments, listing.show_maps),
    ):
        command = commands.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
        if add_arguments is not None:
            add_arguments(command)
        if name in ("train", "submit"):
            flags.add_arguments(command, arguments)
            strategy_flags.add_arguments(command, arguments)
        command.set_defaults(call=run, parser=command)  # not "run": that is an argument of `evaluate`
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 if a run failed, 2 for wrong arguments, 130 if interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # as standard error is: what it has no sign for is shown as its escape
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parsed(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # else nohup has it ignored
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        check_working_directory()
        with kept_interrupts():
            code: int = options.call(options)
    except KeyboardInterrupt:
        _tell("interrupted; everything it started has ended")
        return INTERRUPTED
    except RUN_FAILURES as error:
        _tell(str(error))
        return RUN_FAILED
    except USAGE_ERRORS as error:
        _tell(str(error))
        return USAGE_ERROR
    return code


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    options, unknown = build_parser(arguments).parse_known_args(arguments)
    if unknown:
        options, _ = build_parser([*arguments, flags.HELP_ALL]).parse_known_args(arguments)  # whose help has all flags
        command: _Parser = options.parser
        flag = next((word.partition("=")[0] for word in unknown if word.startswith("--")), "")
        known = re.findall(r"--[\w-]+", command.format_help())
        command.error(f"unrecognized arguments: {' '.join(unknown)}{did_you_mean(flag, known)}")
    return options


def _tell(message: str) -> None:
    print(logs.last_word("pps-qmix", message), file=sys.stderr)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
