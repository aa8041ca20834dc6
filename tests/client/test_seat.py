"""Server, env proxy and device compare what they are before anything is played."""

from importlib.metadata import version

import pytest

from cli.defaults import default_config
from client.seat import SeatRefusedError, check_same
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


def test_rules_that_nobody_can_read_are_refused() -> None:
    with pytest.raises(SeatRefusedError, match=r"^the run cannot be played: rules: there is no 'step'; there are .*"):
        check_same({**CONFIG, "rules": "step=4"}, arena(), seat=0)
