"""`pps-qmix certs`: makes certificates, keys and tokens, a folder for each machine."""

from __future__ import annotations

import argparse
import datetime
import re
from pathlib import Path

from operations.limits import ARENA_NAME
from operations.paths import shown, user_path
from pps_qmix.configuration import default_config
from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.credentials.hosts import is_host, plain_host


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=_folder, metavar="DIR", help="where the folders are made")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address under which devices reach the coordinator; may be given several times",
    )
    parser.add_argument(
        "--battle-host", action="append", metavar="NAME", help="the same of the battle host (default: as --host)"
    )
    parser.add_argument("--seats", type=int, default=3, help="agents of the map, see pps-qmix maps (%(default)s)")
    parser.add_argument("--arena", default=str(default_config()["arena"]), help="whose tokens (%(default)s)")
    parser.add_argument("--days", type=int, default=365, help="validity of the servers' certificates (%(default)s)")
    parser.add_argument(
        "--renew", action="store_true", help="write new server certificates, for the hosts they have and --host"
    )
    parser.add_argument(
        "--replace-seat",
        type=int,
        action="append",
        default=[],
        metavar="SEAT",
        help="write a new key and token for a seat whose device was lost",
    )


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a folder, found nothing")
    return user_path(text)


def run(options: argparse.Namespace) -> int:
    """Make what is missing. Raises ValueError for wrong flags or files that do not go together, OSError."""
    wanted = _check(options)
    made = list(Folders(options.directory).fill(wanted, datetime.datetime.now(datetime.UTC)))
    for line in made:
        print(f"made {shown(line)}")
    print(
        f"{shown(options.directory)}: {'' if made else 'nothing to do, '}{wanted.seats} seats of arena {wanted.arena}"
    )
    return 0


def _check(options: argparse.Namespace) -> Wanted:
    battle_hosts = options.battle_host or options.host
    for host in [*options.host, *battle_hosts]:
        if not is_host(host):
            raise ValueError(f"host: expected a name or an address, without a port, found {host!r}")
    if not 1 <= options.seats <= 1024:
        raise ValueError(f"seats: expected 1..1024, found {options.seats}")
    if not 1 <= options.days <= 3650:
        raise ValueError(f"days: expected 1..3650, found {options.days}")
    if not re.fullmatch(ARENA_NAME, options.arena):
        raise ValueError(f"arena: expected a name of letters, digits and ._-, found {options.arena!r}")
    replaced = frozenset(options.replace_seat)
    if not replaced <= set(range(options.seats)):
        raise ValueError(f"replace-seat: expected 0..{options.seats - 1}, found {max(replaced)}; --seats says how many")
    hosts, battle_hosts = ([plain_host(host) for host in named] for named in (options.host, battle_hosts))
    return Wanted(hosts, battle_hosts, options.seats, options.arena, options.days, options.renew, replaced)
