"""One whole battle, to continue from later: in memory, or as bytes."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import NEVER_RESET, NO_ACTION, NO_UNIT, OVER, PROGRESS, UNIT
from envproxy.rules import Rules
from operations.simulator import BACKEND, SIMULATOR, other_simulator

FORMAT: Final = 1  # one more with every change of what the records mean; a change of their layout is noticed anyway
# What numpy's and zipfile's readers raise over bytes that are cut or changed.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All that a battle's future depends on, besides the rules and the actions. The arrays are read-only."""

    map_name: str
    rules: Rules
    units: NDArray[np.void]  # UNIT [U]
    progress: NDArray[np.void]  # PROGRESS []

    def __post_init__(self) -> None:
        self.units.setflags(write=False)
        self.progress.setflags(write=False)

    def to_bytes(self) -> bytes:
        """Return it as an npz archive."""
        archive = io.BytesIO()
        np.savez(
            archive,
            format=np.array(FORMAT),
            simulator=np.array(SIMULATOR),
            map_name=np.array(self.map_name),
            rules=np.array(self.rules.text()),
            units=self.units,
            progress=self.progress,
        )
        return archive.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Return the snapshot that `to_bytes` wrote. Raises ValueError for anything else."""
        with _damage_is_named():
            entries = dict(np.load(io.BytesIO(data), allow_pickle=False))
            version, simulator = int(entries["format"]), int(entries.get("simulator", 0))
        if version != FORMAT:
            raise ValueError(f"a snapshot of format {version}; expected {FORMAT}: take it again with this version")
        if reason := other_simulator(BACKEND, simulator):
            raise ValueError(f"a snapshot that cannot be continued: {reason}; take it again with this version")
        with _damage_is_named():
            map_name, rules = str(entries["map_name"]), Rules.parse(str(entries["rules"]))
            units, progress = entries["units"], entries["progress"]
        if units.dtype != UNIT or progress.dtype != PROGRESS:
            raise ValueError("a snapshot with other records than this version's: take it again with this version")
        return cls(map_name, rules, units, progress)


def check_fits(snapshot: Snapshot, map_name: str, rules: Rules, facts: MapFacts) -> None:
    """Raise ValueError unless a snapshot is one of these battles, so that compiled code may play it.

    Compiled code uses as an index, unchecked, what it reads and where a stride leads, and a snapshot may come from
    anywhere.
    """
    if snapshot.map_name != map_name:
        raise ValueError(f"a snapshot of a battle of {snapshot.map_name}; expected one of {map_name}")
    if snapshot.rules != rules:
        found, expected = (one.text() or "SMAC's defaults" for one in (snapshot.rules, rules))
        raise ValueError(f"a snapshot of a battle under the rules {found}; expected {expected}")
    if snapshot.units.shape != facts.roster.shape or snapshot.progress.shape != ():
        raise ValueError(f"a snapshot with {snapshot.units.size} units; {map_name} has {facts.roster.size}")
    n_units, (height, width) = len(facts.roster), facts.pathable.shape
    bounds = {
        "x": (0, width),
        "y": (0, height),
        "kind": (0, len(facts.kinds)),
        "last_action": (NO_ACTION, facts.n_actions),
        "by_x": (0, n_units),
        "look": (0, max(1, len(facts.looks))),
        "spotter": (NO_UNIT, facts.n_agents),
        "pace": (0.0, _above(facts.kinds["speed"].max())),
        **dict.fromkeys(("heading_x", "heading_y"), (-_above(1.0), _above(1.0))),
        **dict.fromkeys(("target", "victim", "attacker", "healing"), (NO_UNIT, n_units)),
    }
    for field, (lowest, bound) in bounds.items():
        values = snapshot.units[field]
        if not ((lowest <= values) & (values < bound)).all():
            raise ValueError(f"a damaged snapshot: a unit with a {field} outside {lowest} <= {field} < {bound}")
    for field in (name for name in UNIT.names or () if UNIT[name] == np.float64):
        if np.isnan(snapshot.units[field]).any():
            raise ValueError(f"a damaged snapshot: a unit with a {field} that is no number")
    if not NEVER_RESET <= snapshot.progress["phase"] <= OVER:
        raise ValueError(f"a damaged snapshot: a battle in phase {snapshot.progress['phase']}")


def _above(value: float) -> float:
    """A bound that `value` is within, though it was rounded up."""
    return float(value) + 1e-6


@contextmanager
def _damage_is_named() -> Iterator[None]:
    """Make one kind of error of all that reading can raise."""
    try:
        yield
    except _UNREADABLE as error:
        raise ValueError(f"no snapshot, or a damaged one ({error}): expected what to_bytes returned") from error
