"""The maps as data: their sizes are SMAC's, and reading them loads no simulator."""

import subprocess
import sys
from dataclasses import replace

import pytest

from envproxy.backend import MapSpec
from envproxy.maps import map_names, map_spec
from envproxy.rules import Rules

# agents, actions, step limit; observation: SMAC's, with last actions, without health, with all extras;
# state: SMAC's, with the timestep, without last actions, made of observations
SIZES = {
    "3m": (3, 9, 60, 30, 48, 24, 66, 48, 49, 21, 90),
    "8m": (8, 14, 120, 80, 178, 64, 196, 168, 169, 56, 640),
    "25m": (25, 31, 150, 250, 994, 200, 1012, 950, 951, 175, 6250),
    "5m_vs_6m": (5, 12, 70, 55, 103, 44, 121, 98, 99, 38, 275),
    "8m_vs_9m": (8, 15, 120, 85, 190, 68, 208, 179, 180, 59, 680),
    "10m_vs_11m": (10, 17, 150, 105, 258, 84, 276, 243, 244, 73, 1050),
    "27m_vs_30m": (27, 36, 180, 285, 1221, 228, 1239, 1170, 1171, 198, 7695),
    "MMM": (10, 16, 150, 160, 304, 140, 322, 290, 291, 130, 1600),
    "MMM2": (10, 18, 180, 176, 338, 154, 356, 322, 323, 142, 1760),
    "2s3z": (5, 11, 120, 80, 124, 60, 142, 120, 121, 65, 400),
    "3s5z": (8, 14, 150, 128, 226, 96, 244, 216, 217, 104, 1024),
    "3s5z_vs_3s6z": (8, 15, 170, 136, 241, 102, 259, 230, 231, 110, 1088),
    "3s_vs_3z": (3, 9, 150, 36, 54, 24, 72, 54, 55, 27, 108),
    "3s_vs_4z": (3, 10, 200, 42, 62, 28, 80, 61, 62, 31, 126),
    "3s_vs_5z": (3, 11, 250, 48, 70, 32, 88, 68, 69, 35, 144),
    "1c3s5z": (9, 15, 180, 162, 282, 126, 300, 270, 271, 135, 1458),
    "2m_vs_1z": (2, 7, 150, 16, 23, 12, 41, 26, 27, 12, 32),
    "corridor": (6, 30, 400, 156, 306, 120, 324, 282, 283, 102, 936),
    "6h_vs_8z": (6, 14, 150, 78, 148, 56, 166, 140, 141, 56, 468),
    "2s_vs_1sc": (2, 7, 300, 17, 24, 12, 42, 27, 28, 13, 34),
    "so_many_baneling": (7, 38, 100, 202, 430, 156, 448, 397, 398, 131, 1414),
    "bane_vs_bane": (24, 30, 200, 336, 1026, 288, 1044, 984, 985, 264, 8064),
    "2c_vs_64zg": (2, 70, 400, 332, 402, 264, 420, 342, 343, 202, 664),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_smacs(name: str) -> None:
    agents, actions, limit, obs, with_last, no_health, extras, state, timed, no_last, of_obs = SIZES[name]

    def spec(rules: str) -> MapSpec:
        return map_spec(name, Rules.parse(rules))

    assert replace(spec(""), unit_types=()) == MapSpec(name, agents, actions, obs, state, limit)
    assert spec("obs-last-action=true").obs_size == with_last
    assert spec("obs-all-health=false obs-own-health=false").obs_size == no_health
    # SMAC's number counts obs_timestep_number, too, which is one more
    assert spec("obs-last-action=true obs-pathing-grid=true obs-terrain-height=true").obs_size == extras - 1
    assert spec("state-timestep-number=true").state_size == timed
    assert spec("state-last-action=false").state_size == no_last
    assert spec("obs-instead-of-state=true state-timestep-number=true").state_size == of_obs


def test_the_unit_types_are_those_of_the_seats_where_they_are_the_same_in_every_battle() -> None:
    assert map_spec("2s3z", Rules()).unit_types == ("Stalker",) * 2 + ("Zealot",) * 3
    assert map_spec("terran_5_vs_5", Rules()).unit_types == ()


# agents, actions, observation, state, of SMACv2's scenarios; the step limit is 200
SCENARIOS = {
    **dict.fromkeys(("terran_5_vs_5", "zerg_5_vs_5"), (5, 11, 82, 120)),
    **dict.fromkeys(("terran_10_vs_10", "zerg_10_vs_10"), (10, 16, 162, 290)),
    **dict.fromkeys(("terran_20_vs_20", "zerg_20_vs_20"), (20, 26, 322, 780)),
    **dict.fromkeys(("terran_10_vs_11", "zerg_10_vs_11"), (10, 17, 170, 306)),
    **dict.fromkeys(("terran_20_vs_23", "zerg_20_vs_23"), (20, 29, 346, 858)),
    "protoss_5_vs_5": (5, 11, 92, 130),
    "protoss_10_vs_10": (10, 16, 182, 310),
    "protoss_20_vs_20": (20, 26, 362, 820),
    "protoss_10_vs_11": (10, 17, 191, 327),
    "protoss_20_vs_23": (20, 29, 389, 901),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_sizes_are_smacv2s(name: str) -> None:
    agents, actions, obs, state = SCENARIOS[name]
    assert map_spec(name, Rules()) == MapSpec(name, agents, actions, obs, state, 200)
    blind = map_spec(name, Rules.parse("obs-own-pos=false use-unit-ranges=false"))
    assert (blind.obs_size, blind.state_size) == (obs - 2, state)
    cones = map_spec(name, Rules.parse("conic-fov=true"))
    assert (cones.n_actions, cones.obs_size, cones.state_size) == (actions + 12, obs + 2, state + 14 * agents)
    narrow = map_spec(name, Rules.parse("conic-fov=true num-fov-actions=24"))
    assert (narrow.n_actions, narrow.state_size) == (actions + 24, state + 26 * agents)


def test_the_maps_are_smacs_and_smacv2s() -> None:
    assert map_names()[: len(SIZES)] == list(SIZES)
    assert sorted(map_names()[len(SIZES) :]) == sorted(SCENARIOS)
    assert map_names()[len(SIZES) :][:5] == [
        f"protoss_{size}" for size in ("5_vs_5", "10_vs_10", "20_vs_20", "10_vs_11", "20_vs_23")
    ]


def test_reading_the_sizes_of_every_map_loads_no_simulator() -> None:
    program = (
        "import sys\n"
        "from envproxy.maps import map_names, map_spec\n"
        "from envproxy.rules import SMAC_RULES\n"
        "print(len([map_spec(name, SMAC_RULES) for name in map_names()]))\n"
        "print(sorted({'numba', 'envproxy.backends.skirmish'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["38", "[]", ""]
