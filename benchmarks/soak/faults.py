"""Kills a part of a running federation, and sees when the team is whole again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import psutil

from benchmarks.soak.census import AGENT, CLIENTAPP, ENV_PROXY, SUPERNODE, Reading

MORTAL: Final = (AGENT, CLIENTAPP, SUPERNODE, ENV_PROXY)  # what a run continues without


class Fault(NamedTuple):
    """A process that was killed."""

    seconds: float  # since the soak began
    role: str
    part: str
    round: int  # the last one that had ended
    whole_after: float  # seconds until a later round had ended with all seats in it


def strike(readings: Sequence[Reading], last_round: int, chance: random.Random) -> Fault | None:
    """Kill (-9) one process of a role, both chosen by chance; None if there was none."""
    roles = sorted({each.role for each in readings} & set(MORTAL))
    if not roles:
        return None
    role = chance.choice(roles)
    victim = chance.choice([each for each in readings if each.role == role])
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(victim.pid)
        if process.create_time() == victim.started:
            process.kill()
    return Fault(victim.seconds, role, victim.part, last_round, float("nan"))


def whole_again(rounds: Sequence[Mapping[str, Any]], fell_after: int) -> bool:
    """Whether a round has ended with all seats in it that began after a fault in the round after `fell_after`."""
    return any(row["round"] > fell_after + 1 and not row["missing"] and not row["rejected"] for row in rounds)
