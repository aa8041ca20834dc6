"""The rules' text: read, refused in one line, written in one form."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envproxy.rules import SMAC_RULES, Rules, RulesError


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
        return st.integers(1, 1024)
    texts = {"weapons": ["liberty", "lotv"], "difficulty": ["7", "1", "A"], "game_version": ["", "4.10", "4.6.2"]}
    return st.floats(1e-6, 1e6) if isinstance(field.default, float) else st.sampled_from(texts[field.name])


@given(values=st.fixed_dictionaries({field.name: _values_of(field) for field in dataclasses.fields(Rules)}))
def test_the_text_means_the_rules_it_was_written_for(values: dict[str, object]) -> None:
    rules = Rules(**values)  # type: ignore[arg-type]
    assert Rules.parse(rules.text()) == rules
    assert Rules.parse(rules.text()).text() == rules.text()
