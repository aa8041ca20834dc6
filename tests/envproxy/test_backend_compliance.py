"""The compliance suite over our own backends, and how backends are found by name."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envproxy.backend import (
    Backend,
    BrokenBackendError,
    UnknownNameError,
    backend_names,
    create_backend,
    create_recordable,
    map_names,
    map_specs,
)
from envproxy.backends.smac.game_map import game_map
from envproxy.compliance import RegistrationCompliance, SmacCompliance
from envproxy.maps import battle_map
from envproxy.rules import Rules
from tests.packages import install
from tests.starcraft.host import ENVIRONMENT, SMAC, battle_host, needs_smac

ON_SMAC = ("3m", "2s3z", "MMM", "bane_vs_bane")  # of the maps that it has; each test starts games


class TestSkirmish(SmacCompliance):
    @pytest.fixture(params=map_names("skirmish"))
    def create(self, request: pytest.FixtureRequest) -> Callable[[int], Backend]:
        return lambda battles: create_backend("skirmish", request.param, battles)


class TestSkirmishUnderOtherRules(SmacCompliance):
    """Cones of sight, enemies that are seen by some, and targets that are available at any distance."""

    @pytest.fixture(params=["2s3z", "terran_5_vs_5", "zerg_10_vs_11"])
    def create(self, request: pytest.FixtureRequest) -> Callable[[int], Backend]:
        rules = Rules.parse("conic-fov=true, prob-obs-enemy=0.3, action-mask=false, use-unit-ranges=true")
        return lambda battles: create_backend("skirmish", request.param, battles, rules)


@pytest.mark.system  # each test starts games
class TestSmac(SmacCompliance):
    @pytest.fixture(
        params=[
            pytest.param(("3m", ENVIRONMENT), id="3m-standin"),
            pytest.param(("terran_5_vs_5", ENVIRONMENT), id="terran_5_vs_5-standin"),
            *(pytest.param((name, SMAC), id=name, marks=needs_smac) for name in ON_SMAC),
        ]
    )
    def create(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[[int], Backend]]:
        name, packages = request.param
        with contextlib.ExitStack() as stack:
            stack.enter_context(
                battle_host(tmp_path, monkeypatch, packages=packages, maps=[game_map(battle_map(name)).file])
            )
            yield lambda battles: create_backend("smac", name, battles)


class TestRegistration(RegistrationCompliance):
    @pytest.fixture(params=["skirmish", "smac"])
    def backend(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name


def test_own_backends_are_installed() -> None:
    """Fails where the package is not installed (pip install -e .): its entry points are part of it."""
    assert {"skirmish", "smac"} <= set(backend_names())
    assert backend_names() == sorted(backend_names())


def test_a_backend_says_whether_it_is_repeatable() -> None:
    said = {name: create_backend(name, "3m", 1).repeatable for name in ("skirmish", "smac")}
    assert said == {"skirmish": True, "smac": False}


def test_unknown_names_list_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backend 'chess'; installed: .*skirmish, smac"):
        create_backend("chess", "3m", 1)
    with pytest.raises(UnknownNameError, match="the backend 'skirmish' has no map '4m'; it has 3m"):
        create_backend("skirmish", "4m", 1)


# --- backends of other packages -------------------------------------------------------------------------------

OTHERS = {
    "halves": "def create(map_name, battles, rules, options): ...",  # no map_names
    "raising": "raise RuntimeError('no licence\\nfound')",
    "failing": "def map_names(): return ['one']\ndef create(*_): raise KeyError('one')",
    "unseen": "def map_names(): return ['one']\ndef create(map_name, *_): return map_name",
}


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with backends that cannot be used."""
    entries = {name: f"others_{name}" for name in OTHERS} | {"absent": "others_absent", "smac": "others_failing"}
    modules = {f"others_{name}": text for name, text in OTHERS.items()}
    install(tmp_path, monkeypatch, "others", modules, {"pps_qmix.backends": entries})


@pytest.mark.usefixtures("others")
def test_a_backend_that_cannot_be_imported_is_told_in_one_line() -> None:
    assert {"absent", "raising", "skirmish"} <= set(backend_names())
    for name, reason in {
        "absent": r"cannot be imported: ModuleNotFoundError: No module named 'others_absent'; repair or uninstall it",
        "raising": r"cannot be imported: RuntimeError: no licence found; repair or uninstall it",
        "halves": r"has no function map_names; docs/backends.md says what it needs",
    }.items():
        with pytest.raises(
            BrokenBackendError, match=rf"^the backend '{name}' \(others_{name} of the package others\) {reason}$"
        ):
            create_backend(name, "one", 1)


@pytest.mark.usefixtures("others")
def test_a_backend_of_two_packages_is_refused() -> None:
    with pytest.raises(BrokenBackendError, match=r"'smac' is provided more than once: envproxy.*smac, others_failing"):
        map_names("smac")


@pytest.mark.usefixtures("others")
def test_a_backend_that_cannot_make_its_maps_is_told_in_one_line() -> None:
    with pytest.raises(BrokenBackendError, match=r"^the backend 'failing' cannot list its maps: KeyError: 'one'$"):
        map_specs("failing")


@pytest.mark.usefixtures("others")
def test_a_backend_that_does_not_show_its_units_says_so() -> None:
    with pytest.raises(ValueError, match="the backend 'unseen' does not show its units: it has no create_recordable"):
        create_recordable("unseen", "one", 1)
