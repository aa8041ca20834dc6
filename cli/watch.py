"""`pps-qmix watch`: plays battles and makes a page of them to look at."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

from cli.plain_console import PlainConsole
from operations.paths import real_path, shown, user_path
from operations.suggestions import did_you_mean
from pps_qmix.runtime.battles import check_request

if TYPE_CHECKING:
    from pps_qmix.viewer.film import Film

_MOST_BATTLES = 64  # beyond, a browser has much to load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "team", metavar="RUN_OR_POLICY", help="a run directory, or random, nearest, focus, heuristic, heuristic-rest"
    )
    parser.add_argument("--map", help="needed for a policy; a run has its own")
    parser.add_argument("--battles", type=int, default=3, metavar="N", help="battles to play (default: 3)")
    parser.add_argument(
        "--team", dest="of_team", type=int, metavar="T", help="whose agents play, of a run of several (default: 0)"
    )
    parser.add_argument("--seed", type=int, help="of the battles (default: the run's; 0 for a policy)")
    parser.add_argument("--backend", help="what plays the battles (default: the run's; skirmish for a policy)")
    parser.add_argument("--backend-options", metavar="'NAME=VALUE, ...'", help="how it runs (default: the run's)")
    parser.add_argument("--out", default="watch.html", metavar="FILE", help="the page (default: watch.html)")
    parser.add_argument("--gif", metavar="FILE", help="make an animated picture of the first battle, too")


def run(options: argparse.Namespace) -> int:
    """Play, write, tell.

    Raises ValueError, RunDirectoryError or OSError for what a user can put right, BackendFailedError.
    """
    check_request(options.battles, options.seed, _MOST_BATTLES)
    page = user_path(options.out)
    picture = user_path(options.gif) if options.gif is not None else None
    if picture is not None and real_path(picture) == real_path(page):
        raise ValueError(f"gif: expected another file than the page's, found {picture}")

    from pps_qmix.viewer.files import writer  # noqa: PLC0415
    from pps_qmix.viewer.film import verdict  # noqa: PLC0415 - these load the simulator
    from pps_qmix.viewer.gif import make_gif  # noqa: PLC0415
    from pps_qmix.viewer.page import make_page  # noqa: PLC0415

    with contextlib.ExitStack() as files:  # first: no battle is played for a file that cannot be written
        write_page = files.enter_context(writer(page))
        write_picture = files.enter_context(writer(picture)) if picture is not None else None
        film = _film(options)
        if write_picture is not None:
            write_picture(make_gif(film, film.recordings[0]))
        write_page(make_page(film).encode())
    console = PlainConsole()
    for number, recording in enumerate(film.recordings, 1):
        console.say(f"battle {number}: {verdict(recording, film.facts.n_agents)}")
    console.say(f"page: {shown(page)}")
    if picture is not None:
        console.say(f"animated picture of battle 1: {shown(picture)}")
    return 0


def _film(options: argparse.Namespace) -> Film:
    from envproxy.backends.skirmish.policies import NAMES  # noqa: PLC0415
    from pps_qmix.viewer.recorded_battles import film_policy, film_run  # noqa: PLC0415 - loads the simulator

    if options.team in NAMES:
        if options.of_team is not None:
            raise ValueError(f"team: expected a run with --team, found the policy {options.team!r}; omit --team")
        if options.map is None:
            raise ValueError(f"map: the policy {options.team!r} needs one: --map NAME (pps-qmix maps lists them)")
        backend, how = options.backend or "skirmish", options.backend_options or ""
        return film_policy(options.team, options.map, options.battles, options.seed or 0, backend, how)
    if not options.team:
        raise ValueError(f"run: expected a policy ({', '.join(NAMES)}) or a run directory, found nothing")
    run = user_path(options.team)
    if not run.is_dir():
        hint = did_you_mean(options.team, NAMES)
        raise ValueError(f"{options.team}: expected a policy ({', '.join(NAMES)}) or a run directory{hint}")
    played_on = (options.backend, options.backend_options)
    return film_run(run, options.map, options.battles, options.seed, *played_on, options.of_team or 0)
