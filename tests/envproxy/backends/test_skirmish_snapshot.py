"""A battle that goes on from a snapshot is the battle that the snapshot was taken of."""

import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.backends.skirmish import Skirmish, Snapshot, create, map_names
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.backends.skirmish.records import UNIT
from envproxy.rules import SMAC_RULES, Rules
from operations.simulator import SIMULATOR


def begun(map_name: str, battles: int, steps: int, seed: int = 0) -> Skirmish:
    """Return battles that the scripts have played for some steps: units have targets, wounds and shots in the air."""
    arena, rng = create(map_name, battles), np.random.default_rng(seed)
    arena.reset(np.ones(battles, bool), np.arange(battles, dtype=np.uint64) + np.uint64(seed))
    for _ in range(steps):
        arena.step(POLICIES["focus"](arena, arena.observe(), rng))
    return arena


def play_on(arena: Skirmish, battle: int, steps: int = 25) -> list[bytes]:
    """Play one battle with random actions that depend on nothing but what it shows; return all that it shows."""
    rng = np.random.default_rng(1)
    history = []
    for _ in range(steps):
        seen = arena.observe()
        actions = POLICIES["random"](arena, seen, np.random.default_rng(2))
        actions[battle] = (rng.random(seen.available[battle].shape) * seen.available[battle]).argmax(-1)
        result = arena.step(actions)
        history += [array[battle].tobytes() for array in (*result, *arena.observe())]
    return history


@pytest.mark.parametrize("map_name", map_names())
def test_a_restored_battle_continues_identically(map_name: str) -> None:
    arena = begun(map_name, battles=3, steps=12)
    kept = arena.snapshot(1)
    expected = play_on(arena, 1)
    arena.restore(1, kept)
    assert play_on(arena, 1) == expected, "in its own slot"
    arena.restore(0, kept)
    assert play_on(arena, 0) == expected, "in another slot, a second time"
    alone = create(map_name, 1)
    alone.restore(0, kept)
    assert play_on(alone, 0) == expected, "in a batch of another size that was never reset"
    other = begun(map_name, battles=5, steps=30, seed=9)
    other.restore(4, Snapshot.from_bytes(kept.to_bytes()))
    assert play_on(other, 4) == expected, "from bytes, among battles of another age"


def test_restoring_changes_no_other_battle() -> None:
    arena = begun("2s3z", battles=3, steps=12)
    before = [arena.snapshot(battle) for battle in range(3)]
    arena.restore(1, begun("2s3z", battles=1, steps=20, seed=5).snapshot(0))
    for battle in (0, 2):
        assert (arena.units[battle] == before[battle].units).all()
        assert arena.progress[battle] == before[battle].progress
    assert (arena.units[1] != before[1].units).any()


def test_a_battle_that_is_over_or_has_not_begun_can_be_kept_too() -> None:
    over, fresh = begun("3m", battles=1, steps=60), create("3m", 1)
    target = begun("3m", battles=2, steps=3)
    target.restore(0, over.snapshot(0))
    target.restore(1, fresh.snapshot(0))
    for seen, of_over, of_fresh in zip(target.observe(), over.observe(), fresh.observe(), strict=True):
        np.testing.assert_array_equal(seen[0], of_over[0])
        np.testing.assert_array_equal(seen[1], of_fresh[0])


@pytest.mark.parametrize("battle", [-1, 2])
def test_a_slot_that_is_not_there_is_named(battle: int) -> None:
    arena = begun("3m", battles=2, steps=1)
    with pytest.raises(ValueError, match=rf"no battle {battle}; there are 0\.\.1"):
        arena.snapshot(battle)
    with pytest.raises(ValueError, match=rf"no battle {battle}; there are 0\.\.1"):
        arena.restore(battle, arena.snapshot(0))


def test_another_maps_battle_is_refused() -> None:
    with pytest.raises(ValueError, match="a battle of 8m; expected one of 3m"):
        create("3m", 1).restore(0, begun("8m", battles=1, steps=1).snapshot(0))


def test_a_battle_under_other_rules_is_refused() -> None:
    dense = create("3m", 1, Rules(reward_scale_rate=10.0))
    kept = dense.snapshot(0)
    dense.restore(0, Snapshot.from_bytes(kept.to_bytes()))
    with pytest.raises(ValueError, match="under the rules reward-scale-rate=10; expected SMAC's defaults"):
        create("3m", 1).restore(0, kept)


def changed(data: bytes, **entries: NDArray[np.generic]) -> bytes:
    """Return a snapshot's bytes with other entries."""
    archive = io.BytesIO()
    np.savez(archive, **{**np.load(io.BytesIO(data)), **entries})
    return archive.getvalue()


def test_a_snapshot_of_another_simulator_is_refused() -> None:
    data = begun("3m", battles=1, steps=5).snapshot(0).to_bytes()
    with pytest.raises(ValueError, match=f"simulator version {SIMULATOR + 1} played the battles, and this pps-qmix"):
        Snapshot.from_bytes(changed(data, simulator=np.array(SIMULATOR + 1)))
    entries = {name: entry for name, entry in np.load(io.BytesIO(data)).items() if name != "simulator"}
    np.savez(before := io.BytesIO(), **entries)
    with pytest.raises(ValueError, match="simulator version 1 played the battles"):
        Snapshot.from_bytes(before.getvalue())


def test_other_formats_and_layouts_are_refused() -> None:
    kept = begun("3m", battles=1, steps=5).snapshot(0)
    data = kept.to_bytes()
    assert Snapshot.from_bytes(changed(data)).to_bytes()
    with pytest.raises(ValueError, match="format 2; expected 1"):
        Snapshot.from_bytes(changed(data, format=np.array(2), rules=np.array("mercy=true")))
    with pytest.raises(ValueError, match=r"no snapshot, or a damaged one .*there is no 'mercy'"):
        Snapshot.from_bytes(changed(data, rules=np.array("mercy=true")))
    fewer = [name for name in kept.units.dtype.names or () if name != "energy"]
    for units in (kept.units[fewer], np.zeros(6)):
        with pytest.raises(ValueError, match="other records"):
            Snapshot.from_bytes(changed(data, units=units))


def test_damaged_bytes_are_refused() -> None:
    data = begun("3m", battles=1, steps=5).snapshot(0).to_bytes()
    lone_array = io.BytesIO()
    np.save(lone_array, np.zeros(3))
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    cut = [data[:length] for length in range(0, len(data), 97)]
    for damaged in (*cut, bytes(flipped), lone_array.getvalue(), b"battle"):
        with pytest.raises(ValueError, match="no snapshot, or a damaged one"):
            Snapshot.from_bytes(damaged)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x", 32.0),
        ("y", np.nan),
        ("kind", 2),
        ("last_action", 9),
        ("target", 6),
        ("victim", -2),
        ("attacker", 99),
        ("healing", 6),
        ("by_x", -1),
        ("look", 1),
        ("spotter", 3),
        ("pace", -1e12),
        ("pace", 10.0),
        ("heading_x", 1e12),
        ("heading_y", -1.1),
        ("heading_y", math.nan),
    ],
)
def test_what_compiled_code_would_use_as_an_index_is_checked(field: str, value: float) -> None:
    arena = begun("3m", battles=1, steps=5)
    kept = arena.snapshot(0)
    units = kept.units.copy()
    units[field][2] = value
    with pytest.raises(ValueError, match=f"damaged snapshot: a unit with a {field} outside"):
        arena.restore(0, Snapshot("3m", SMAC_RULES, units, kept.progress))
    assert (arena.units[0] == kept.units).all()


@pytest.mark.parametrize("field", [name for name in UNIT.names or () if UNIT[name] == np.float64])
def test_values_that_are_not_numbers_are_refused(field: str) -> None:
    arena = begun("2c_vs_64zg", battles=1, steps=5)
    kept = arena.snapshot(0)
    units = kept.units.copy()
    units[field][1] = math.nan
    with pytest.raises(ValueError, match=f"damaged snapshot: a unit with a {field}"):
        arena.restore(0, Snapshot("2c_vs_64zg", SMAC_RULES, units, kept.progress))


def test_a_new_field_of_whole_numbers_is_a_new_index_or_not() -> None:
    indexes = {
        "kind",
        "last_action",
        "target",
        "victim",
        "attacker",
        "healing",
        "by_x",
        "look",
        "spotter",
    }  # checked: see above
    # Never an index.
    counts = {"order", "detour", "detour_in", "strikes", "shots", "calm", "look_in", "help_in", "shown_to"}
    assert {name for name in UNIT.names or () if UNIT[name] == np.int64} == indexes | counts


def test_impossible_sizes_and_phases_are_refused() -> None:
    arena = begun("3m", battles=1, steps=5)
    kept = arena.snapshot(0)
    with pytest.raises(ValueError, match="with 5 units; 3m has 6"):
        arena.restore(0, Snapshot("3m", SMAC_RULES, kept.units[:5].copy(), kept.progress))
    progress = kept.progress.copy()
    progress["phase"] = 7
    with pytest.raises(ValueError, match="phase 7"):
        arena.restore(0, Snapshot("3m", SMAC_RULES, kept.units, progress))


def test_a_snapshot_cannot_be_changed_by_accident() -> None:
    arena = begun("3m", battles=1, steps=5)
    kept = arena.snapshot(0)
    before = kept.units["x"].copy()
    arena.step(POLICIES["focus"](arena, arena.observe(), np.random.default_rng(0)))
    np.testing.assert_array_equal(kept.units["x"], before)
    with pytest.raises(ValueError, match="read-only"):
        kept.units["x"] = 0.0
