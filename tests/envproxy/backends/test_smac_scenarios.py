"""SMACv2's scenarios on StarCraft II, over a stand-in of game and SMACv2."""

import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from envproxy.backend import BackendFailedError, create_backend
from envproxy.backends import skirmish, smac
from envproxy.backends.smac.battles import smac_options
from envproxy.backends.smac.game_map import game_map
from envproxy.maps import battle_map, smacv2
from envproxy.rules import SMAC_RULES, Rules, RulesError
from tests.starcraft.battle import battle_seed
from tests.starcraft.host import battle_host

NAME, FILE = "terran_5_vs_5", "32x32_flat"


def test_a_scenario_is_played_and_shows_the_types_of_its_battle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in plays battles of skirmish, which knows its units."""
    both, seeds = np.ones(2, np.bool_), (7, 8)
    with battle_host(tmp_path, monkeypatch, maps=[FILE]), closing(smac.create_recordable(NAME, 2)) as theirs:
        ours = skirmish.create(NAME, 2)
        theirs.reset(both, np.array(seeds, np.uint64))
        ours.reset(both, np.array([battle_seed(seed, 0) for seed in seeds]))
        for _ in range(4):
            stop = np.ones((2, 5), np.uint8)
            theirs.step(stop)
            ours.step(stop)
            for slot in range(2):
                shown, true = theirs.frame(slot), ours.frame(slot)
                for name in ("kind", "health", "x", "y"):
                    assert np.array_equal(shown[name], true[name]), name
        assert theirs.frame(0)["kind"].tolist() != theirs.frame(1)["kind"].tolist(), "another team in every battle"
        assert theirs.provenance["smacv2"]


@pytest.mark.parametrize("name", smacv2.names())
def test_smacv2_is_told_what_the_scenario_is_made_of(name: str) -> None:
    """As in the configurations that SMACv2 ships, by race and size."""
    race, agents, _, enemies = name.split("_")
    units = {
        "protoss": (["stalker", "zealot", "colossus"], []),
        "terran": (["marine", "marauder", "medivac"], ["medivac"]),
        "zerg": (["zergling", "hydralisk", "baneling"], ["baneling"]),
    }
    types, exceptions = units[race]
    told = game_map(battle_map(name))
    assert (told.package, told.registered, told.file) == ("smacv2", f"10gen_{race}", FILE)
    assert told.capabilities == {
        "n_units": int(agents),
        "n_enemies": int(enemies),
        "team_gen": {
            "dist_type": "weighted_teams",
            "unit_types": types,
            "weights": [0.45, 0.45, 0.1],
            "exception_unit_types": exceptions,
            "observe": True,
        },
        "start_positions": {"dist_type": "surrounded_and_reflect", "p": 0.5, "map_x": 32, "map_y": 32},
    }
    ours = skirmish.create(name, 1).facts.reward_divisor * 20
    assert told.enemy_hp == pytest.approx(ours - 200 - 10 * int(enemies)), "the same play is paid the same on both"


def test_its_options_are_those_of_smacv2s_constructor() -> None:
    options = smac_options(SMAC_RULES, battle_map(NAME))
    of_smacv2 = {
        "obs_own_pos": True,
        "use_unit_ranges": True,
        "min_attack_range": 2,
        "conic_fov": False,
        "num_fov_actions": 12,
        "prob_obs_enemy": 1,
        "action_mask": True,
    }
    assert {name: options[name] for name in of_smacv2} == of_smacv2
    assert not of_smacv2.keys() & smac_options(SMAC_RULES, battle_map("3m")).keys()
    switched = smac_options(Rules.parse("obs-own-pos=false use-unit-ranges=false"), battle_map(NAME))
    assert (switched["obs_own_pos"], switched["use_unit_ranges"]) == (False, False)


def test_smacv2_has_no_observations_for_a_state() -> None:
    with pytest.raises(RulesError, match=f"SMACv2 does not have it, which plays {NAME}"):
        create_backend("smac", NAME, 1, Rules.parse("obs-instead-of-state=true"))


@pytest.mark.parametrize("rules", ["obs-own-pos=true", "conic-fov=true", "action-mask=false", "prob-obs-enemy=0"])
def test_smacs_maps_do_not_have_them(rules: str) -> None:
    with pytest.raises(RulesError, match="SMAC has no such option, and 3m is a map of SMAC"):
        create_backend("smac", "3m", 1, Rules.parse(rules))


def test_without_smacv2_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = battle_host(tmp_path, monkeypatch, packages=tmp_path, maps=[FILE])
    with host, pytest.raises(BackendFailedError) as refused:
        create_backend("smac", NAME, 1).prepare()
    commit = "577ab5a2cff2391f8df582da5731ea9cd6adf3c6"
    assert str(refused.value) == (
        f"smacv2: {sys.executable} has no SMACv2, which plays {NAME}; pip install --no-deps "
        f"git+https://github.com/oxwhirl/smacv2.git@{commit} there, beside deploy/starcraft/requirements.txt"
    )


def test_without_its_map_a_line_says_where_to_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with battle_host(tmp_path, monkeypatch, maps=["3m"]) as host:
        with pytest.raises(BackendFailedError) as refused:
            create_backend("smac", NAME, 1).prepare()
        folder = host.installation / "Maps" / "SMAC_Maps"
    assert str(refused.value) == (
        f"map {NAME}: {folder} has no {FILE}.SC2Map; copy smacv2/env/starcraft2/maps/SMAC_Maps/{FILE}.SC2Map of "
        "SMACv2's repository to that place"
    )
