"""Reading the settings."""

import tomllib
from pathlib import Path

import pytest

from learning.settings import LearningSettings, SeatSpec, Setting

CONFIG: dict[str, Setting] = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["flwr"]["app"]["config"]


def test_the_projects_defaults_are_read() -> None:
    settings = LearningSettings.from_config(CONFIG)
    assert (settings.base, settings.batch_size, settings.reward_credit) == ("vdn", 96, "alive")
    assert (settings.learning_rate, settings.grad_clip) == (5e-4, 10.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "iql"}, "'base' is 'iql', expected one of: vdn, qmix"),
        ({"reward-credit": "mine"}, "'reward-credit' is 'mine', expected one of: alive, team"),
        ({"batch-size": 2.5}, "'batch-size' is 2.5, expected a whole number"),
        ({"buffer-size": 0}, "'buffer-size' is 0.0, expected a whole number"),
        ({"buffer-size": 95}, r"'batch-size' is 96, expected at most 'buffer-size' \(95\)"),
        ({"gamma": "high"}, "'gamma' is 'high', expected a number"),
        ({"gamma": True}, "'gamma' is True, expected a number"),
    ],
)
def test_wrong_values_are_named(change: dict[str, Setting], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearningSettings.from_config(CONFIG | change)


@pytest.mark.parametrize("key", ["base", "target-update-every", "learning-rate"])
def test_missing_keys_are_named(key: str) -> None:
    with pytest.raises(ValueError, match=f"setting '{key}' is missing"):
        LearningSettings.from_config({name: value for name, value in CONFIG.items() if name != key})


def test_input_size_of_3m() -> None:
    assert SeatSpec(seat=0, n_agents=3, obs_size=30, n_actions=9, episode_limit=60).input_size == 42
