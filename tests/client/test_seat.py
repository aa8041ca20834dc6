"""Server, env proxy and device compare what they are before anything is played."""

from pathlib import Path

import pytest
import torch

from client.messages import Request
from client.seat import Seat, SeatRefusedError, check_same
from envproxy import battle_pb2 as pb
from operations.members import Member
from operations.protocol import PROTOCOL
from pps_qmix.configuration import default_config
from strategies.messages import DESCRIBE

CONFIG = {**default_config(), "protocol": PROTOCOL, "version": "0.3.0"}


def arena(rules: str = "", protocol: int = PROTOCOL) -> pb.ArenaDescription:
    return pb.ArenaDescription(
        arena="main",
        map="3m",
        backend="skirmish",
        protocol=protocol,
        version="0.1.0",
        battles=8,
        n_agents=3,
        rules=rules,
    )


def test_parts_of_different_package_versions_work_together() -> None:
    check_same(CONFIG, arena(), Member(0, 0))


@pytest.mark.parametrize(
    ("config", "protocol", "said"),
    [
        ({"protocol": PROTOCOL + 1}, PROTOCOL, rf"the server speaks protocol {PROTOCOL + 1} \(pps-qmix 0\.3\.0\), "),
        ({"protocol": 0}, PROTOCOL, r"the server speaks protocol unknown \(pps-qmix 0\.3\.0\), "),
        ({}, PROTOCOL + 1, rf"the env proxy speaks protocol {PROTOCOL + 1} \(pps-qmix 0\.1\.0\), "),
    ],
)
def test_parts_of_different_protocols_do_not(config: dict[str, int], protocol: int, said: str) -> None:
    remedy = rf"the device of seat 0 speaks protocol {PROTOCOL} \(pps-qmix .*\); install versions of the same protocol"
    with pytest.raises(SeatRefusedError, match=said + remedy):
        check_same({**CONFIG, **config}, arena(protocol=protocol), Member(0, 0))


def test_a_server_of_before_the_protocol_number_is_refused() -> None:
    config = {name: value for name, value in CONFIG.items() if name != "protocol"}
    with pytest.raises(SeatRefusedError, match="the server speaks protocol unknown"):
        check_same(config, arena(), Member(0, 0))


@pytest.mark.parametrize(("wanted", "played"), [(1, 2), (2, 1), (2, 0)])
def test_a_run_and_an_env_proxy_of_different_simulators_do_not_meet(wanted: int, played: int) -> None:
    """One that does not say its version has version 1."""
    described = arena()
    described.simulator = played
    said = rf"run is of simulator version {wanted}, but the env proxy plays version {played or 1}; install the same"
    with pytest.raises(SeatRefusedError, match=said):
        check_same({**CONFIG, "simulator": wanted}, described, Member(0, 0))
    described.simulator = wanted
    check_same({**CONFIG, "simulator": wanted}, described, Member(0, 0))


@pytest.mark.parametrize(
    ("wanted", "played"),
    [
        ("", ""),
        ("step-mul=8", ""),  # SMAC's
        ("reward_win=100 obs_last_action=True", "obs-last-action=true, reward-win=100"),
    ],
)
def test_rules_are_compared_by_what_they_mean(wanted: str, played: str) -> None:
    check_same({**CONFIG, "rules": wanted}, arena(played), Member(0, 0))


def test_a_run_with_other_rules_than_the_env_proxys_is_refused() -> None:
    with pytest.raises(SeatRefusedError) as refused:
        check_same({**CONFIG, "rules": "step_mul=4,reward-win=100"}, arena("obs-last-action=true"), Member(0, 0))
    assert str(refused.value) == (
        "the run wants rules 'step-mul=4, reward-win=100', but arena 'main' of the env proxy plays "
        "'obs-last-action=true'; start the env proxy with --rules 'step-mul=4, reward-win=100', or the run with "
        "--rules obs-last-action=true"
    )


def test_unreadable_rules_are_refused() -> None:
    with pytest.raises(SeatRefusedError, match=r"^the run cannot be played: rules: there is no 'step'; there are .*"):
        check_same({**CONFIG, "rules": "step=4"}, arena(), Member(0, 0))


def test_a_run_that_wants_cuda_is_refused_by_a_device_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    wanted = {**CONFIG, "run": "x", "run-id": "x", "device": "cuda"}
    with pytest.raises(SeatRefusedError, match=r"^seat 1: device: PyTorch .* finds no CUDA device on this machine; "):
        Seat(Member(0, 1), tmp_path).meet(Request(DESCRIBE, wanted), arena())
