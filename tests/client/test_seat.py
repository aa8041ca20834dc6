"""Server, env proxy and device compare what they are before anything is played."""

from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from cli.defaults import default_config
from client.messages import DESCRIBE, Request
from client.seat import Seat, SeatRefusedError, check_same
from envproxy import battle_pb2 as pb

CONFIG = {**default_config(), "version": version("pps-qmix")}


def arena(rules: str = "") -> pb.ArenaDescription:
    return pb.ArenaDescription(
        arena="main", map="3m", backend="skirmish", version=version("pps-qmix"), battles=8, n_agents=3, rules=rules
    )


@pytest.mark.parametrize(
    ("wanted", "played"),
    [
        ("", ""),
        ("step-mul=8", ""),  # SMAC's
        ("reward_win=100 obs_last_action=True", "obs-last-action=true, reward-win=100"),
    ],
)
def test_rules_are_compared_by_what_they_mean(wanted: str, played: str) -> None:
    check_same({**CONFIG, "rules": wanted}, arena(played), seat=0)


def test_a_run_with_other_rules_than_the_env_proxys_is_refused() -> None:
    with pytest.raises(SeatRefusedError) as refused:
        check_same({**CONFIG, "rules": "step_mul=4,reward-win=100"}, arena("obs-last-action=true"), seat=0)
    assert str(refused.value) == (
        "the run wants rules 'step-mul=4, reward-win=100', but arena 'main' of the env proxy plays "
        "'obs-last-action=true'; start the env proxy with --rules 'step-mul=4, reward-win=100', or the run with "
        "--rules obs-last-action=true"
    )


def test_unreadable_rules_are_refused() -> None:
    with pytest.raises(SeatRefusedError, match=r"^the run cannot be played: rules: there is no 'step'; there are .*"):
        check_same({**CONFIG, "rules": "step=4"}, arena(), seat=0)


def test_a_run_that_wants_cuda_is_refused_by_a_device_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    wanted = {**CONFIG, "run": "x", "run-id": "x", "device": "cuda"}
    with pytest.raises(SeatRefusedError, match=r"^seat 1: device: PyTorch .* finds no CUDA device on this machine; "):
        Seat(1, tmp_path).meet(Request(DESCRIBE, wanted), arena())
