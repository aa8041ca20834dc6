"""StarCraft II: what of it is installed, as the backend smac tells, and one real start of one game."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np

from envproxy.backend import Backend, BackendFailedError, create_backend, map_names
from envproxy.backends.smac.installation import Found, find_installation
from envproxy.backends.smac.options import GameOptions
from envproxy.backends.smac.probe import other_smac
from envproxy.rules import Rules
from pps_qmix.doctor.finding import Finding, failed, ok, warning

BACKEND = "smac"


def check_starcraft(map_name: str, rules: Rules, options: str) -> Iterator[Finding]:
    """Look at what a battle of this map needs, and start one. `options` is the setting backend-options.

    Raises UnknownNameError, and OptionsError for rules or options that the backend does not have; nothing is started
    before.
    """
    battle = create_backend(BACKEND, map_name, 1, rules, options)
    installation = find_installation(GameOptions.parse(options), map_name, rules.game_version, map_names(BACKEND))
    yield from map(_finding, installation.found)
    if all(found.is_right or not found.is_needed for found in installation.found):
        yield _check_start(battle)


def check_own_smac() -> Iterator[Finding]:
    """Recognise the package that the index calls smac in our own environment. Nothing if there is none."""
    if says := other_smac():
        yield warning("smac", says)


def _finding(found: Found) -> Finding:
    if found.is_right:
        return ok(found.what, found.says)
    return (failed if found.is_needed else warning)(found.what, found.says)


def _check_start(battle: Backend) -> Finding:
    """Start a game with its first battle, and close it."""
    logging.getLogger("envproxy").addHandler(logging.NullHandler())  # each try would be told beside the finding
    check = "start of a game"
    try:
        battle.prepare()
        began = time.monotonic()
        battle.reset(np.ones(1, np.bool_), np.zeros(1, np.uint64))
        took = time.monotonic() - began
    except BackendFailedError as error:
        return failed(check, str(error))
    finally:
        battle.close()
    return ok(check, f"{battle.spec.name}: {took:.1f} s until its first observation")
