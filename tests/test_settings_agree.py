"""Choices and ranges of settings that several folders hold are the same everywhere: they must not import each other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import envproxy.mixing
import envproxy.protocol
import strategies.groups
import strategies.settings
from client.device import is_run_name
from learning.settings import LearningSettings
from operations.defaults import descriptions
from server.settings import Settings, SettingsError, Value, check_settings
from strategies.settings import SharingSettings

PYPROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
DEFAULTS: dict[str, Value] = tomllib.loads(PYPROJECT)["tool"]["flwr"]["app"]["config"]


def choices_of(settings: type) -> dict[str, tuple[str, ...]]:
    """The settings with a choice, by their kebab-case names."""
    hints = get_type_hints(settings)
    return {name.replace("_", "-"): get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


CHOICES = choices_of(Settings)


def test_the_server_has_these_choices() -> None:
    assert CHOICES.keys() == {
        "base", "mixing", "reward-credit", "reward-weighting", "server-optimizer", "device", "share-among",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        *choices_of(LearningSettings).items(),
        ("reward-weighting", strategies.settings.REWARD_WEIGHTINGS),
        ("share-among", strategies.groups.SHARE_AMONG),
        ("base", envproxy.mixing.BASES),
        ("reward-credit", envproxy.protocol.REWARD_CREDITS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_choices_are_the_servers(name: str, choices: tuple[str, ...]) -> None:
    assert choices == CHOICES[name]


@pytest.mark.parametrize("name", CHOICES)
def test_the_meaning_of_a_setting_names_each_choice_in_order(name: str) -> None:
    parts, choices = (
        descriptions()[name].meaning.split(" | "),
        [choice for choice in CHOICES[name] if choice],
    )  # "": none
    assert len(parts) == len(choices)
    for part, choice in zip(parts, choices, strict=True):
        assert re.search(rf"\b{choice}\b", part), f"{part!r} does not name {choice!r}"


def refuses(read: Callable[[dict[str, Any]], object], name: str, value: Value) -> bool:
    try:
        read({**DEFAULTS, name: value})
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("personal-layers", (-1, 0, 8, 9)),
        ("adopt", (-0.001, 0.0, 1.0, 1.001)),
        ("max-weight", (0.0, 0.001, 1.0, 1.001)),
        ("tolerate", (-1, 0)),
        ("reward-weighting", ("proportional", "uniform")),
    ],
)
def test_strategies_have_the_servers_ranges(name: str, values: tuple[Value, ...]) -> None:
    for value in values:
        sharing = refuses(lambda config: SharingSettings.from_config(config, None), name, value)
        assert sharing is refuses(check_settings, name, value), value


@pytest.mark.parametrize(
    "name", ["batch-size", "buffer-size", "epsilon-steps", "target-update-every", "hidden", "reward-buffer"]
)
def test_learners_have_the_servers_lower_bounds(name: str) -> None:
    for value in (-1, 0, 1, 96):
        assert refuses(LearningSettings.from_config, name, value) is refuses(check_settings, name, value), value


@pytest.mark.parametrize("name", ["learning-rate", "gamma", "td-lambda", "epsilon-start", "epsilon-end", "grad-clip"])
def test_learners_take_what_the_server_takes(name: str) -> None:
    for value in (0.0, 0.001, 1.0):
        assert refuses(check_settings, name, value) or not refuses(LearningSettings.from_config, name, value), value


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 100, "x" * 101, "", ".a", "-a", "a/b", "a b", "é", "a\n"])
def test_devices_and_the_server_have_the_same_names_of_runs(name: str) -> None:
    try:
        check_settings({**DEFAULTS, "run": name})
    except SettingsError:
        taken = False
    else:
        taken = name != ""  # which the server replaces by a name
    assert is_run_name(name) is taken
