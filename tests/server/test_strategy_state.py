"""A strategy's state and failures in a run: kept in checkpoints, restored at resume, told in one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import server.app
import strategies.registry
from server.app import train
from server.checkpoints import Checkpoint, newest_checkpoint, whole_checkpoints
from server.failure import NeedsYouError, what_needs_you
from server.grids import GridWrapper
from server.settings import SettingsError, check_settings
from server.strategy_failure import StrategyFailedError
from strategies.aggregate import Aggregate, Round
from strategies.own_settings import Setting
from strategies.rs_pps import RSPPS
from strategies.settings import SharingSettings
from strategies.sharing import Sharing
from strategies.state import State
from strategies.update import Update
from tests.server.squad import Device, Field, Squad, defaults


class Momentum(RSPPS):
    """Momentum over RS-PPS's average."""

    own_settings = (Setting("momentum", 0.5, "share of the last step", minimum=0.0, maximum=1.0),)

    def __init__(self, settings: SharingSettings) -> None:
        super().__init__(settings)
        self.velocity: dict[str, Any] = {}
        self.rounds = 0

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        average, weighting = super().combine(updates, names, round_)
        self.rounds += 1
        for name in names:
            step = average[name] - round_.previous[name]
            self.velocity[name] = np.float32(self.own["momentum"]) * self.velocity.get(name, np.float32(0.0)) + step
        return Aggregate({name: round_.previous[name] + self.velocity[name] for name in names}, weighting)

    def state(self) -> State:
        return {**self.velocity, "rounds": self.rounds}

    def restore_state(self, state: State) -> None:
        self.rounds = int(state.pop("rounds"))
        self.velocity = dict(state)


class Faulty(Sharing):
    """Fails in round 2."""

    own_settings = (Setting("fault", "raise", "what it does", choices=("raise", "nan", "state")),)

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        tensors, weighting = super().combine(updates, names, round_)
        if round_.number == 2 and self.own["fault"] == "raise":
            raise ZeroDivisionError("division by zero\n  in two lines")
        if round_.number == 2 and self.own["fault"] == "nan":
            tensors["fc2.bias"] = np.full(2, np.nan, np.float32)
        return Aggregate(tensors, weighting)

    def state(self) -> State:
        return {"it": "a text"} if self.own["fault"] == "state" else {}  # type: ignore[dict-item]


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two strategies more; devices that know nothing of folded messages; no pictures."""
    found = {"momentum": Momentum, "faulty": Faulty}
    load = strategies.registry._load
    monkeypatch.setattr(strategies.registry, "_load", lambda name: found.get(name) or load(name))
    monkeypatch.setattr(server.app, "PackingGrid", GridWrapper)
    for draws in ("draw_curve", "write_report"):
        monkeypatch.setattr(server.app, draws, lambda *_: None)


def config(runs: Path, run: str, **changes: Any) -> dict[str, Any]:
    small = {"total-steps": 600, "aggregation-every": 10, "batch-size": 4, "learning-rate": 1.0}
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    return {**defaults(), "strategy": "momentum", "runs": str(runs), "run": run, **small, **named}


def team(gains: Sequence[float] = (1.0, 0.3, 0.1)) -> Field:
    return Field(Squad({seat + 1: Device(seat, gain) for seat, gain in enumerate(gains)}))


def bits(run: Path) -> dict[str, bytes]:
    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.strategy is not None
    agents = {f"{seat}/{name}": t.tobytes() for seat, own in checkpoint.agents.items() for name, t in own.items()}
    return agents | {name: np.asarray(value).tobytes() for name, value in checkpoint.strategy.items()}


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy_settings": "momentum=0.9"},
        {"strategy_settings": "momentum=0.9", "adopt": 0.3},
        {"strategy": "rs-pps", "server_optimizer": "fedadam"},
        {"strategy": "pp-pps", "server_optimizer": "fedavgm", "adopt": 0.5},
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, changes: dict[str, Any]) -> None:
    train(team(), config(tmp_path, "whole", **changes), {})
    cut = team()
    train(cut, config(tmp_path, "cut", total_steps=200, **changes), {})
    for total in (300, 600):  # twice: a strategy that is restored is saved again
        train(cut, config(tmp_path, "cut", resume=True), {"resume": True, "total-steps": total})
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")
    assert len({bits(tmp_path / "whole")[f"{seat}/fc2.bias"] for seat in range(3)}) == (
        1 if "adopt" not in changes else 3
    )


def test_a_checkpoint_holds_the_state_beside_the_agents(tmp_path: Path) -> None:
    train(team(), config(tmp_path, "run"), {})
    newest = whole_checkpoints(tmp_path / "run")[-1]
    checkpoint = newest_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    assert checkpoint.strategy is not None
    assert checkpoint.strategy["own/rounds"] == 6
    assert checkpoint.strategy.keys() >= {"own/fc2.bias", "aggregate/fc2.bias"}
    assert set(checkpoint.agents[0]) == set(checkpoint.agents[1])
    assert not any("own" in name for name in checkpoint.agents[0])
    (newest / "strategy.safetensors").write_bytes(b"")
    with pytest.raises(Exception, match=r"round-000006 is damaged \(.*; remove it to resume from the one before"):
        train(team(), config(tmp_path, "run", resume=True), {"resume": True, "total-steps": 700})


def test_a_checkpoint_from_before_it_held_state_is_resumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut = team()
    train(cut, config(tmp_path, "run", total_steps=200), {})
    newest = whole_checkpoints(tmp_path / "run")[-1]
    document = json.loads((newest / "checkpoint.json").read_text())
    del document["strategy"]
    (newest / "checkpoint.json").write_text(json.dumps(document))
    (newest / "strategy.safetensors").unlink()
    old = newest_checkpoint(tmp_path / "run")
    assert isinstance(old, Checkpoint)
    assert old.strategy is None
    train(cut, config(tmp_path, "run", resume=True), {"resume": True, "total-steps": 400})
    assert "the checkpoint holds no state of Momentum: it begins with a new one" in caplog.messages
    resumed = newest_checkpoint(tmp_path / "run")
    assert resumed is not None
    assert (resumed.round, (resumed.strategy or {})["own/rounds"]) == (4, 2)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            "raise",
            r"failed in combine \(.*test_strategy_state\.py:\d+\): ZeroDivisionError: division by zero",
        ),
        (
            "nan",
            r'^strategy "faulty" failed: Faulty\.combine returned tensor fc2\.bias with NaN, expected finite numbers$',
        ),
        ("state", r"^strategy \"faulty\" failed: TypeError: state 'it' is a str, expected an array or a number$"),
    ],
)
def test_a_strategy_that_fails_ends_the_run_at_once(tmp_path: Path, fault: str, said: str) -> None:
    settings = config(tmp_path, "run", strategy="faulty", strategy_settings=f"fault={fault}")
    with pytest.raises(StrategyFailedError, match=said) as failed:
        train(team(), settings, {})
    assert "\n" not in str(failed.value)
    newest = newest_checkpoint(tmp_path / "run")
    assert (None if newest is None else newest.round) == (None if fault == "state" else 1)


def test_another_try_is_not_made_for_a_strategy_that_fails(tmp_path: Path) -> None:
    with pytest.raises(NeedsYouError) as failed:
        server.app._train(team(), config(tmp_path, "run", strategy="faulty"), {})
    reason = what_needs_you(str(failed.value))
    assert reason is not None
    assert reason.endswith("correct the strategy, then resume the run with --resume")


def test_the_settings_of_a_strategy_stand_in_run_json_and_stay(tmp_path: Path) -> None:
    train(team(), config(tmp_path, "run", total_steps=100), {})
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["settings"]["strategy-settings"] == "momentum=0.5"
    given = {"resume": True, "total-steps": 200}
    with pytest.raises(SettingsError, match=r"strategy-settings: the run began with 'momentum=0\.5', a resumed run"):
        train(team(), config(tmp_path, "run", resume=True), {**given, "strategy-settings": "momentum=0.6"})
    train(team(), config(tmp_path, "run", resume=True), {**given, "strategy-settings": "momentum = .50"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("momentum=2", "strategy-settings: momentum: expected a number from 0 to 1, found '2'"),
        ("speed=2", "strategy-settings: unknown setting 'speed'; the strategy has momentum"),
    ],
)
def test_wrong_settings_of_a_strategy_are_told_before_the_run(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_settings(config(tmp_path, "run", strategy_settings=text))
    assert str(refused.value) == said
