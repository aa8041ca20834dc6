"""The base of all strategies: who gets which tensors, and what becomes of the replies."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from strategies.arithmetic import (
    MIXER_PREFIX,
    Adjustment,
    Tensor,
    Vector,
    Weighting,
    adopt,
    capped_weights,
    weighted_average,
)
from strategies.attestation import Attestation
from strategies.diagnostics import as_vectors, divergence, effective_agents, mean_cosine, weight_ratio
from strategies.update import ANYTHING, Bounds, RejectedReply, Update, attested, check_change, parse_update

logger = logging.getLogger(__name__)

# The agent network's tensors, in the order that `personal-layers` counts.
NETWORK_TENSORS = (
    "fc1.weight",
    "fc1.bias",
    "rnn.weight_ih",
    "rnn.weight_hh",
    "rnn.bias_ih",
    "rnn.bias_hh",
    "fc2.weight",
    "fc2.bias",
)
REWARD_WEIGHTINGS = ("proportional", "softmax")

# In units of the learning rate, and more than Adam can do with any gradients: by Cauchy and Schwarz its step is at most
# (1 - beta1) / sqrt((1 - beta2) (1 - beta1^2 / beta2)) = 7.3 of them. So no honest agent is ever left out.
_LARGEST_STEP = 10.0


@dataclass(frozen=True)
class SharingSettings:
    """The settings of a run that concern sharing; left out, those that are about hostile agents bound nothing.

    Raises ValueError for values no strategy can work with.
    """

    reward_weighting: str
    """"proportional" (the paper's formula) or "softmax" (of mean returns)."""
    personal_layers: int
    """Number of tensors of the agent network, from the first, that stay on the device under pp-pps: 0..8."""
    adopt: float
    """Share of the aggregate that an agent takes over: 0..1."""
    max_weight: float = 1.0
    """The largest weight of one agent in an aggregate: above 0, up to 1, which bounds nothing."""
    tolerate: int = 0
    """Number of hostile agents that trimmed-mean and krum are to withstand."""
    bounds: Bounds = ANYTHING
    """What is believed of a reply."""
    attestation: Attestation | None = None
    """The env proxy's word on rewards, in place of the agents'; None: the agents are believed."""

    def __post_init__(self) -> None:
        if self.reward_weighting not in REWARD_WEIGHTINGS:
            raise ValueError(
                f"reward-weighting is {self.reward_weighting!r}, expected one of {', '.join(REWARD_WEIGHTINGS)}"
            )
        if not isinstance(self.personal_layers, int) or not 0 <= self.personal_layers <= len(NETWORK_TENSORS):
            raise ValueError(f"personal-layers is {self.personal_layers}, expected 0..{len(NETWORK_TENSORS)}")
        if not 0.0 <= self.adopt <= 1.0:
            raise ValueError(f"adopt is {self.adopt}, expected 0..1")
        if not 0.0 < self.max_weight <= 1.0:
            raise ValueError(f"max-weight is {self.max_weight}, expected more than 0 and at most 1")
        if not isinstance(self.tolerate, int) or self.tolerate < 0:
            raise ValueError(f"tolerate is {self.tolerate}, expected 0 or more")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SharingSettings":
        """Take the settings from a run's config, whose keys are kebab-case; other keys are ignored.

        Raises KeyError for a missing key and ValueError for a value out of range.
        """
        return cls(
            reward_weighting=config["reward-weighting"],
            personal_layers=config["personal-layers"],
            adopt=float(config["adopt"]),
            max_weight=float(config["max-weight"]),
            tolerate=config["tolerate"],
            bounds=Bounds(
                battles=config["reward-buffer"],
                mean_return=float(config["max-return"]),
                change=_LARGEST_STEP * config["learning-rate"] * _training_steps(config),
            ),
        )


class Aggregate(NamedTuple):
    """What came of a round: the shared tensors, and the agents' weights in them where they have any."""

    tensors: dict[str, Tensor]
    weighting: Weighting | None


class Sharing(Strategy, ABC):
    """A way for the agents of a team to share parameters, as a Flower strategy.

    A strategy implements `weights` and, where not all tensors are shared, `shared`; one that is no weighted average
    overrides `combine`. Everything else is the same for all: the server calls `place`, `configure_train` and
    `aggregate_train` once per round; the strategy keeps every agent's tensors, so that a round goes on without a
    missing agent and an agent that lost its disk can go on too.

    `seats` maps placed seats to node ids. After `aggregate_train`, `rejected` maps the seats whose reply was left out
    to the reason, and `missing` lists the placed seats that did not reply.
    """

    def __init__(self, settings: SharingSettings) -> None:
        self.settings = settings
        self.seats: dict[int, int] = {}
        self.rejected: dict[int, str] = {}
        self.missing: list[int] = []
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._agents: dict[int, dict[str, Tensor]] = {}
        # Seats whose device is known to hold its tensors of `_agents`, but for the shared ones.
        self._in_step: set[int] = set()

    @abstractmethod
    def weights(self, updates: Sequence[Update]) -> Weighting:
        """Weigh the agents that replied.

        `updates` has at least one element and is in seat order; the result has one weight per update, in that order.
        """

    def shared(self, names: Sequence[str]) -> list[str]:
        """Choose the tensors that are shared among `names`, those of an agent in order. Here: all of them."""
        return list(names)

    def combine(self, updates: Sequence[Update], names: Sequence[str]) -> Aggregate:
        """Aggregate the tensors of these names. Here: the average by `weights`, none above `max-weight`.

        `updates` is as for `weights`; `names` has at least one element.
        """
        weighting = self._checked_weights(updates)
        weights = np.asarray(weighting.weights, np.float64)
        capped = capped_weights(weights, self.settings.max_weight)
        parts = [{name: update.tensors[name] for name in names} for update in updates]
        was_capped = not np.array_equal(weights, capped)
        return Aggregate(weighted_average(parts, capped), Weighting(capped, weighting.adjustment, was_capped))

    def place(self, seats: Mapping[int, int]) -> None:
        """Say which node holds each seat from the next round on (seat -> node id).

        A seat that moved to another node is sent all its tensors. Raises ValueError if a node holds two seats.
        """
        if len(set(seats.values())) != len(seats):
            raise ValueError(f"every seat needs a node of its own, got {dict(seats)}")
        self._in_step &= {seat for seat, node in seats.items() if self.seats.get(seat) == node}
        self.seats = dict(sorted(seats.items()))

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Make one train message per placed seat, in seat order, that stays valid for config["round-timeout"] seconds.

        The message holds the records "config", which is `config` with "seat" and "round" added, and "arrays":
        - for a seat never seen before, `arrays` whole: the server's initial weights;
        - for a seat whose last reply was accepted, just the shared tensors, after adoption;
        - for one that was missing or rejected, moved to another node, or was restored: all its tensors.

        `grid` is not used. Raises RuntimeError if no seat is placed, ValueError if `arrays` does not fit the tensors
        the strategy already holds.
        """
        if not self.seats:
            raise RuntimeError("no seat is placed: call place(seats) before the round")
        for seat in self.seats.keys() - self._agents.keys():
            initial = {name: _float32(array.numpy()) for name, array in arrays.items()}
            self._check_shapes(initial, f"the initial weights for seat {seat}")
            self._agents[seat] = initial
        return [self._train_message(server_round, seat, config) for seat in self.seats]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Weigh the agents that replied, aggregate the shared tensors and let every agent adopt the aggregate.

        Replies that cannot be used are left out by name; the round goes on with the others, in seat order whatever
        order they came in. Returns the aggregate (the shared tensors; None where nothing was shared or no reply was
        usable) and the round's metrics: "reward/SEAT" (R_i) for every seat that took part; "seats-replied",
        "seats-rejected", "seats-missing"; of the replies as they came "divergence", "divergence/TENSOR" and
        "update-cosine" (`strategies.diagnostics`); and, where something was shared and agents have weights in it,
        "weight/SEAT", "weight-ratio", "agents-effective", "weights-shifted" and "weights-fell-back" (0 or 1) if rewards
        were no proportions, and "weights-capped" (0 or 1) if somebody would have weighed more than `max-weight`.
        Raises RuntimeError if no round was configured and ValueError if the subclass computed no usable weights.
        """
        if not self._shapes:
            raise RuntimeError("no round is configured: call configure_train before aggregate_train")
        updates = self._accepted(server_round, replies)
        self._in_step = {update.seat for update in updates}
        began = [self._agents[update.seat] for update in updates]
        for update in updates:
            self._agents[update.seat] = dict(update.tensors)

        names = self._shared_names()
        metrics = MetricRecord(
            {
                "seats-replied": len(updates),
                "seats-rejected": len(self.rejected),
                "seats-missing": len(self.missing),
            }
        )
        for update in updates:
            metrics[f"reward/{update.seat}"] = update.reward
        metrics.update(_apartness(began, [update.tensors for update in updates]))
        if not updates or not names:
            return None, metrics

        aggregate, weighting = self.combine(updates, names)
        if weighting is not None:
            metrics.update(self._weight_figures(server_round, updates, weighting))
        # Every agent, also one that was missing: it goes on from its last known tensors.
        for own in self._agents.values():
            own.update({name: adopt(own[name], aggregate[name], self.settings.adopt) for name in names})
        return _record(aggregate), metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Nothing to send: agents evaluate in a phase inside the round and report it in their reply."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nothing to aggregate: see `configure_evaluate`."""
        return None

    def summary(self) -> None:
        """Log the strategy's settings and exactly which tensors it shares."""
        names = list(self._shapes) or [*NETWORK_TENSORS, f"{MIXER_PREFIX}*"]
        chosen = self.shared(names)
        personal = [name for name in names if name not in chosen]
        logger.info("%s with %s", type(self).__name__, self.settings)
        logger.info("shared: %s; personal: %s", ", ".join(chosen) or "none", ", ".join(personal) or "none")

    def agents(self) -> dict[int, dict[str, Tensor]]:
        """Copy out every seat's tensors after adoption: the weights that agent starts the next round from."""
        return {
            seat: {name: tensor.copy() for name, tensor in self._agents[seat].items()} for seat in sorted(self._agents)
        }

    def restore(self, agents: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Go on from tensors that `agents` returned; every seat is then sent all its tensors.

        Raises ValueError if the seats' tensors differ in name or shape.
        """
        self._agents, self._shapes, self._in_step = {}, {}, set()
        for seat, tensors in agents.items():
            restored = {name: _float32(tensor) for name, tensor in tensors.items()}
            self._check_shapes(restored, f"the restored weights of seat {seat}")
            self._agents[seat] = restored

    def _train_message(self, server_round: int, seat: int, config: ConfigRecord) -> Message:
        tensors = self._agents[seat]
        if seat in self._in_step:
            tensors = {name: tensors[name] for name in self._shared_names()}
        settings = ConfigRecord({**config, "seat": seat, "round": server_round})
        return Message(
            RecordDict({"arrays": _record(tensors), "config": settings}),
            dst_node_id=self.seats[seat],
            message_type=MessageType.TRAIN,
            group_id=str(server_round),
            ttl=float(config["round-timeout"]),  # type: ignore[arg-type]
        )

    def _accepted(self, server_round: int, replies: Iterable[Message]) -> list[Update]:
        """Parse replies; set `rejected` and `missing`; return the updates in seat order."""
        accepted: dict[int, Update] = {}
        rejected: dict[int, str] = {}
        holders = {node: seat for seat, node in self.seats.items()}
        for reply in replies:
            node = reply.metadata.src_node_id
            seat = holders.get(node)
            if seat is None:
                logger.warning("round %d: reply of node %d left out: it holds no seat", server_round, node)
                continue
            if seat in accepted:
                logger.warning("round %d: another reply of seat %d left out: the first counts", server_round, seat)
                continue
            try:
                update = self._admit(server_round, seat, reply)
            except RejectedReply as rejection:
                logger.warning("round %d: seat %d left out: %s", server_round, seat, rejection.reason)
                rejected[seat] = rejection.reason
            else:
                accepted[seat] = update
        # A seat with a usable reply took part, whatever else its node sent before.
        self.rejected = {seat: rejected[seat] for seat in sorted(rejected) if seat not in accepted}
        self.missing = [seat for seat in self.seats if seat not in accepted and seat not in rejected]
        for seat in self.missing:
            logger.warning("round %d: seat %d left out: no reply from node %d", server_round, seat, self.seats[seat])
        return [accepted[seat] for seat in sorted(accepted)]

    def _admit(self, server_round: int, seat: int, reply: Message) -> Update:
        if reply.metadata.group_id != str(server_round):
            raise RejectedReply(f"the reply belongs to round {reply.metadata.group_id}, expected {server_round}")
        update = parse_update(reply, self._shapes, self.settings.bounds)
        if self.settings.attestation is not None:
            update = attested(update, reply, server_round, self.settings.attestation)
        if update.seat != seat:
            raise RejectedReply(f"the reply is of seat {update.seat}, but its node holds seat {seat}")
        check_change(update, self._agents[seat], self.settings.bounds)
        return update

    def _weight_figures(
        self, server_round: int, updates: Sequence[Update], weighting: Weighting
    ) -> dict[str, int | float]:
        """The figures of a round's weights; what had to be done to them is logged."""
        weights, adjustment, capped = weighting
        rewards = ", ".join(f"{update.reward:g}" for update in updates)
        if adjustment is not Adjustment.NONE:
            logger.info("round %d: rewards %s: %s", server_round, rewards, adjustment.value)
        if capped:
            bounded = ", ".join(f"{weight:.3g}" for weight in weights)
            logger.warning(
                "round %d: rewards %s: an agent would weigh more than max-weight %g; the weights are %s",
                *(server_round, rewards, self.settings.max_weight, bounded),
            )
        return {
            **{f"weight/{update.seat}": float(weight) for update, weight in zip(updates, weights, strict=True)},
            **_spread(weights),
            "weights-shifted": int(adjustment is Adjustment.SHIFTED),
            "weights-fell-back": int(adjustment is Adjustment.MEAN),
            "weights-capped": int(capped),
        }

    def _checked_weights(self, updates: Sequence[Update]) -> Weighting:
        weighting = self.weights(updates)
        weights = np.asarray(weighting.weights)
        # `not >=` rather than `<`, so that NaN is caught as well.
        if weights.shape != (len(updates),) or not (weights >= 0.0).all() or abs(weights.sum() - 1.0) > 1e-9:
            raise ValueError(
                f"{type(self).__name__}.weights returned {weights.tolist()},"
                f" expected {len(updates)} weights of at least 0 with sum 1"
            )
        return weighting

    def _shared_names(self) -> list[str]:
        names = list(self._shapes)
        chosen = set(self.shared(names))
        if unknown := chosen.difference(names):
            raise ValueError(f"{type(self).__name__}.shared names unknown tensors: {', '.join(sorted(unknown))}")
        return [name for name in names if name in chosen]

    def _check_shapes(self, tensors: Mapping[str, Tensor], what: str) -> None:
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if not shapes:
            raise ValueError(f"{what} hold no tensor")
        if self._shapes and shapes != self._shapes:
            raise ValueError(f"{what} are {shapes}, expected {self._shapes}")
        self._shapes = self._shapes or shapes


def _training_steps(config: Mapping[str, Any]) -> float:
    """The most that an agent takes in a round: those of whole battles, and what it owed from the round before."""
    per_battle = float(config["train-per-battle"])
    battles = math.ceil(int(config["aggregation-every"]) / per_battle)
    return (battles + 1) * per_battle


def _apartness(before: Sequence[Mapping[str, Tensor]], after: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """How the agents of a round stand to each other: what each began it with, and what it came back with."""
    if not after:
        return {}
    names = sorted(after[0])  # the order of a run that was resumed is another, and sums depend on it
    weights = as_vectors(after, names)
    metrics = {"divergence": divergence(weights)}
    metrics |= {f"divergence/{name}": divergence(as_vectors(after, [name])) for name in names}
    if (cosine := mean_cosine(weights - as_vectors(before, names))) is not None:
        metrics["update-cosine"] = cosine
    return metrics


def _spread(weights: Vector) -> dict[str, float]:
    """How far aggregation weights are from uniform."""
    ratio = weight_ratio(weights)
    return {"agents-effective": effective_agents(weights)} | ({} if ratio is None else {"weight-ratio": ratio})


def _float32(array: Any) -> Tensor:
    """Copy, so that nobody else's change to the array reaches the agents."""
    return np.array(array, dtype=np.float32)


def _record(tensors: Mapping[str, Tensor]) -> ArrayRecord:
    return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
