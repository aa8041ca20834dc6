"""Strategies by name: the project's own as they are installed, and those of a user's package."""

import dataclasses
import importlib
import sys
from pathlib import Path

import pytest

from strategies.a_pps import APPS
from strategies.none import NoSharing
from strategies.pp_pps import PPPPS
from strategies.registry import (
    UnknownStrategyError,
    UnusableStrategyError,
    create_strategy,
    describe,
    settings_text,
    strategy_names,
)
from strategies.rs_pps import RSPPS
from strategies.sharing import Sharing
from tests.strategies.conftest import CREDULOUS

BEST_ONLY = '''
"""A method author's own strategy."""

from strategies.arithmetic import Weighting
from strategies.own_settings import Setting
from strategies.sharing import Sharing

import numpy as np


class BestOnly(Sharing):
    """Everyone takes over the agent with the largest reward.

    Shares every tensor.
    """

    def weights(self, updates):
        best = max(range(len(updates)), key=lambda i: updates[i].reward)
        return Weighting(np.eye(len(updates))[best])


class Tuned(Sharing):
    """Has settings of its own."""

    own_settings = (Setting("speed", 0.5, "how fast", minimum=0.0), Setting("ahead", False, "whether to look ahead"))


class NoSuper(Sharing):
    """Forgets its base class."""

    def __init__(self, settings):
        self.settings = settings


class Raises(Sharing):
    """Cannot be created."""

    def __init__(self, settings):
        super().__init__(settings)
        self.tensors = {}["missing"]


class Twice(Sharing):
    """Declares a name twice."""

    own_settings = (Setting("speed", 0.5, "one"), Setting("speed", 0.5, "another"))


not_a_strategy = dict
'''


@pytest.fixture
def user_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a package that provides "best-only", as pip would lay it out."""
    (tmp_path / "best_only.py").write_text(BEST_ONLY)
    info = tmp_path / "best_only-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: best-only\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pps_qmix.strategies]\n"
        "best-only = best_only:BestOnly\n"
        "wrong = best_only:not_a_strategy\n"
        "a-pps-too = strategies.a_pps:APPS\n"
        "none = best_only:BestOnly\n"
        "tuned = best_only:Tuned\n"
        "no-super = best_only:NoSuper\n"
        "raises = best_only:Raises\n"
        "twice = best_only:Twice\n"
        "gone = best_only.gone:Gone\n"
        "nameless = best_only:Nameless\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "best_only", raising=False)
    importlib.invalidate_caches()
    return "best-only"


def test_own_strategies_are_installed() -> None:
    """Fails where the package is not installed (pip install -e .): its entry points are part of it."""
    assert {"a-pps", "krum", "median", "none", "pp-pps", "rs-pps", "trimmed-mean"} <= set(strategy_names())
    assert strategy_names() == sorted(strategy_names())


@pytest.mark.parametrize(
    ("name", "strategy"), [("a-pps", APPS), ("rs-pps", RSPPS), ("pp-pps", PPPPS), ("none", NoSharing)]
)
def test_create(name: str, strategy: type[Sharing]) -> None:
    created = create_strategy(name, CREDULOUS)
    assert type(created) is strategy
    assert created.settings == CREDULOUS


def test_describe() -> None:
    assert describe("none") == "No sharing: each agent keeps its own weights and learns alone."
    assert all(describe(name) for name in strategy_names())


def test_unknown_name_lists_what_exists() -> None:
    with pytest.raises(UnknownStrategyError, match=r'"rspps"; installed: a-pps, .* Did you mean "rs-pps"\?'):
        create_strategy("rspps", CREDULOUS)
    with pytest.raises(UnknownStrategyError) as error:
        describe("zzz")
    assert "Did you mean" not in str(error.value)


def test_users_package_adds_a_strategy(user_package: str) -> None:
    assert user_package in strategy_names()
    assert describe(user_package) == "Everyone takes over the agent with the largest reward."
    created = create_strategy(user_package, CREDULOUS)
    assert isinstance(created, Sharing)
    assert type(created).__name__ == "BestOnly"


@pytest.mark.usefixtures("user_package")
def test_what_is_no_strategy() -> None:
    with pytest.raises(UnusableStrategyError, match=r'strategy "wrong" \(best_only:not_a_strategy\) is not a subclass'):
        create_strategy("wrong", CREDULOUS)


@pytest.mark.usefixtures("user_package")
def test_name_of_two_packages() -> None:
    with pytest.raises(
        UnusableStrategyError, match='"none" is provided more than once: best_only:BestOnly, strategies'
    ):
        create_strategy("none", CREDULOUS)


@pytest.mark.usefixtures("user_package")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", r'strategy "gone" \(best_only\.gone:Gone\) cannot be imported: ModuleNotFoundError: No module .*;'),
        (
            "nameless",
            r"cannot be imported: AttributeError: .*Nameless.*; correct the package best-only, or uninstall it",
        ),
        (
            "no-super",
            r'strategy "no-super" cannot be created: call super\(\)\.__init__\(settings\) in NoSuper\.__init__',
        ),
        ("raises", r"strategy \"raises\" cannot be created: KeyError: 'missing'"),
        ("twice", r'strategy "twice": Twice\.own_settings must hold Setting objects with different names'),
    ],
)
def test_a_broken_strategy_is_told_in_one_line(name: str, said: str) -> None:
    with pytest.raises(UnusableStrategyError, match=said) as refused:
        create_strategy(name, CREDULOUS)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("user_package")
def test_a_strategy_has_the_settings_that_it_declares() -> None:
    created = create_strategy("tuned", dataclasses.replace(CREDULOUS, strategy_settings="ahead=true"))
    assert created.own == {"speed": 0.5, "ahead": True}
    assert settings_text("tuned") == "speed=0.5, ahead=false"
    assert settings_text("tuned", "speed=2", "ahead=TRUE, speed=3") == "speed=3.0, ahead=true"
    assert settings_text("a-pps", "") == ""
    with pytest.raises(UnusableStrategyError, match="speed: expected a number of at least 0, found '-1'"):
        create_strategy("tuned", dataclasses.replace(CREDULOUS, strategy_settings="speed=-1"))
