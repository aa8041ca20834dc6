"""Tells a SuperLink which SuperNodes it may serve, by their public keys."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from operations import proxies
from pps_qmix.runtime.processes import PartFailedError
from pps_qmix.runtime.superlink import PROFILE, SuperLink, ask
from server.flower_internals import PUBLIC_KEY_ALREADY_IN_USE

_TRIES = 3  # calls for a key, of a minute at most each


def admit(link: SuperLink, keys: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Register public keys; yield each, and whether it was new to the SuperLink.

    Raises ValueError for a file that is missing, before any call; PartFailedError if the SuperLink refuses a key or
    does not answer.
    """
    missing = [str(key) for key in keys if not key.is_file()]
    if missing:
        raise ValueError(f"keys: the file {missing[0]} does not exist")
    with tempfile.TemporaryDirectory(prefix="pps-qmix-") as home:
        environment = {**proxies.environment(), **link.environment(Path(home))}
        for key in keys:
            yield key, _admit(key, link.address, environment)


def _admit(key: Path, address: str, environment: dict[str, str]) -> bool:
    for _ in range(_TRIES):
        said = ask(environment, "supernode", "register", str(key.absolute()), PROFILE, "--format", "json")
        try:
            document = json.loads(said)
        except ValueError:
            continue
        if document.get("success"):
            return True
        reason = " ".join(str(document.get("error-message", said)).split())
        if PUBLIC_KEY_ALREADY_IN_USE in reason:
            return False
        raise PartFailedError(f"the SuperLink at {address} has not taken {key}: {reason}")
    raise PartFailedError(f"the SuperLink at {address} does not answer")
