"""The rules' text: read, refused in one line, written in one form."""

import dataclasses
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envproxy.backend import create_backend, create_recordable
from envproxy.backends.skirmish import Skirmish
from envproxy.backends.smac.options import GameOptions
from envproxy.maps import map_spec
from envproxy.options import Options, OptionsError
from envproxy.parallel_env import parallel_env
from envproxy.rules import SMAC_RULES, Rules, RulesError, refuse


def test_the_defaults_are_those_of_smacs_constructor() -> None:
    assert dataclasses.asdict(Rules()) == {
        "step_mul": 8,
        "move_amount": 2,
        "obs_all_health": True,
        "obs_own_health": True,
        "obs_last_action": False,
        "obs_pathing_grid": False,
        "obs_terrain_height": False,
        "obs_instead_of_state": False,
        "state_last_action": True,
        "state_timestep_number": False,
        "reward_sparse": False,
        "reward_only_positive": True,
        "reward_death_value": 10,
        "reward_win": 200,
        "reward_defeat": 0,
        "reward_negative_scale": 0.5,
        "reward_scale": True,
        "reward_scale_rate": 20,
        "obs_own_pos": "map",
        "use_unit_ranges": "map",
        "min_attack_range": 2,
        "conic_fov": False,
        "num_fov_actions": 12,
        "prob_obs_enemy": 1,
        "action_mask": True,
        "weapons": "liberty",
        "difficulty": "7",
        "game_version": "",
    }
    assert Rules() == SMAC_RULES


def test_the_documentation_has_every_option_and_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    said = (root / "docs" / "smac-rules.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(Rules):
        default = str(field.default).lower().removesuffix(".0")
        assert f"| `{field.name.replace('_', '-')}` | `{default}` |" in said
    tests = "".join(path.read_text(encoding="utf-8") for path in (root / "tests" / "envproxy").rglob("test_*rules.py"))
    for name in re.findall(r"`(test_\w+)`", said):
        assert f"def {name}(" in tests


@pytest.mark.parametrize("text", ["", "  ", ",", " , ,"])
def test_nothing_is_smacs(text: str) -> None:
    assert Rules.parse(text) == SMAC_RULES
    assert SMAC_RULES.text() == str(SMAC_RULES) == ""


@pytest.mark.parametrize(
    "text",
    [
        "obs-last-action=true, reward-scale-rate=10",
        "obs_last_action=true reward_scale_rate=10.0",
        "reward-scale-rate=1e1,obs-last-action=True",
        " obs-last-action = TRUE ,\n reward_scale-rate =10 ",
        "reward-scale-rate=10 step-mul=8 obs-last-action=true weapons=liberty",
    ],
)
def test_one_meaning_has_one_text(text: str) -> None:
    rules = Rules.parse(text)
    assert rules == Rules(obs_last_action=True, reward_scale_rate=10)
    assert rules.text() == "obs-last-action=true, reward-scale-rate=10"


def test_all_health_makes_own_health_true_as_in_smac() -> None:
    assert Rules(obs_all_health=True, obs_own_health=False) == SMAC_RULES
    assert Rules.parse("obs-own-health=false") == SMAC_RULES
    neither = Rules.parse("obs-all-health=false obs-own-health=false")
    assert (neither.obs_all_health, neither.obs_own_health) == (False, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("obs-lost-action=true", "there is no 'obs-lost-action'; there are step-mul, move-amount, .*, game-version"),
        ("obs-timestep-number=true", "there is no 'obs-timestep-number'; there are .*"),
        ("obs-last-action", "expected NAME=VALUE, found 'obs-last-action'"),
        ("obs last action=true", "expected NAME=VALUE, found 'obs'"),
        ("obs-last-action=", "obs-last-action: expected true or false, found ''"),
        ("obs-last-action=1", "obs-last-action: expected true or false, found '1'"),
        ("obs-last-action=true obs_last_action=true", "obs-last-action is given twice"),
        ("step-mul=8.0", "step-mul: expected a whole number, found '8.0'"),
        ("step-mul=0", "step-mul: expected 1..1024, found 0"),
        ("step-mul=1025", "step-mul: expected 1..1024, found 1025"),
        ("move-amount=0", "move-amount: expected more than 0, at most 1000000, found 0"),
        ("move-amount=two", "move-amount: expected a number, found 'two'"),
        ("reward-win=nan", "reward-win: expected a number, found 'nan'"),
        ("reward-win=inf", "reward-win: expected a number, found 'inf'"),
        ("reward-win=-1", "reward-win: expected 0..1000000, found -1"),
        ("reward-death-value=-0.5", "reward-death-value: expected 0..1000000, found -0.5"),
        ("reward-negative-scale=-1", "reward-negative-scale: expected 0..1000000, found -1"),
        ("reward-defeat=1e7", "reward-defeat: expected -1000000..1000000, found 10000000"),
        ("reward-scale-rate=0", "reward-scale-rate: expected more than 0, at most 1000000, found 0"),
        ("use-unit-ranges=yes", "use-unit-ranges: expected map, true or false, found yes"),
        ("obs-own-pos=1", "obs-own-pos: expected map, true or false, found 1"),
        ("min-attack-range=-1", "min-attack-range: expected 0..1000000, found -1"),
        ("num-fov-actions=0", "num-fov-actions: expected 1..64, found 0"),
        ("num-fov-actions=65", "num-fov-actions: expected 1..64, found 65"),
        ("prob-obs-enemy=1.5", "prob-obs-enemy: expected 0..1, found 1.5"),
        ("weapons=hots", "weapons: expected liberty or lotv, found hots"),
        ("difficulty=10", "difficulty: expected 1..9 or A, found 10"),
        ("game-version=four", "game-version: expected a version as 4.10 or 4.10.0, found four"),
        ("weapons='liberty", 'expected every quote to be closed, found "weapons=\'liberty"'),
    ],
)
def test_what_is_wrong_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(RulesError) as refused:
        Rules.parse(text)
    assert re.fullmatch(f"rules: {said}", str(refused.value))


def _values_of(field: dataclasses.Field[object]) -> st.SearchStrategy[object]:
    if isinstance(field.default, bool):
        return st.booleans()
    if isinstance(field.default, int):
        return st.integers(1, 64)
    if field.name == "prob_obs_enemy":
        return st.floats(0, 1)
    switch = ["map", "true", "false"]
    texts = {"weapons": ["liberty", "lotv"], "difficulty": ["7", "1", "A"], "game_version": ["", "4.10", "4.6.2"]}
    texts |= {"obs_own_pos": switch, "use_unit_ranges": switch}
    return st.floats(1e-6, 1e6) if isinstance(field.default, float) else st.sampled_from(texts[field.name])


@given(values=st.fixed_dictionaries({field.name: _values_of(field) for field in dataclasses.fields(Rules)}))
def test_the_text_means_the_rules_it_was_written_for(values: dict[str, object]) -> None:
    rules = Rules(**values)  # type: ignore[arg-type]
    assert Rules.parse(rules.text()) == rules
    assert Rules.parse(rules.text()).text() == rules.text()


KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
TOO_LARGE = 10**5000
VALUES = [
    None, True, np.True_, 1, 0, 8, np.int64(8), 8.0, 8.5, np.float32(8), "false", "8", b"8", "", [], [8], {}, {"a": 1},
    object(), 1j, Decimal(8), np.array(8), np.array([1, 2]), Rules, len, TOO_LARGE, float("nan"), "x" * 10_000, "a\nb",
]  # fmt: skip
SAME_KIND: dict[type, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
    str: (str,),
}


def is_of_kind(value: object, kind: type) -> bool:
    is_bool = isinstance(value, bool | np.bool_)
    return isinstance(value, SAME_KIND[kind]) and (not is_bool or kind is bool)


@pytest.mark.parametrize("options", [Rules, GameOptions])
def test_a_value_of_another_type_is_refused_by_name(options: type[Options]) -> None:
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        kind, name = type(field.default), field.name.replace("_", "-")
        for value in VALUES:
            if is_of_kind(value, kind) and not (value is TOO_LARGE and kind is int):
                continue
            with pytest.raises(options.Error) as refused:
                options(**{field.name: value})
            said = str(refused.value)
            assert re.fullmatch(rf"{options.NOUN}: {name}: expected {KINDS[kind]}, found .{{1,120}}", said), said
            with pytest.raises(options.Error):
                dataclasses.replace(options(), **{field.name: value})  # type: ignore[type-var]


@pytest.mark.parametrize("options", [Rules, GameOptions])
def test_what_is_accepted_is_of_the_fields_own_type(options: type[Options]) -> None:
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        for value in VALUES:
            if not is_of_kind(value, type(field.default)):
                continue
            said = ""
            try:
                made = options(**{field.name: value})
            except OptionsError as refused:  # out of range
                said = str(refused)
            else:
                assert type(getattr(made, field.name)) is type(field.default)
                assert options.parse(made.text()) == made
            assert "\n" not in said
            assert len(said) < 200


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reward_sparse": "false"}, "reward-sparse: expected true or false, found 'false' (str)"),
        ({"reward_sparse": 0}, "reward-sparse: expected true or false, found 0 (int)"),
        ({"step_mul": 8.5}, "step-mul: expected a whole number, found 8.5 (float)"),
        ({"step_mul": 8.0}, "step-mul: expected a whole number, found 8.0 (float)"),
        ({"step_mul": True}, "step-mul: expected a whole number, found True (bool)"),
        ({"step_mul": None}, "step-mul: expected a whole number, found None"),
        ({"step_mul": 10**5000}, "step-mul: expected a whole number, found a value that cannot be written (int)"),
        ({"reward_win": np.array([1.0, 2.0])}, "reward-win: expected a number, found an array of float64 [2]"),
        ({"reward_win": 10**5000}, "reward-win: expected 0..1000000, found inf"),
        ({"difficulty": 7}, "difficulty: expected a text, found 7 (int)"),
        ({"game_version": 4.1}, "game-version: expected a text, found 4.1 (float)"),
    ],
)
def test_the_refusal_of_a_type_names_option_expected_and_found(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RulesError) as refused:
        Rules(**given)
    assert str(refused.value) == f"rules: {said}"


def test_numpys_scalars_mean_what_they_say() -> None:
    scalars: dict[str, Any] = {"step_mul": np.int16(4), "reward_sparse": np.True_, "reward_win": np.float64(7)}
    rules = Rules(**scalars, weapons=cast(Any, np.str_("lotv")))
    assert rules == Rules(step_mul=4, reward_sparse=True, reward_win=7, weapons="lotv")
    assert rules.text() == "step-mul=4, reward-sparse=true, reward-win=7, weapons=lotv"
    assert hash(rules) == hash(Rules(step_mul=4, reward_sparse=True, reward_win=7.0, weapons="lotv"))


NO_RULES: list[Any] = [{}, "", "step-mul=4", None, [], {"step_mul": 4}, Rules, 8, GameOptions()]


@pytest.mark.parametrize("rules", NO_RULES, ids=str)
def test_what_is_in_the_place_of_rules_is_refused_everywhere(rules: Any) -> None:
    for make in (
        lambda: parallel_env("3m", rules=rules),
        lambda: create_backend("skirmish", "3m", 1, rules),
        lambda: create_backend("smac", "3m", 1, rules),
        lambda: create_recordable("skirmish", "3m", 1, rules),
        lambda: Skirmish("3m", 1, rules),
        lambda: refuse(rules, (), "a test"),
        lambda: map_spec("3m", rules),
    ):
        with pytest.raises(RulesError, match=r"^rules: expected Rules\(...\) or Rules.parse\(text\), found .+$"):
            make()


@pytest.mark.parametrize("text", [None, {}, b"step-mul=4", SMAC_RULES, 8], ids=str)
def test_what_is_in_the_place_of_a_text_is_refused(text: Any) -> None:
    with pytest.raises(RulesError, match=r"^rules: expected a text of NAME=VALUE, found "):
        Rules.parse(text)
    for backend in ("skirmish", "smac"):
        with pytest.raises(OptionsError, match=r"^backend-options: expected a text of NAME=VALUE, found "):
            create_backend(backend, "3m", 1, options=text)
