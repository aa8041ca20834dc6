"""Which phase comes next in a round: a pure function, so that all seats agree without talking to each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from envproxy.protocol import MixOrder, Phase, PhaseKind, RewardOrder, Standing


@dataclass(frozen=True)
class RoundOrder:
    """What the server orders for one round; the same for every seat of a team."""

    seed: int  # of the team's battles
    round: int
    steps_before: int  # environment steps of the run when the round begins
    total_steps: int
    battles: int  # to collect in this round
    evaluate_every: int  # environment steps
    evaluate_battles: int
    learning_rate: float  # of all training steps of this round
    mixing: MixOrder | None = None  # None: every seat learns alone
    rewards: RewardOrder | None = None  # None: the server believes what agents say they earned
    seats: frozenset[int] = frozenset()  # that the server has asked to play; none: all of the map
    number: int = 0  # another one where a round is played again; 0: none
    overlap: int = 0  # training steps of the round after which the aggregate of the round before is merged; 0: at once

    @classmethod
    def from_config(cls, config: Mapping[str, Any], team: int = 0) -> RoundOrder:
        """Read a train message's config for a team. Raises KeyError naming a missing key."""
        return cls(
            seed=team_seed(int(config["seed"]), team),
            round=int(config["round"]),
            steps_before=int(config["steps-before"]),
            total_steps=int(config["total-steps"]),
            battles=int(config["round-battles"]),
            evaluate_every=int(config["evaluate-every"]),
            evaluate_battles=int(config["evaluate-battles"]),
            learning_rate=_learning_rate(config),
            mixing=_mix_order(config, team) if config["mixing"] == "joint" else None,
            rewards=_reward_order(config) if config["attest-key"] else None,
            seats=frozenset(config["seats"]),
            number=int(config["order"]),
            overlap=int(config["overlap"]),
        )

    def continues(self, ahead: RoundOrder) -> bool:
        """Whether what was played by the order `ahead` is what this one orders.

        Other seats may be expected: they may have gone or come back since.
        """
        return dataclasses.replace(self, seats=ahead.seats) == ahead


def order_ahead(config: Mapping[str, Any], steps: int, team: int = 0) -> RoundOrder | None:
    """Return the order of a team's next round, as far as a train message's `config` announces it.

    `steps` are the environment steps of the message's own round. None if nothing is announced or the run is over.
    """
    before = int(config["steps-before"]) + steps
    if "next-order" not in config or before >= int(config["total-steps"]):
        return None
    announced = {
        "round": int(config["round"]) + 1,
        "steps-before": before,
        "round-battles": config["next-battles"],
        "order": config["next-order"],
    }
    return RoundOrder.from_config({**config, **announced}, team)


def first_standing(order: RoundOrder) -> Standing:
    """Return where a round begins: everything that was due before it has been evaluated."""
    return Standing(evaluations=_evaluations_due(order, order.steps_before))


def next_phase(order: RoundOrder, standing: Standing) -> Phase | None:
    """Return the phase that follows `standing`, or None when the round is over.

    Evaluations are due at every multiple of `evaluate_every` environment steps and at the run's end.
    """
    steps = order.steps_before + standing.steps
    due = _evaluations_due(order, steps)
    if standing.evaluations < due:
        # one evaluation stands for all that a long phase ran past
        before = dataclasses.replace(standing, evaluations=due - 1)
        return Phase(
            seed=order.seed,
            round=order.round,
            kind=PhaseKind.EVALUATE,
            battles=order.evaluate_battles,
            steps=0,
            standing=before,
            rewards=order.rewards,
            seats=order.seats,
            order=order.number,
        )
    if standing.battles >= order.battles or steps >= order.total_steps:
        return None
    until = min((steps // order.evaluate_every + 1) * order.evaluate_every, order.total_steps)
    return Phase(
        seed=order.seed,
        round=order.round,
        kind=PhaseKind.COLLECT,
        battles=order.battles - standing.battles,
        steps=until - steps,
        standing=standing,
        mixing=order.mixing,
        rewards=order.rewards,
        seats=order.seats,
        order=order.number,
    )


def _evaluations_due(order: RoundOrder, steps: int) -> int:
    return steps // order.evaluate_every + (steps >= order.total_steps)


def _learning_rate(config: Mapping[str, bool | int | float | str]) -> float:
    """Linear in environment steps from `learning-rate` down to what the decay leaves of it at the run's end."""
    played = min(int(config["steps-before"]) / int(config["total-steps"]), 1.0)
    return float(config["learning-rate"]) * (1.0 - float(config["learning-rate-decay"]) * played)


def _reward_order(config: Mapping[str, bool | int | float | str]) -> RewardOrder:
    return RewardOrder(str(config["run-id"]), int(config["reward-buffer"]), str(config["reward-credit"]))


def team_seed(seed: int, team: int) -> int:
    """Return the seed of a team's battles: that of the run for team 0, for others one of their own, below 2^63."""
    return seed if team == 0 else int(np.random.SeedSequence([seed, team]).generate_state(1, np.uint64)[0] >> 1)


def _mix_order(config: Mapping[str, bool | int | float | str], team: int) -> MixOrder:
    run_id = str(config["run-id"])
    return MixOrder(
        run=run_id if team == 0 else f"{run_id}t{team}",  # each team has a mixer
        base=str(config["base"]),
        batch_size=int(config["batch-size"]),
        buffer_size=int(config["buffer-size"]),
        train_per_battle=float(config["train-per-battle"]),
        learning_rate=_learning_rate(config),
        gamma=float(config["gamma"]),
        td_lambda=float(config["td-lambda"]),
        target_update_every=int(config["target-update-every"]),
        grad_clip=float(config["grad-clip"]),
    )
