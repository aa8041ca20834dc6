"""`pps-qmix admit`: tells a SuperLink which SuperNodes are its own, by their public keys."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cli import superlink
from cli.parts import PartFailedError
from operations import proxies
from operations.paths import shown, user_path
from server.flower_internals import PUBLIC_KEY_ALREADY_IN_USE

_TRIES = 3  # calls for a key, of a minute at most each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    superlink.add_arguments(parser)
    parser.add_argument("keys", nargs="+", type=user_path, metavar="KEY", help="coordinator/supernodes/seat-*.pub")


def run(options: argparse.Namespace) -> int:
    """Register the keys that are not known yet. Raises ValueError for wrong flags and files, PartFailedError."""
    link = superlink.choose(options)
    missing = [str(key) for key in options.keys if not key.is_file()]
    if missing:
        raise ValueError(f"keys: there is no file {missing[0]}")
    with tempfile.TemporaryDirectory(prefix="pps-qmix-") as home:
        environment = {**proxies.environment(), **link.environment(Path(home))}
        for key in options.keys:
            print(f"{shown(key.name)}: {_admit(key, link.address, environment)}", flush=True)
    return 0


def _admit(key: Path, address: str, environment: Mapping[str, str]) -> str:
    for _ in range(_TRIES):
        said = superlink.ask(
            environment, "supernode", "register", str(key.absolute()), superlink.PROFILE, "--format", "json"
        )
        try:
            document = json.loads(said)
        except ValueError:
            continue
        if document.get("success"):
            return "admitted"
        reason = " ".join(str(document.get("error-message", said)).split())
        if PUBLIC_KEY_ALREADY_IN_USE in reason:
            return "was admitted already"
        raise PartFailedError(f"the SuperLink at {address} has not taken {key}: {reason}")
    raise PartFailedError(f"the SuperLink at {address} does not answer")
