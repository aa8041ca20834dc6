"""What one hostile agent of five does to each strategy, in a few rounds."""

import pytest

from benchmarks.attack import ATTACKS, CREDULOUS, STRATEGIES, distance

ROUNDS = 12
PEACE = 0.3  # no further from the goal than an honest agent's own optimum is, or nearly
ROBUST = ("median", "trimmed-mean")


def left(strategy: str, attack: str) -> float:
    return distance(*STRATEGIES[strategy], ATTACKS[attack], ROUNDS)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_an_attack_all_learn(strategy: str) -> None:
    assert left(strategy, "none") < PEACE


@pytest.mark.parametrize("strategy", [*ROBUST, "krum"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_robust_strategies_learn_whatever_the_attack(strategy: str, attack: str) -> None:
    assert left(strategy, attack) < PEACE


def test_an_unbounded_claim_takes_rs_pps_over() -> None:
    """The team is where the hostile agent wants it: at minus the goal, two distances away."""
    assert left("rs-pps, all believed", "and claims a return of 10^9") == pytest.approx(2.0, abs=0.1)


def test_a_claim_that_is_not_believed_leaves_the_agent_out() -> None:
    assert left("rs-pps", "and claims a return of 10^9") < 0.05


def test_max_weight_bounds_what_a_believed_claim_brings() -> None:
    """A weight of a draws the team to (1 - a) goal - a goal: 2 a away."""
    claimed = "and claims a return of 40"
    assert left("rs-pps", claimed) == pytest.approx(2 * 0.5, abs=0.1)
    assert left("rs-pps, max-weight 0.25", claimed) == pytest.approx(2 * 0.25, abs=0.05)
    assert left("a-pps", claimed) == pytest.approx(2 * 0.2, abs=0.05)


def test_one_update_of_any_size_ruins_a_mean_that_believes_it() -> None:
    scaled = ATTACKS["update times -100"]
    assert distance("a-pps", CREDULOUS, scaled, ROUNDS) > 1000
    assert left("a-pps", "update times -100") < 0.05


def test_of_three_agents_one_hostile_one_is_withstood() -> None:
    """The median of three stays among the honest two; trimmed mean is the same, and Krum picks one of them."""
    own = ATTACKS["trains for its own purpose"]
    for name in (*ROBUST, "krum"):
        strategy, sharing = STRATEGIES[name]
        assert distance(strategy, sharing, own, ROUNDS, agents=3) < 0.4, name
