"""The settings that concern sharing: taken from a config, and refused where no strategy can work with them."""

import dataclasses
from typing import Any

import pytest

from strategies.attestation import Attestation
from strategies.settings import SharingSettings
from strategies.update import Bounds
from tests.strategies.conftest import CREDULOUS

CONFIG = {
    "reward-weighting": "softmax", "personal-layers": 2, "adopt": 1, "max-weight": 0.5, "max-return": 40,
    "tolerate": 2, "reward-buffer": 96, "learning-rate": 1e-3, "aggregation-every": 100,
    "train-per-battle": 0.5, "strategy-settings": "a=1", "server-optimizer": "fedadam",
    "server-learning-rate": 1, "server-momentum": 0, "map": "3m",
}  # fmt: skip


def test_from_config() -> None:
    attestation = Attestation(bytes(32), "id", "main", "alive", 96)
    assert SharingSettings.from_config(CONFIG, attestation) == SharingSettings(
        strategy_settings="a=1",
        reward_weighting="softmax",
        personal_layers=2,
        adopt=1.0,
        max_weight=0.5,
        tolerate=2,
        server_optimizer="fedadam",
        server_learning_rate=1.0,
        server_momentum=0.0,
        learning_rate=1e-3,
        # 200 battles and what is owed of one: 100.5 training steps of at most ten learning rates
        bounds=Bounds(battles=96, mean_return=40.0, change=pytest.approx(1.005)),  # type: ignore[arg-type]
        attestation=attestation,
    )


@pytest.mark.parametrize("missing", [key for key in CONFIG if key != "map"])
def test_missing_key(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        SharingSettings.from_config({key: value for key, value in CONFIG.items() if key != missing}, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reward_weighting": "rank"}, "reward-weighting is 'rank', expected one of proportional, softmax"),
        ({"personal_layers": 9}, r"personal-layers is 9, expected 0\.\.8"),
        ({"personal_layers": -1}, r"personal-layers is -1, expected 0\.\.8"),
        ({"personal_layers": 4.5}, r"personal-layers is 4\.5, expected 0\.\.8"),
        ({"adopt": 1.5}, r"adopt is 1\.5, expected 0\.\.1"),
        ({"adopt": float("nan")}, r"adopt is nan, expected 0\.\.1"),
        ({"max_weight": 0.0}, r"max-weight is 0\.0, expected more than 0 and at most 1"),
        ({"max_weight": 1.5}, r"max-weight is 1\.5, expected"),
        ({"tolerate": -1}, r"tolerate is -1, expected 0 or more"),
        ({"server_optimizer": "adam"}, "server-optimizer is 'adam', expected one of fedadam, fedyogi, fedadagrad, fed"),
        ({"server_learning_rate": 0.0}, r"server-learning-rate is 0\.0, expected more than 0"),
        ({"server_learning_rate": float("inf")}, r"server-learning-rate is inf, expected more than 0"),
        ({"server_momentum": 1.0}, r"server-momentum is 1\.0, expected at least 0 and less than 1"),
    ],
)
def test_out_of_range(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(CREDULOUS, **changes)
