"""`pps-qmix dashboard`: serves a page that follows runs while they play."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.plain_console import PlainConsole
from operations.paths import shown, user_path
from pps_qmix.configuration import default_config
from server.run_directory import has_run

_HOST, _PORT = "127.0.0.1", 8050


def add_arguments(parser: argparse.ArgumentParser) -> None:
    runs = default_config()["runs"]
    parser.add_argument(
        "runs",
        nargs="?",
        type=user_path,
        default=Path(str(runs)),
        metavar="RUNS",
        help="the folder of the runs (default: %(default)s)",
    )
    parser.add_argument("--host", default=_HOST, help="address to listen on (default: %(default)s, this machine alone)")
    parser.add_argument("--port", type=_port, default=_PORT, help="port to listen on; 0: any (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted. Raises OSError if it cannot listen, ValueError if `runs` is not a folder."""
    folder: Path = options.runs
    if has_run(folder):
        raise ValueError(f"runs: expected the folder of the runs, found a run; name {shown(folder.absolute().parent)}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"runs: expected a folder, found the file {shown(folder)}")
    from pps_qmix.dashboard.serving import serve  # noqa: PLC0415 - Starlette and uvicorn

    console = PlainConsole()

    def tell(address: str) -> None:
        console.say(f"dashboard of {shown(folder)}: {address} (Ctrl-C ends it)")

    serve(folder, options.host, options.port, tell)
    return 0


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"expected 0..65535, found {text!r}")
    return int(text)
