"""What a device says of itself, checked on its way in: which seats it holds, and what its arena plays."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from flwr.app import Message

from server.flower_internals import exception_text
from strategies.messages import CONFIG, METRICS

_SHOWN = 200  # characters of what a device said
_REASON = 1000  # characters of why it cannot play
_MOST_AGENTS = 1000  # of a team: no map of SMAC's has more than 27
_MOST_MEMBERS = 4096  # of a device
_MOST_PROVENANCE = 2000  # characters of what the battles are played on
_MOST_UNIT_TYPES = 20_000  # characters of the unit types of a team's seats


class RefusedError(Exception):
    """A device cannot play, or what it says of itself cannot be; the message is what it said, or why."""


class Described(NamedTuple):
    """A device, as it says itself."""

    rounds: dict[int, int]
    """The seats (numbers of members) that it holds -> the last round that the agent has kept."""
    capacity: int | None
    """How many members it can hold; None: it has a single seat."""
    is_named: bool
    """Whether its user has named the seats that it holds: it takes them also from a device that was given them."""
    n_agents: int
    """Of a team."""
    provenance: str
    """What its battles are played on: a JSON object of texts, or ""."""
    unit_types: str
    """Of a team's seats: a JSON list of names, or ""."""


def read_description(reply: Message, teams: int) -> Described:
    """Read a device's answer in a run of so many teams. Raises RefusedError."""
    if reply.has_error():
        raise RefusedError(error_text(reply)[:_REASON])
    numbers = dict(reply.content.metric_records.get(METRICS, {}))
    texts = dict(reply.content.config_records.get(CONFIG, {}))
    capacity = numbers.get("capacity")
    rounds, n_agents = _single(numbers) if capacity is None else _several(numbers)
    if not 2 <= n_agents <= _MOST_AGENTS:
        raise RefusedError(f"a device says that {n_agents} agents play; expected 2..{_MOST_AGENTS}")
    for seat in rounds:  # the others would be told of it, and no env proxy lets them name it
        if not 0 <= seat < teams * n_agents:
            raise RefusedError(f"a device says that it holds seat {seat}; expected 0..{teams * n_agents - 1}")
    return Described(
        rounds,
        capacity if isinstance(capacity, int) else None,
        capacity is None or numbers.get("named") == 1,
        n_agents,
        _provenance(texts.get("provenance")),
        _unit_types(texts.get("unit-types")),
    )


def _single(numbers: dict[str, Any]) -> tuple[dict[int, int], int]:
    """Return the seat with its round, and the number of agents, of a device with a single seat."""
    seat, n_agents, round_ = (numbers.get(name) for name in ("seat", "n-agents", "round"))
    if not (isinstance(seat, int) and isinstance(n_agents, int) and isinstance(round_, int)):
        found = f"seat {seat}, n-agents {n_agents}, round {round_}"[:_SHOWN]
        raise RefusedError(f"a device described itself with {found}; expected whole numbers")
    return {seat: round_}, n_agents


def _several(numbers: dict[str, Any]) -> tuple[dict[int, int], int]:
    """Return the same of a device that may hold several members."""
    capacity, n_agents, seats, rounds = (numbers.get(name) for name in ("capacity", "n-agents", "seats", "rounds"))
    if not (
        isinstance(capacity, int)
        and isinstance(n_agents, int)
        and isinstance(seats, list)
        and isinstance(rounds, list)
        and len(set(seats)) == len(seats) == len(rounds) <= capacity <= _MOST_MEMBERS
        and all(isinstance(each, int) for each in (*seats, *rounds))
    ):
        found = f"capacity {capacity}, n-agents {n_agents}, seats {seats}, rounds {rounds}"[:_SHOWN]
        raise RefusedError(
            f"a device described itself with {found}; expected different seats up to its capacity, at most "
            f"{_MOST_MEMBERS}, and a round for each"
        )
    return dict(zip(seats, rounds, strict=True)), n_agents


def error_text(reply: Message) -> str:
    """Return what went wrong, without Flower's wrapping of the exception's class."""
    return exception_text(str(reply.error.reason))


def _parsed(said: object, longest: int) -> object:
    """Return what a JSON text of at most `longest` characters holds; None for anything else."""
    if not isinstance(said, str) or len(said) > longest:
        return None
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def _provenance(said: object) -> str:
    """Return what a device says of the game, if it is printable names and texts; else nothing: it is for the record."""
    told = _parsed(said, _MOST_PROVENANCE)
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        return ""
    return str(said) if "".join([*told, *told.values()]).isprintable() else ""  # surrogates cannot be in a file


def _unit_types(said: object) -> str:
    """Return what a device says of the seats' unit types, if it is a list of printable words; else nothing."""
    told = _parsed(said, _MOST_UNIT_TYPES)
    if not isinstance(told, list) or not all(isinstance(each, str) and each.isidentifier() for each in told):
        return ""
    return str(said)
