"""`pps-qmix admit`: tells a SuperLink which SuperNodes are its own, by their public keys."""

from __future__ import annotations

import argparse

from cli import superlink
from operations.paths import shown, user_path
from pps_qmix.runtime.admission import admit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    superlink.add_arguments(parser)
    parser.add_argument("keys", nargs="+", type=user_path, metavar="KEY", help="coordinator/supernodes/seat-*.pub")


def run(options: argparse.Namespace) -> int:
    """Register the keys that are not known yet. Raises ValueError for wrong flags and files, PartFailedError."""
    for key, new in admit(superlink.choose(options), options.keys):
        print(f"{shown(key.name)}: {'admitted' if new else 'was admitted already'}", flush=True)
    return 0
