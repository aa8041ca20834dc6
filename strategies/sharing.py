"""The base of all strategies: who gets which tensors, and how replies are aggregated."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from operations.members import ONE_TEAM, Teams
from strategies.aggregate import Aggregate, Round, StrategyFaultError, check_aggregate, check_weighting
from strategies.arithmetic import (
    MIXER_PREFIX,
    Adjustment,
    Tensor,
    Weighting,
    adopt,
    capped_weights,
    rebased,
    uniform_weights,
    weighted_average,
)
from strategies.diagnostics import apartness, spread
from strategies.own_settings import Setting, parse_pairs, parse_settings
from strategies.replies import sort_replies
from strategies.server_optimizer import ServerOptimizer
from strategies.settings import NETWORK_TENSORS, SharingSettings
from strategies.state import State, checked_state, merged, part_of
from strategies.update import DivergedReply, RejectedReply, Update, attested, check_change, parse_update

logger = logging.getLogger(__name__)


class _Order(NamedTuple):
    """What a member was told to do last, and has perhaps not answered."""

    round: int
    began: dict[str, Tensor]
    """All its tensors as it begins, read only."""


class Sharing(Strategy):
    """A way for the agents of a federation to share parameters, as a Flower strategy.

    A strategy overrides `weights` where agents do not all count the same, `shared` where not all tensors are shared,
    and `combine` where the aggregate is not a weighted average. It overrides `state` and `restore_state` where it
    keeps something from round to round, and declares settings in `own_settings`; `own` holds their values. An
    `__init__` begins with `super().__init__(settings)`.

    Everything else is the same for all. The server calls `place`, `configure_train` and `aggregate_train` once per
    round. The strategy keeps every agent's tensors, so that a round continues without a missing agent, and an agent
    that lost its disk can take part again.

    A seat is here the number of a member (`operations.members`): with one team its seat, with several teams it counts
    through the teams. `seats` maps placed seats to node ids. After `aggregate_train`, `rejected` maps the seats whose
    reply was left out to the reason, `diverged` maps those of them whose training has left the finite numbers to what
    did, and `missing` lists the placed seats that did not reply.
    """

    own_settings: ClassVar[Sequence[Setting]] = ()
    """The settings that this strategy has beside those of a run."""

    def __init__(self, settings: SharingSettings) -> None:
        """Raises ValueError if `settings.strategy_settings` does not fit `own_settings`."""
        self.settings = settings
        self.own = parse_settings(self.own_settings, parse_pairs(settings.strategy_settings))
        self.seats: dict[int, int] = {}
        self.teams = ONE_TEAM
        self.rejected: dict[int, str] = {}
        self.missing: list[int] = []
        self.diverged: dict[int, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._agents: dict[int, dict[str, Tensor]] = {}
        self._orders: dict[int, _Order] = {}
        # Seats whose device is known to hold its tensors of `_agents`, but for the shared ones.
        self._in_step: set[int] = set()
        self._previous: dict[str, Tensor] = {}  # of each tensor the newest aggregate, before it the initial weights
        self._optimizer = (
            ServerOptimizer(settings.server_optimizer, settings.server_learning_rate, settings.server_momentum)
            if settings.server_optimizer
            else None
        )

    @property
    def method(self) -> "type[Sharing]":
        """The class whose way of sharing this is."""
        return type(self)

    @property
    def cause_of_divergence(self) -> str:
        """What to say to a user of training that has diverged."""
        return f"the likely cause is the learning-rate of {self.settings.learning_rate:g}: choose a smaller one"

    def weights(self, updates: Sequence[Update]) -> Weighting:
        """Weigh the agents that replied. Here: all count the same.

        `updates` has at least one element and is in seat order; the result has one weight per update, in that order.
        """
        return uniform_weights(len(updates))

    def shared(self, names: Sequence[str]) -> list[str]:
        """Choose the tensors that are shared among `names`, those of an agent in order. Here: all of them."""
        return list(names)

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        """Aggregate the tensors of these names. Here: the average by `weights`, none above `max-weight`.

        `updates` is as for `weights`; `names` has at least one element. The result is checked: a tensor for each name,
        of its shape, float32 and finite.
        """
        weighting = check_weighting(self.weights(updates), len(updates), f"{type(self).__name__}.weights")
        weights = np.asarray(weighting.weights, np.float64)
        capped = capped_weights(weights, self.settings.max_weight)
        parts = [{name: update.tensors[name] for name in names} for update in updates]
        was_capped = not np.array_equal(weights, capped)
        return Aggregate(weighted_average(parts, capped), Weighting(capped, weighting.adjustment, was_capped))

    def state(self) -> State:
        """Return what this strategy keeps from round to round: named arrays and numbers. Here: nothing.

        Called after each round; the checkpoint holds it. The server optimizer's state is kept apart.
        """
        return {}

    def restore_state(self, state: State) -> None:
        """Continue from what `state` returned, bit for bit, with a new object of this class.

        Not called where `state` returned nothing, nor for a checkpoint from before checkpoints held it.
        Raises ValueError if it does not fit.
        """
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, the checkpoint holds {', '.join(state)}")

    def place(self, seats: Mapping[int, int], teams: Teams = ONE_TEAM) -> None:
        """Say which seats take part from now on, and which node holds each (seat -> node id); `teams` names them.

        Before `aggregate_train` these are the seats whose replies count. That may be fewer than were sent a message:
        the reply of a seat that is placed in a later round only is late, and then counts as `aggregate_train` says.
        A seat that moved to another node is sent all its tensors. Raises ValueError if a node holds two seats.
        """
        if len(set(seats.values())) != len(seats):
            raise ValueError(f"every seat needs a node of its own, got {dict(seats)}")
        self._in_step &= {seat for seat, node in seats.items() if self.seats.get(seat) == node}
        self.seats = dict(sorted(seats.items()))
        self.teams = teams

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
        if not self._previous:
            self._previous = {name: _float32(array.numpy()) for name, array in arrays.items()}
        return [self._train_message(server_round, seat, config) for seat in self.seats]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Weigh the agents that replied, aggregate the shared tensors and let every agent adopt the aggregate.

        Replies that cannot be used are left out by name; the round continues with the others, in seat order whatever
        order they came in. A reply to the message of an earlier round is late by `staleness` = the number of
        aggregations since; its shared tensors count as `strategies.arithmetic.rebased` makes them.

        Returns the aggregate (the shared tensors; None where nothing was shared or no reply was usable) and the round's
        metrics: "reward/SEAT" (R_i) for every seat that took part; "seats-replied", "seats-rejected", "seats-missing";
        where some are late "seats-late" and "staleness", their mean; of the replies as they came "divergence",
        "divergence/TENSOR" and "update-cosine" (`strategies.diagnostics`); and, where something was shared and agents
        have weights in it, "weight/SEAT", "weight-ratio", "agents-effective", "weights-shifted" and
        "weights-fell-back" (0 or 1) if rewards were no proportions, and "weights-capped" (0 or 1) if an agent would
        have weighed more than `max-weight`. SEAT is the member's key (`Teams.key`).
        Raises RuntimeError if no round was configured and StrategyFaultError, a ValueError, if a method of the subclass
        returned what cannot be used.
        """
        if not self._shapes:
            raise RuntimeError("no round is configured: call configure_train before aggregate_train")
        found = sort_replies(server_round, replies, self.seats, self._admit, self.teams)
        updates, self.rejected, self.missing, self.diverged = found
        late = [update.staleness for update in updates if update.staleness]
        # A late agent last kept an older round than the next message supposes: it is sent all.
        self._in_step = {update.seat for update in updates if not update.staleness}
        began = [self._orders[update.seat].began for update in updates]
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
        if late:
            metrics.update({"seats-late": len(late), "staleness": sum(late) / len(late)})
        for update in updates:
            metrics[f"reward/{self.teams.key(update.seat)}"] = update.reward
        metrics.update(apartness(began, [update.tensors for update in updates]))
        if not updates or not names:
            return None, metrics

        round_ = Round(
            number=server_round,
            previous={name: self._previous[name].copy() for name in names},
            missing=tuple(self.missing),
            rejected=tuple(self.rejected),
        )
        current = [self._caught_up(update, names) for update in updates]
        aggregate, weighting = self._checked_aggregate(current, names, round_)
        if weighting is not None:
            metrics.update(self._weight_figures(server_round, updates, weighting))
        # Every agent, also one that was missing: it continues from its last known tensors.
        self._previous.update({name: tensor.copy() for name, tensor in aggregate.items()})
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

    def whole_state(self) -> State:
        """Copy out what the next round needs beside the agents' tensors: see `restore`.

        That is the newest aggregate, the server optimizer's state and what `state` returns. Raises TypeError if `state`
        returns what a checkpoint cannot hold.
        """
        return merged(
            aggregate={name: tensor.copy() for name, tensor in self._previous.items()},
            optimizer=self._optimizer.state() if self._optimizer is not None else {},
            own=checked_state(self.state()),
        )

    def restore(self, agents: Mapping[int, Mapping[str, Tensor]], state: State | None) -> None:
        """Continue from what `agents` and `whole_state` returned; every seat is then sent all its tensors.

        `state` is None for a checkpoint that holds none: the strategy then begins as in a first round. Raises
        ValueError if the seats' tensors differ in name or shape, or if the state is not of this strategy.
        """
        self._agents, self._shapes, self._in_step = {}, {}, set()
        for seat, tensors in agents.items():
            restored = {name: _float32(tensor) for name, tensor in tensors.items()}
            self._check_shapes(restored, f"the restored weights of seat {seat}")
            self._agents[seat] = restored
        self._previous = {}
        if state is None:
            if self._optimizer is not None or type(self).state is not Sharing.state:
                logger.warning("the checkpoint holds no state of %s: it begins with a new one", type(self).__name__)
            return
        self._restore_previous(part_of(state, "aggregate"))
        if self._optimizer is not None:
            self._optimizer.restore(part_of(state, "optimizer"))
        if own := part_of(state, "own"):
            self.restore_state(own)

    def _restore_previous(self, aggregate: State) -> None:
        found = {name: _float32(tensor) for name, tensor in aggregate.items()}
        shapes = {name: tensor.shape for name, tensor in found.items()}
        if shapes != self._shapes:
            raise ValueError(f"the restored aggregate is {shapes}, expected {self._shapes}")
        self._previous = found

    def _train_message(self, server_round: int, seat: int, config: ConfigRecord) -> Message:
        tensors = self._agents[seat]
        if seat in self._in_step:
            tensors = {name: tensors[name] for name in self._shared_names()}
        self._orders[seat] = _Order(server_round, dict(self._agents[seat]))
        settings = ConfigRecord({**config, "seat": seat, "round": server_round})
        return Message(
            RecordDict({"arrays": _record(tensors), "config": settings}),
            dst_node_id=self.seats[seat],
            message_type=MessageType.TRAIN,
            group_id=str(server_round),
            ttl=float(config["round-timeout"]),  # type: ignore[arg-type]
        )

    def _admit(self, server_round: int, seat: int, reply: Message) -> Update:
        """Read the reply of a seat's node. Raises RejectedReply."""
        order = self._orders[seat]
        if reply.metadata.group_id != str(order.round):
            raise RejectedReply(f"the reply belongs to round {reply.metadata.group_id}, expected {order.round}")
        try:
            update = parse_update(reply, self._shapes, self.settings.bounds)
        except DivergedReply as diverged:
            raise DivergedReply(diverged.detail, self.cause_of_divergence) from None
        if self.settings.attestation is not None:
            update = attested(update, reply, order.round, self.settings.attestation)
        if update.seat != seat:
            found, held = self.teams.named([update.seat]), self.teams.named([seat])
            raise RejectedReply(f"the reply is of {found}, but its node holds {held}")
        check_change(update, order.began, self.settings.bounds)
        return dataclasses.replace(update, staleness=server_round - order.round)

    def _caught_up(self, update: Update, names: Sequence[str]) -> Update:
        """Return a late update as one of this round; any other as it is."""
        if not update.staleness:
            return update
        began = self._orders[update.seat].began
        moved = {
            name: rebased(update.tensors[name], began[name], self._previous[name], update.staleness) for name in names
        }
        return dataclasses.replace(update, tensors={**update.tensors, **moved})

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
            **{
                f"weight/{self.teams.key(update.seat)}": float(weight)
                for update, weight in zip(updates, weights, strict=True)
            },
            **spread(weights),
            "weights-shifted": int(adjustment is Adjustment.SHIFTED),
            "weights-fell-back": int(adjustment is Adjustment.MEAN),
            "weights-capped": int(capped),
        }

    def _checked_aggregate(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        """Combine, then let the server optimizer make a step of it. Raises StrategyFaultError."""
        shapes, agents = {name: self._shapes[name] for name in names}, len(updates)
        source = f"{type(self).__name__}.combine"
        aggregate = check_aggregate(self.combine(updates, names, round_), shapes, agents, source)
        if self._optimizer is None:
            return aggregate
        stepped = self._optimizer.step(
            round_.number,
            {name: self._previous[name] for name in names},
            {name: aggregate.tensors[name] for name in names},
        )
        source = f"the server optimizer {self.settings.server_optimizer}"
        return check_aggregate(Aggregate(stepped, aggregate.weighting), shapes, agents, source)

    def _shared_names(self) -> list[str]:
        names = list(self._shapes)
        chosen = set(self.shared(names))
        if unknown := chosen.difference(names):
            raise StrategyFaultError(
                f"{type(self).__name__}.shared names unknown tensors: {', '.join(sorted(unknown))}"
            )
        return [name for name in names if name in chosen]

    def _check_shapes(self, tensors: Mapping[str, Tensor], what: str) -> None:
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if not shapes:
            raise ValueError(f"{what} hold no tensor")
        if self._shapes and shapes != self._shapes:
            raise ValueError(f"{what} are {shapes}, expected {self._shapes}")
        self._shapes = self._shapes or shapes


def _float32(array: Any) -> Tensor:
    """Copy, so that a later change to the array does not reach the agents."""
    return np.array(array, dtype=np.float32)


def _record(tensors: Mapping[str, Tensor]) -> ArrayRecord:
    return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
