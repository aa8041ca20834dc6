"""What units did in a step, worked out by hand from what a game shows before and after it.

Actions: 0 no-op, 1 stop, 2 to 5 moves, 6+k target k. Rows of the scenes: allies first.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.backends import skirmish, smac
from envproxy.backends.skirmish.maps import map_facts
from envproxy.backends.skirmish.policies import focus
from envproxy.backends.smac.frames import Moment, begin, follow, healing_kinds, kinds_of
from envproxy.backends.smac.worker import FRAME
from envproxy.maps import battle_map, map_names
from envproxy.maps import smac as smac_maps
from envproxy.recording import NO_ACTION, NO_UNIT
from envproxy.rules import SMAC_RULES
from tests.starcraft.battle import battle_seed
from tests.starcraft.host import battle_host

KINDS = np.array([0, 1, 2, 2], np.int16)  # the allies' two and the enemy's
NO_HEALER = np.zeros(3, np.bool_)
SECOND_HEALS = np.array([False, True, False])
FIRST_TARGET = 6


def shown(*units: Sequence[float]) -> NDArray[np.float32]:
    """Units as a game shows them: x, y, health, shield, energy, cooldown."""
    return np.array(units, np.float32)


def two_a_side(
    cooldowns: Sequence[float] = (0, 0, 0, 0),
    healths: Sequence[float] = (45, 45, 45, 45),
    energies: Sequence[float] = (0, 0, 0, 0),
) -> NDArray[np.float32]:
    """Two allies at x = 1 and 2, two enemies at x = 3 and 4."""
    of_each = enumerate(zip(healths, energies, cooldowns, strict=True), 1)
    return shown(*((x, 9.5, health, 0, energy, cooldown) for x, (health, energy, cooldown) in of_each))


def step(
    before: Moment, actions: Sequence[int], now: NDArray[np.float32], heals: NDArray[np.bool_] = NO_HEALER
) -> Moment:
    return follow(before, np.array(actions, np.uint8), now, heals, FIRST_TARGET)


def begun(shown: NDArray[np.float32]) -> Moment:
    return begin(shown, KINDS)


def test_a_battle_begins_with_units_that_have_done_nothing() -> None:
    frame = begin(shown((1.5, 2.5, 45, 0, 0, 0), (3, 4, 80, 60, 50, 0)), np.array([0, 1], np.int16)).frame
    assert frame["kind"].tolist() == [0, 1]
    assert frame["x"].tolist() == [1.5, 3]
    assert frame["y"].tolist() == [2.5, 4]
    assert frame["health"].tolist() == [45, 80]
    assert frame["shield"].tolist() == [0, 60]
    assert frame["energy"].tolist() == [0, 50]
    assert frame["last_action"].tolist() == [NO_ACTION, NO_ACTION]
    for name in ("target", "victim", "healing"):
        assert frame[name].tolist() == [NO_UNIT, NO_UNIT]
    assert frame["shots"].tolist() == [0, 0]


def test_targets_are_those_of_the_last_actions() -> None:
    first = step(begun(two_a_side()), [7, 2], two_a_side())
    assert first.frame["last_action"].tolist() == [7, 2, NO_ACTION, NO_ACTION]
    assert first.frame["target"].tolist() == [3, NO_UNIT, NO_UNIT, NO_UNIT]
    second = step(first, [1, 6], two_a_side())
    assert second.frame["target"].tolist() == [NO_UNIT, 2, NO_UNIT, NO_UNIT]
    healing = step(second, [6, 6], two_a_side(), SECOND_HEALS)
    assert healing.frame["target"].tolist() == [2, 0, NO_UNIT, NO_UNIT]


def test_a_weapon_whose_cooldown_rose_has_shot_at_the_target() -> None:
    first = step(begun(two_a_side()), [6, 7], two_a_side((9, 0, 0, 0)))
    assert first.frame["shots"].tolist() == [1, 0, 0, 0]
    assert first.frame["victim"].tolist() == [2, NO_UNIT, NO_UNIT, NO_UNIT]
    cooling = step(first, [7, 7], two_a_side((1, 0, 0, 0)))
    assert cooling.frame["shots"].tolist() == [1, 0, 0, 0]
    assert cooling.frame["victim"].tolist() == [2, NO_UNIT, NO_UNIT, NO_UNIT]
    again = step(cooling, [7, 7], two_a_side((6, 12, 0, 0)))
    assert again.frame["shots"].tolist() == [2, 1, 0, 0]
    assert again.frame["victim"].tolist() == [3, 3, NO_UNIT, NO_UNIT]


def test_the_shot_that_kills_has_a_victim() -> None:
    frame = step(begun(two_a_side()), [6, 6], two_a_side((9, 0, 0, 0), (45, 45, 0, 45))).frame
    assert frame["victim"][0] == 2
    assert frame["shots"][0] == 1


def test_without_an_attack_on_the_living_nothing_was_shot() -> None:
    gone = begun(two_a_side(healths=(45, 45, 0, 45)))
    frame = step(gone, [6, 3], two_a_side((9, 9, 0, 0), (45, 45, 0, 45))).frame
    assert frame["shots"].tolist() == [0, 0, 0, 0]
    assert frame["victim"].tolist() == [NO_UNIT] * 4


def test_enemies_are_shown_without_targets_and_shots() -> None:
    frame = step(begun(two_a_side()), [1, 1], two_a_side((0, 0, 9, 9), energies=(0, 0, 0, 9))).frame
    assert frame["shots"].tolist() == [0, 0, 0, 0]
    for name in ("target", "victim", "healing"):
        assert frame[name].tolist() == [NO_UNIT] * 4


def test_a_medivac_heals_its_target_while_its_energy_falls() -> None:
    before = begun(two_a_side(energies=(0, 50, 0, 0)))
    heals = step(before, [1, 6], two_a_side(energies=(0, 48, 0, 0)), SECOND_HEALS)
    assert heals.frame["healing"].tolist() == [NO_UNIT, 0, NO_UNIT, NO_UNIT]
    waits = step(heals, [1, 6], two_a_side(energies=(0, 48.5, 0, 0)), SECOND_HEALS)
    assert waits.frame["healing"].tolist() == [NO_UNIT] * 4
    fallen = step(heals, [1, 6], two_a_side(healths=(45, 0, 45, 45)), SECOND_HEALS)
    assert fallen.frame["healing"].tolist() == [NO_UNIT] * 4, "the dead are shown without energy"
    assert step(before, [1, 2], two_a_side(energies=(0, 48, 0, 0)), SECOND_HEALS).frame["healing"][1] == NO_UNIT


def test_what_was_before_stays_as_it_was() -> None:
    before = begun(two_a_side())
    step(before, [6, 7], two_a_side((9, 9, 9, 9)))
    assert before.frame["shots"].tolist() == [0, 0, 0, 0]
    assert before.frame["last_action"][0] == NO_ACTION


@pytest.mark.parametrize("name", map_names())
def test_who_heals_is_as_in_the_simulator(name: str) -> None:
    """What is drawn of a unit are the facts of its kind in skirmish."""
    facts = map_facts(name, SMAC_RULES)
    heals = healing_kinds(battle_map(name))[: facts.n_ally_kinds]
    assert heals.tolist() == (facts.heals & (facts.kinds["heal_range"][: facts.n_ally_kinds] > 0.0)).tolist()


@pytest.mark.parametrize("name", smac_maps.names())
def test_units_are_those_of_the_simulator(name: str) -> None:
    kinds = kinds_of(battle_map(name), np.zeros((0, len(FRAME)), np.float32))
    assert kinds.tolist() == map_facts(name, SMAC_RULES).roster["kind"].tolist()


def test_drawn_units_are_those_of_their_type_columns() -> None:
    """SMACv2's columns are Marine, Marauder, Medivac; the kinds are sorted by name."""
    of_battle = np.zeros((10, len(FRAME)), np.float32)
    of_battle[:, FRAME.index("type_column")] = [1, 1, 0, 0, 2, 0, 1, 2, 1, 0]
    assert kinds_of(battle_map("terran_5_vs_5"), of_battle).tolist() == [0, 0, 1, 1, 2, 4, 3, 5, 3, 4]


def test_frames_are_those_of_the_battle_that_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in plays battles of skirmish, which knows what its units did."""
    once, shots = np.ones(1, np.bool_), 0
    ours, rng = skirmish.create("3m", 1), np.random.default_rng(0)
    with battle_host(tmp_path, monkeypatch, maps=["3m"]), closing(smac.create_recordable("3m", 1)) as theirs:
        theirs.reset(once, np.array([7], np.uint64))
        ours.reset(once, np.array([battle_seed(7, 0)]))
        is_over = False
        while not is_over:
            actions = focus(ours, ours.observe(), rng)
            result = ours.step(actions)
            theirs.step(actions)
            is_over = bool(result.terminated[0] or result.truncated[0])
            shown, true = theirs.frame(0), ours.frame(0)
            assert np.array_equal(shown["health"], true["health"])
            assert shown["shots"][3:].tolist() == [0, 0, 0]
            living = np.flatnonzero(true["health"] > 0.0)
            agents = living[living < 3]
            for name in ("x", "y"):
                assert np.array_equal(shown[name][living], true[name][living])
            for name in ("last_action", "target", "victim", "shots"):
                assert shown[name][agents].tolist() == true[name][agents].tolist(), name
            shots += int(shown["shots"][agents].sum())
    assert shots > 20
