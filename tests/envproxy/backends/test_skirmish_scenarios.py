"""SMACv2's scenarios: who fights, where they begin, and the rules that SMAC's maps do not have.

Expected numbers and laws are those of SMACv2's source, as the facts taken of it have them.
"""

from collections.abc import Callable, Sequence
from math import comb
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.backends.skirmish import Skirmish, Snapshot, create
from envproxy.backends.skirmish.maps import kind_names
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.maps import smacv2
from envproxy.rules import Rules

SceneMaker = Callable[..., Any]  # see conftest.py
BATTLES = 10_000
HP = {"Marine": 45, "Marauder": 125, "Medivac": 150, "Stalker": 160, "Zealot": 150, "Colossus": 350}
HP |= {"Zergling": 35, "Hydralisk": 80, "Baneling": 30}


def drawn(name: str, battles: int = BATTLES, first: int = 0, rules: str = "") -> Skirmish:
    made = create(name, battles, Rules.parse(rules))
    made.reset(np.ones(battles, bool), np.arange(first, first + battles, dtype=np.uint64))
    return made


def types_of(battles: Skirmish) -> NDArray[np.str_]:
    """[E, U], names of types."""
    names: NDArray[np.str_] = np.array(kind_names(battles.spec.name))[battles.units["kind"]]
    return names


def check_law(counts: Sequence[float] | NDArray[np.int64], shares: Sequence[float] | NDArray[np.float64]) -> None:
    """Fail if counts that should have these shares are as far from them as happens once in a million times.

    By the chi-square test; Wilson and Hilferty's approximation needs no table.
    """
    found, expected = np.asarray(counts, float), np.asarray(shares, float) / np.sum(shares) * np.sum(counts)
    assert (expected >= 5).all(), "too few are expected for the test"
    chi_square, freedom = float(((found - expected) ** 2 / expected).sum()), len(found) - 1
    deviations = ((chi_square / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    assert deviations < 4.75, f"{found} where {expected} is expected"


# --- teams ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("race", ["protoss", "terran", "zerg"])
def test_types_have_their_shares_and_no_team_is_of_the_exception_alone(race: str) -> None:
    """The whole draw is repeated while all are of the exception type, which makes it rarer than 0.1."""
    teams = types_of(drawn(f"{race}_5_vs_5"))[:, :5]
    types = {"protoss": ("Stalker", "Zealot", "Colossus"), "terran": ("Marine", "Marauder", "Medivac")}.get(
        race, ("Zergling", "Hydralisk", "Baneling")
    )
    exception = 0.0 if race == "protoss" else 0.1**5
    common = [0.45 / (1 - exception)] * 2
    check_law([(teams == name).sum() for name in types], [*common, 1 - sum(common)])
    of_first = np.bincount((teams == types[0]).sum(1), minlength=6)
    check_law(of_first, [comb(5, k) * 0.45**k * 0.55 ** (5 - k) for k in range(6)])


def test_a_lone_surplus_enemy_is_never_of_the_exception_type() -> None:
    """It is drawn like a team of one."""
    for race, types in (("terran", ("Marine", "Marauder")), ("zerg", ("Zergling", "Hydralisk"))):
        last = types_of(drawn(f"{race}_10_vs_11"))[:, -1]
        check_law([(last == name).sum() for name in types], [0.5, 0.5])
    last = types_of(drawn("protoss_10_vs_11"))[:, -1]
    check_law([(last == name).sum() for name in ("Stalker", "Zealot", "Colossus")], [0.45, 0.45, 0.1])


def test_three_surplus_enemies_are_never_all_of_the_exception_type() -> None:
    medivacs = (types_of(drawn("terran_20_vs_23", 30_000))[:, -3:] == "Medivac").sum(1)
    check_law(np.bincount(medivacs, minlength=3), [0.9**3, 3 * 0.9**2 * 0.1, 3 * 0.9 * 0.1**2])


@pytest.mark.parametrize("name", smacv2.names())
def test_both_sides_have_the_same_units_and_seats_go_by_type_then_x_then_y(name: str) -> None:
    battles = drawn(name, 200)
    n_agents, types = battles.spec.n_agents, types_of(battles)
    allies, copies = np.sort(types[:, :n_agents], 1), np.sort(types[:, n_agents : 2 * n_agents], 1)
    assert (allies == copies).all()
    assert (types[:, :n_agents] == allies).all(), "seats ascend with the names of their types"
    units = battles.units[:, :n_agents]
    same = types[:, 1:n_agents] == types[:, : n_agents - 1]
    assert (np.diff(units["x"], axis=1)[same] >= 0).all()
    kinds = battles.facts.kinds[battles.units["kind"]]
    for pool in ("health", "shield"):
        assert (battles.units[pool] == kinds[pool]).all()
    assert (battles.units["energy"] == np.where(types == "Medivac", 50, 0)).all()


def test_a_battle_is_that_of_its_seed_and_seeds_differ() -> None:
    one, again, others = drawn("terran_5_vs_5", 20), drawn("terran_5_vs_5", 20), drawn("terran_5_vs_5", 20, 20)
    assert (one.units == again.units).all()
    assert not np.isin(one.units["x"], others.units["x"]).any()


# --- places -----------------------------------------------------------------------------------------------------------


def surrounded(battles: Skirmish) -> NDArray[np.bool_]:
    """[E], all allies stand in a crowd in the middle."""
    allies = battles.units[:, : battles.spec.n_agents]
    return np.asarray((np.hypot(allies["x"] - 16, allies["y"] - 16) < 5).all(1))


def test_half_of_the_battles_are_surrounded() -> None:
    around = surrounded(drawn("zerg_10_vs_10")).sum()
    check_law([around, BATTLES - around], [0.5, 0.5])


def test_mirrored_places_are_uniform_over_the_western_half_and_the_enemy_stands_at_their_images() -> None:
    """x is in [0, 15), y in [0, 32). Bodies that would overlap are pushed apart, so a few stand beside their points."""
    battles = drawn("terran_5_vs_5")
    units = battles.units[~surrounded(battles)]
    allies, enemies = units[:, :5], units[:, 5:]
    check_law(np.histogram(allies["x"], np.linspace(0, 15, 11))[0], np.ones(10))
    check_law(np.histogram(allies["y"], np.linspace(0, 32, 11))[0], np.ones(10))
    check_law(np.histogram2d(allies["x"].ravel(), allies["y"].ravel(), 4, [[0, 15], [0, 32]])[0].ravel(), np.ones(16))
    ours = np.sort(allies["x"] + 1j * allies["y"], 1)
    theirs = np.sort(32 - enemies["x"] + 1j * enemies["y"], 1)
    assert (np.abs(ours - theirs) < 1e-9).all(1).mean() > 0.85
    assert (np.abs(ours - theirs) < 1.0).all(1).mean() > 0.95


def test_surplus_enemies_of_mirrored_places_are_uniform_over_the_eastern_half() -> None:
    battles = drawn("terran_10_vs_11")
    last = battles.units[~surrounded(battles)][:, -1]
    check_law(np.histogram(last["x"], np.linspace(16, 32, 9))[0], np.ones(8))
    check_law(np.histogram(last["y"], np.linspace(0, 32, 9))[0], np.ones(8))


def test_the_surrounding_are_on_one_to_four_diagonals_anywhere_between_corner_and_ring() -> None:
    """A group of one stands on its point, t from the corner (t = 0) to two cells from the middle (t = 1)."""
    battles = drawn("terran_5_vs_5", 40_000)
    around = battles.units[surrounded(battles)]
    x, y = around["x"][:, 5:] - 16, around["y"][:, 5:] - 16
    quadrant = 2 * (x > 0) + (y > 0)
    occupied = (quadrant[:, :, None] == np.arange(4)).any(1)
    # Of g groups, 1 to 4 alike, k are not empty: five enemies in g groups, by inclusion and exclusion.
    groups = [0.25 * sum(share(g, k) for g in range(1, 5)) for k in range(1, 5)]
    check_law(np.bincount(occupied.sum(1), minlength=5)[1:], groups)
    check_law(occupied.sum(0), np.ones(4))
    alone = (quadrant[:, :, None] == quadrant[:, None]).sum(2) == 1
    outwards = np.abs(x[alone])
    on_diagonal = np.abs(outwards - np.abs(y[alone])) < 1e-9
    assert on_diagonal.mean() > 0.98, "pushed aside by those in the middle"
    far = outwards[on_diagonal & (outwards > 4)]
    check_law(np.histogram(far, np.linspace(4, 16, 9))[0], np.ones(8))
    assert outwards.min() > 1.5


def share(groups: int, occupied: int) -> float:
    """The chance that of so many groups, which five enemies draw alike, so many are not empty."""
    if occupied > groups:
        return 0.0
    onto = sum((-1) ** j * comb(occupied, j) * (occupied - j) ** 5 for j in range(occupied))
    return float(comb(groups, occupied) * onto / groups**5)


@pytest.mark.parametrize("name", ["protoss_20_vs_23", "zerg_5_vs_5"])
def test_bodies_do_not_begin_within_one_another(name: str) -> None:
    battles = drawn(name, 500)
    kinds = battles.facts.kinds[battles.units["kind"]]
    distance = np.hypot(*(battles.units[axis][:, :, None] - battles.units[axis][:, None] for axis in "xy"))
    reach = kinds["separation_radius"][:, :, None] + kinds["separation_radius"][:, None]
    apart = (kinds["layer"][:, :, None] != kinds["layer"][:, None]) | np.eye(battles.units.shape[1], dtype=bool)
    assert (distance > 0.7 * reach)[~apart].all()
    assert ((battles.units["x"] >= 0) & (battles.units["x"] < 32)).all()
    assert ((battles.units["y"] >= 0) & (battles.units["y"] < 32)).all()


# --- the enemy --------------------------------------------------------------------------------------------------------


def test_enemies_attack_the_nearest_unit_at_any_distance_and_keep_to_it(scene: SceneMaker) -> None:
    chase = scene_of(scene, ["Marine", "Marine"], [(4.0, 16.0), (4.0, 20.0)], ["Marine"], [(30.0, 17.0)])
    chase.step()
    assert chase.enemies["target"][0] == chase.seats[0]
    before = float(chase.enemies["x"][0])
    chase.allies["x"][chase.seats[1]] = 24.0  # nearer now, but the order is on the other one
    chase.step()
    assert chase.enemies["target"][0] == chase.seats[0]
    assert chase.enemies["x"][0] < before
    chase.allies["health"][chase.seats[0]] = 0.0
    chase.step()
    assert chase.enemies["target"][0] == chase.seats[1]


def test_the_trigger_runs_every_eight_loops(scene: SceneMaker) -> None:
    battle = scene_of(scene, ["Marine"], [(4.0, 16.0)], ["Marine"], [(30.0, 16.0)], "step-mul=4")
    battle.step()
    battle.enemies["target"][0] = -1
    battle.step()
    assert battle.enemies["target"][0] == -1
    battle.step()
    assert battle.enemies["target"][0] == battle.seats[0]


def scene_of(
    scene: SceneMaker,
    allies: Sequence[str],
    places: Sequence[tuple[float, float]],
    enemies: Sequence[str],
    their_places: Sequence[tuple[float, float]],
    rules: str = "",
    name: str = "terran_5_vs_5",
) -> Any:
    """A battle of units of these types; `seats` are the rows of the allies in the order in which they are named."""
    order = np.argsort(np.array(allies), kind="stable")
    made = scene(name, [places[i] for i in order], list(their_places), rules)
    kinds = kind_names(name)[:3]  # the enemy's are the same
    for side, types, first in ((made.allies, [allies[i] for i in order], 0), (made.enemies, enemies, 3)):
        for u, unit in enumerate(types):
            side["kind"][u] = first + kinds.index(unit)
            facts = made.battle.facts.kinds[side["kind"][u]]
            side["health"][u], side["shield"][u], side["energy"][u] = facts["health"], facts["shield"], facts["energy"]
    made.seats = np.argsort(order).tolist()
    return made


# --- rules ------------------------------------------------------------------------------------------------------------

SIGHTS = {"Marine": 9, "Marauder": 10, "Medivac": 11, "Stalker": 10, "Zealot": 9, "Colossus": 10}
SIGHTS |= {"Zergling": 8, "Hydralisk": 9, "Baneling": 8}
REACHES = {"Marine": 5, "Marauder": 6, "Medivac": 4, "Stalker": 6, "Zealot": 2, "Colossus": 7}
REACHES |= {"Zergling": 2, "Hydralisk": 5, "Baneling": 2}
OF_RACE = {unit: race for race in ("protoss", "terran", "zerg") for unit in kind_names(f"{race}_5_vs_5")}


@pytest.mark.parametrize("unit", [unit for unit in SIGHTS if unit != "Medivac"])
def test_sight_and_attack_range_are_the_units(scene: SceneMaker, unit: str) -> None:
    """In reach is at most the range, in sight is less than the sight; of the smallest ranges it is two."""
    sight, reach, race = SIGHTS[unit], REACHES[unit], OF_RACE[unit]
    other = kind_names(f"{race}_5_vs_5")[0]
    places = [(4.0 + d, 16.0) for d in (reach, reach + 0.001, sight - 0.001, sight)]
    view = scene_of(scene, [unit], [(4.0, 16.0)], [other] * 4, places, name=f"{race}_5_vs_5")
    assert view.available(0)[-1] == 6
    assert 7 not in view.available(0)
    width = 9 if race == "protoss" else 8
    shown = view.battle.observe().obs[0, 0, 4 : 4 + 5 * width].reshape(5, width)
    assert shown[:, 0].tolist() == [1, 0, 0, 0, 0]
    np.testing.assert_allclose(
        shown[:, 1], [reach / sight, (reach + 0.001) / sight, 1 - 0.001 / sight, 0, 0], rtol=1e-5
    )
    np.testing.assert_allclose(shown[:, 2], shown[:, 1], rtol=1e-6)


def test_ranges_are_smacs_where_they_do_not_go_by_the_unit(scene: SceneMaker) -> None:
    at = [(10.0, 16.0), (10.001, 16.0), (12.999, 16.0), (13.0, 16.0)]
    view = scene_of(scene, ["Marine"], [(4.0, 16.0)], ["Marine"] * 4, at, "use-unit-ranges=false")
    assert view.available(0)[-1] == 6
    assert (view.battle.observe().obs[0, 0, 5:44:8] > 0).tolist() == [True, True, True, False, False]


def test_smacs_maps_take_unit_ranges_and_own_places(scene: SceneMaker) -> None:
    view = scene("3m", [(4.0, 16.0)], [(9.0, 16.0), (9.001, 16.0)], "use-unit-ranges=true obs-own-pos=true")
    assert view.available(0)[-1] == 6
    obs = view.battle.observe().obs[0, 0]
    assert obs.shape == (32,)
    np.testing.assert_allclose(obs[-3:], [1, 4 / 32, 16 / 32])


def test_the_least_attack_range_is_an_option(scene: SceneMaker) -> None:
    def far(rules: str) -> bool:
        view = scene_of(scene, ["Zergling"], [(4.0, 16.0)], ["Zergling"], [(7.0, 16.0)], rules, "zerg_5_vs_5")
        return 6 in view.available(0)

    assert not far("")
    assert far("min-attack-range=3")
    assert not far("min-attack-range=0")


def test_an_observation_ends_with_health_shield_place_and_type(scene: SceneMaker) -> None:
    view = scene_of(scene, ["Zealot"], [(8.0, 24.0)], ["Stalker"], [(30.0, 4.0)], name="protoss_5_vs_5")
    view.allies["shield"][0] = 10
    np.testing.assert_allclose(view.battle.observe().obs[0, 0, -7:], [1, 10 / 50, 8 / 32, 24 / 32, 0, 1, 0])


def test_type_columns_are_smacv2s_on_both_sides(scene: SceneMaker) -> None:
    """Marine, Marauder, Medivac; they are not in the order of the seats."""
    team = ["Marine", "Marauder", "Medivac"]
    places = [(10.0, 16.0), (10.0, 17.5), (10.0, 14.5)]
    view = scene_of(scene, team, places, team, [(13.0, 16.0), (13.0, 17.5), (13.0, 14.5)])
    obs = view.battle.observe().obs[0]
    for column, unit in enumerate(team):
        seat = view.seats[column]
        assert obs[seat, -3:].tolist() == [column == k for k in range(3)], unit
        assert obs[view.seats[0], 4 + 8 * column + 5 : 4 + 8 * column + 8].tolist() == [column == k for k in range(3)]
    state = view.battle.observe().state[0]
    allies, enemies = state[:35].reshape(5, 7), state[35:65].reshape(5, 6)
    for column in range(3):
        assert allies[view.seats[column], 4:].tolist() == [column == k for k in range(3)]
        assert enemies[column, 3:].tolist() == [column == k for k in range(3)]
    np.testing.assert_allclose(allies[view.seats[2], 1], 50 / 200)


def test_medivacs_heal_within_four_the_living_that_are_no_medivacs(scene: SceneMaker) -> None:
    view = scene_of(
        scene,
        ["Medivac", "Medivac", "Marine", "Marauder"],
        [(10.0, 16.0), (10.0, 17.0), (14.0, 16.0), (14.001, 16.0)],
        ["Marine"],
        [(12.0, 16.0)],
    )
    healer = view.seats[0]
    assert [action - 6 for action in view.available(healer) if action >= 6] == [view.seats[2]]
    assert view.battle.observe().obs[0, healer, 4] == (view.seats[2] == 0)


def test_a_side_of_medivacs_alone_counts_as_dead(scene: SceneMaker) -> None:
    lost = scene_of(scene, ["Medivac"], [(4.0, 4.0)], ["Marine"], [(30.0, 30.0)]).step()
    assert (lost.terminated[0], lost.won[0]) == (True, False)
    won = scene_of(scene, ["Marine"], [(4.0, 4.0)], ["Medivac", "Medivac"], [(30.0, 30.0), (28.0, 30.0)]).step()
    assert (won.terminated[0], won.won[0]) == (True, True)
    both = scene_of(scene, ["Medivac"], [(4.0, 4.0)], ["Medivac"], [(30.0, 30.0)]).step()
    assert (both.terminated[0], both.won[0]) == (True, False)


def test_banelings_alone_are_not_dead(scene: SceneMaker) -> None:
    step = scene_of(scene, ["Baneling"], [(4.0, 4.0)], ["Baneling"], [(30.0, 30.0)], name="zerg_5_vs_5").step()
    assert not step.terminated[0]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("terran_5_vs_5", 707.5), ("protoss_5_vs_5", 1122.5), ("zerg_5_vs_5", 523.75),
        ("terran_10_vs_10", 1215), ("protoss_10_vs_10", 2045), ("zerg_10_vs_10", 847.5),
        ("terran_10_vs_11", 1316.5), ("protoss_10_vs_11", 2229.5), ("zerg_10_vs_11", 912.25),
        ("terran_20_vs_20", 2230), ("protoss_20_vs_20", 3890), ("zerg_20_vs_20", 1495),
        ("terran_20_vs_23", 2534.5), ("protoss_20_vs_23", 4443.5), ("zerg_20_vs_23", 1689.25),
    ],
)  # fmt: skip
def test_rewards_are_over_the_mean_of_all_teams(name: str, most: float) -> None:
    """10 a kill, 200 a win, and health and shield of the enemies as they are on the average, over 20."""
    assert drawn(name, 1).facts.reward_divisor == pytest.approx(most / 20)


def test_a_recovering_enemy_pays_nothing_and_costs_nothing(scene: SceneMaker) -> None:
    battle = scene_of(scene, ["Zealot"], [(4.0, 4.0)], ["Zealot"], [(30.0, 30.0)], name="protoss_5_vs_5")
    battle.enemies["shield"][0] = 10
    battle.enemies["calm"][0] = 1000
    assert battle.step().reward[0] == 0
    assert battle.enemies["shield"][0] == 11


def test_where_nothing_recovers_the_return_is_what_was_taken() -> None:
    """Over teams without Medivacs."""
    battles, rng = drawn("terran_5_vs_5", 64), np.random.default_rng(0)
    types, units = types_of(battles), battles.units
    plain = ~(types == "Medivac").any(1)
    whole = sum(HP[name] * (types[:, 5:] == name).sum(1) for name in ("Marine", "Marauder"))
    paid, won = np.zeros(64), np.zeros(64, bool)
    for _ in range(200):
        result = battles.step(POLICIES["focus"](battles, battles.observe(), rng))
        paid += result.reward
        won |= result.won
    assert (plain & won).any()
    np.testing.assert_allclose(paid[plain & won], (whole + 50 + 200)[plain & won] / 707.5 * 20, rtol=1e-5)
    dead = (units["health"][:, 5:] == 0).sum(1)
    taken = units["dealt"][:, :5].sum(1) + 10 * dead + 200 * won
    np.testing.assert_allclose(paid[plain], taken[plain] / 707.5 * 20, rtol=1e-5)


# --- cones of sight ---------------------------------------------------------------------------------------------------


def test_a_seat_sees_and_attacks_what_is_in_its_cone_alone(scene: SceneMaker) -> None:
    """True cones: who looks to the west does not see the east. Half the opening of 30 degrees is outside."""
    angles = np.radians([0, 14.9, 15.1, 180, -14.9])
    places = [(16 + 3 * float(np.cos(a)), 16 + 3 * float(np.sin(a))) for a in angles]
    view = scene_of(scene, ["Marine"], [(16.0, 16.0)], ["Marine"] * 5, places, "conic-fov=true")

    def seen() -> list[int]:
        return np.flatnonzero(view.battle.observe().obs[0, 0, 5:44:8]).tolist()

    def targets() -> list[int]:
        return [action - 18 for action in view.available(0) if action >= 18]

    assert view.available(0)[:17] == list(range(1, 18))
    assert seen() == targets() == [0, 1, 4]
    assert view.battle.observe().obs[0, 0, 4] == 1
    view.units["look"][0] = 6  # west
    assert seen() == targets() == [3]
    view.units["look"][0] = 1
    assert seen() == targets() == [2]


def test_a_look_turns_the_cone_and_gives_no_order(scene: SceneMaker) -> None:
    view = scene_of(scene, ["Marine"], [(10.0, 16.0)], ["Marine"], [(30.0, 16.0)], "conic-fov=true")
    view.step(2)
    start = float(view.allies["y"][0])
    view.step(6 + 3)
    assert view.allies["y"][0] > start, "it moves on to the north"
    obs, state = view.battle.observe().obs[0, 0], view.battle.observe().state[0]
    np.testing.assert_allclose(obs[-5:], [0, 1, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(state[4:6], [0, 1], atol=1e-6)
    assert state[9 * 5 + 6 * 5 + 9] == 1, "the last action of seat 0"
    assert view.allies["last_action"][0] == 9


def test_every_cone_together_is_plain_sight(scene: SceneMaker) -> None:
    rng = np.random.default_rng(1)
    places = [(16 + float(x), 16 + float(y)) for x, y in rng.uniform(-5, 5, (5, 2))]
    for looks in (1, 2, 5, 12, 64):
        view = scene_of(
            scene, ["Marine"], [(16.0, 16.0)], ["Marine"] * 5, places, f"conic-fov=true num-fov-actions={looks}"
        )
        seen = np.zeros(5, int)
        for look in range(looks):
            view.units["look"][0] = look
            seen += view.battle.observe().obs[0, 0, 5:44:8] > 0
        assert seen.tolist() == [1] * 5


# --- extended partial observability -----------------------------------------------------------------------------------


def shown_rows(battles: Skirmish) -> NDArray[np.bool_]:
    """[E, N, enemies], which enemies' rows are not zeros, on terran_5_vs_5."""
    return np.asarray(battles.observe().obs[:, :, 5:44:8] > 0)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_the_first_sees_an_enemy_and_the_others_with_their_chance(chance: float) -> None:
    rules = f"prob-obs-enemy={chance}"
    battles, plain = drawn("terran_5_vs_5", 4000, rules=rules), drawn("terran_5_vs_5", 4000)
    in_sight, shown = shown_rows(plain), shown_rows(battles)
    assert (battles.units["x"] == plain.units["x"]).all(), "the battle is the same"
    assert not (shown & ~in_sight).any()
    several = in_sight.sum(1) > 1
    assert (shown.sum(1) >= 1)[in_sight.any(1)].all(), "who is in sight of any is shown to one at least"
    others = (in_sight.sum(1) - 1)[several].sum()
    found = (shown.sum(1) - 1)[several].sum()
    if chance in (0.0, 1.0):
        assert found == chance * others
    else:
        check_law([found, others - found], [chance, 1 - chance])


def test_the_first_among_several_is_any_of_them() -> None:
    battles = drawn("terran_5_vs_5", 4000, rules="prob-obs-enemy=0")
    of_all = shown_rows(drawn("terran_5_vs_5", 4000)).all(1)
    seats = shown_rows(battles).transpose(0, 2, 1)[of_all].argmax(-1)
    check_law(np.bincount(seats, minlength=5), np.ones(5))


def test_a_tie_ends_with_the_seat_and_the_next_one_to_see_the_enemy_is_the_first(scene: SceneMaker) -> None:
    view = scene_of(
        scene, ["Marine", "Marine"], [(10.0, 16.0), (10.0, 17.0)], ["Marine"], [(16.5, 16.0)], "prob-obs-enemy=0"
    )
    view.units["spotter"][5:], view.units["shown_to"][5:] = -1, 0
    view.allies["order"] = 0
    view.enemies["look_in"] = 10**6  # it stands
    view.step()
    (first,) = [seat for seat in (0, 1) if view.battle.observe().obs[0, seat, 5] > 0]
    for _ in range(3):
        view.step()
        assert view.battle.observe().obs[0, 1 - first, 5] == 0
    view.allies["health"][first] = 0
    view.step()
    assert view.battle.observe().obs[0, 1 - first, 5] > 0


def test_a_hidden_enemy_hides_no_other(scene: SceneMaker) -> None:
    """SMACv2 blanks all rows before it, too (issue 50)."""
    view = scene_of(
        scene, ["Marine", "Marine"], [(10.0, 16.0), (10.0, 17.0)], ["Marine"] * 3, [(14.0, 16.0 + k) for k in range(3)],
        "prob-obs-enemy=0.5",
    )  # fmt: skip
    view.units["shown_to"][5:8] = [0b11, 0b11, 0b10]
    assert (view.battle.observe().obs[0, 0, 5:29:8] > 0).tolist() == [True, True, False]
    assert (view.battle.observe().obs[0, 1, 5:29:8] > 0).all()


def test_without_the_mask_every_living_target_is_available_and_a_far_one_gives_no_order(scene: SceneMaker) -> None:
    view = scene_of(
        scene,
        ["Marine", "Medivac", "Marauder"],
        [(10.0, 16.0), (4.0, 4.0), (20.0, 30.0)],
        ["Marine", "Marine"],
        [(13.0, 16.0), (30.0, 16.0)],
        "action-mask=false",
    )
    marine, medivac, marauder = view.seats
    assert [action for action in view.available(marine) if action >= 6] == [6, 7]
    assert sorted(action - 6 for action in view.available(medivac) if action >= 6) == sorted([marine, marauder])
    assert view.battle.observe().obs[0, marine, 4] == 1
    assert view.battle.observe().obs[0, marauder, 4] == 0
    actions = [1] * 3
    actions[marine], actions[marauder] = 3, 3
    view.step(*actions)
    before = view.allies[["order", "goal_x", "goal_y", "target"]][marauder].copy()
    actions[marine], actions[marauder] = 7, 6
    view.step(*actions)
    assert view.allies[["order", "goal_x", "goal_y", "target"]][marauder] == before
    assert view.allies["target"][marine] == -1
    assert view.allies["last_action"][[marine, marauder]].tolist() == [7, 6]
    actions[marine] = 6
    view.step(*actions)
    assert view.allies["target"][marine] == 5


# --- snapshots --------------------------------------------------------------------------------------------------------


def test_a_snapshot_continues_a_drawn_battle_bit_for_bit() -> None:
    rules = "conic-fov=true prob-obs-enemy=0.5 action-mask=false"
    battles, other = drawn("zerg_10_vs_11", 2, rules=rules), create("zerg_10_vs_11", 1, Rules.parse(rules))
    rng = np.random.default_rng(3)

    def play(arena: Skirmish, steps: int, seed: int) -> None:
        draws = np.random.default_rng(seed)
        for _ in range(steps):
            arena.step(POLICIES["random"](arena, arena.observe(), draws))

    play(battles, 20, int(rng.integers(100)))
    other.restore(0, Snapshot.from_bytes(battles.snapshot(1).to_bytes()))
    battles.restore(0, battles.snapshot(1))
    for _ in range(30):
        actions = POLICIES["random"](other, other.observe(), rng)
        other.step(actions)
        battles.step(np.concatenate([actions, actions]))
    assert battles.units[0].tobytes() == battles.units[1].tobytes() == other.units[0].tobytes()
