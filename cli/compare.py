"""`pps-qmix compare`: writes a page that shows runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.plain_console import PlainConsole
from operations.paths import shown, user_path
from pps_qmix.configuration import default_config
from pps_qmix.status import BROKEN, named_run

_PAGE = "compare.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    runs = default_config()["runs"]
    parser.add_argument(
        "run", nargs="*", metavar="RUN", help="a run: its folder, or its name in --runs (default: all runs there)"
    )
    parser.add_argument(
        "--runs", type=user_path, default=Path(str(runs)), metavar="FOLDER", help="of the runs (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=user_path,
        metavar="FILE",
        help=f"the page (default: index.html in --runs; {_PAGE} for the runs that you name)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the page; 1 if a run cannot be read. Raises RunDirectoryError, OSError, ValueError if there are no runs."""
    from pps_qmix.comparison.compared_run import runs_in  # noqa: PLC0415
    from pps_qmix.comparison.page import index_path, write_comparison  # noqa: PLC0415 - NumPy

    paths = [named_run(name, options.runs) for name in options.run] or runs_in(options.runs)
    if not paths:
        raise ValueError(f"runs: expected a folder with runs, found none in {options.runs}")
    page = options.out or (Path(_PAGE) if options.run else index_path(options.runs))
    found = write_comparison(page, paths)
    console = PlainConsole()
    broken = [each.path for each in found if each.state == BROKEN]
    for path in broken:
        console.say(f"{shown(path)} cannot be read; pps-qmix status {shown(path)} says why")
    console.say(f"page: {shown(page)}")
    return 1 if broken else 0
