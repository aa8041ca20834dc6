"""Who averages with whom: the groups of members that `share-among` makes, each with a strategy of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid

from operations.members import ONE_TEAM, Teams
from strategies.arithmetic import Tensor
from strategies.sharing import Sharing
from strategies.state import State, merged, part_of

SHARE_AMONG: Final = ("all", "seat", "type")
"""The choices of `share-among`: all members; the same seat of all teams; the same unit type."""

_COUNTS: Final = ("seats-replied", "seats-rejected", "seats-missing", "seats-late")
_FLAGS: Final = ("weights-shifted", "weights-fell-back", "weights-capped")


class UnknownUnitTypesError(ValueError):
    """Members cannot be told apart by their unit type; the message says why."""


def groups_of(numbers: Iterable[int], teams: Teams, among: str) -> dict[str, list[int]]:
    """Return the members that average with each other: name of the group -> their numbers, in order.

    `among` is one of SHARE_AMONG. Raises UnknownUnitTypesError where types are asked for and the teams' are not known.
    """
    if among == "type" and len(teams.unit_types) != teams.n_agents:
        raise UnknownUnitTypesError(
            "share-among: the backend names no unit type for each seat, or the types change from battle to battle; "
            "expected all or seat, found 'type'"
        )
    found: dict[str, list[int]] = {}
    for number in sorted(numbers):
        seat = teams.member(number).seat
        name = {"all": "all", "seat": f"seat {seat}"}.get(among) or teams.unit_types[seat]
        found.setdefault(name, []).append(number)
    return found


class GroupedSharing(Sharing):
    """Sharing within groups of members: each group is a federation of its own, with a strategy of its own.

    Counts of a round are the sums over the groups, flags say whether they hold of any, and other figures of a whole
    group ("divergence", "update-cosine", "agents-effective", "weight-ratio") are the means over the groups that have
    them.
    """

    def __init__(self, make: Callable[[], Sharing], among: str) -> None:
        """`make` returns a new object of the run's strategy; `among` is one of SHARE_AMONG."""
        self._model = make()
        super().__init__(self._model.settings)
        self._make = make
        self._among = among
        self._groups: dict[str, Sharing] = {}
        self._kept: tuple[Mapping[int, Mapping[str, Tensor]], State | None] | None = None

    @property
    def method(self) -> type[Sharing]:
        """The class of the groups' strategies."""
        return type(self._model)

    def place(self, seats: Mapping[int, int], teams: Teams = ONE_TEAM) -> None:
        """Place each group's members. Raises UnknownUnitTypesError as `groups_of` does."""
        super().place(seats, teams)
        for name, numbers in groups_of(teams.numbers, teams, self._among).items():
            if name not in self._groups:
                self._groups[name] = self._make()
                self._restore_group(name, numbers)
            self._groups[name].place({number: seats[number] for number in numbers if number in seats}, teams)
        self._kept = None  # every group has what is its own

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Make the messages of all groups, in member order. Raises as `Sharing.configure_train` does."""
        if not self.seats:
            raise RuntimeError("no seat is placed: call place(seats) before the round")
        by_node = {
            message.metadata.dst_node_id: message
            for group in self._placed()
            for message in group.configure_train(server_round, arrays, config, grid)
        }
        return [by_node[node] for node in self.seats.values()]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate in each group. The groups share no aggregate, so the first element is None."""
        found = list(replies)
        each: list[MetricRecord] = []
        groups = self._placed()
        for group in groups:
            nodes = set(group.seats.values())
            own = [reply for reply in found if reply.metadata.src_node_id in nodes]
            _, metrics = group.aggregate_train(server_round, own)
            each.append(metrics if metrics is not None else MetricRecord())
        self.rejected = {seat: why for group in groups for seat, why in group.rejected.items()}
        self.diverged = {seat: what for group in groups for seat, what in group.diverged.items()}
        self.missing = sorted(seat for group in groups for seat in group.missing)
        return None, together(each)

    def agents(self) -> dict[int, dict[str, Tensor]]:
        """Copy out every member's tensors, as `Sharing.agents` does."""
        found = {number: own for group in self._groups.values() for number, own in group.agents().items()}
        return dict(sorted(found.items()))

    def whole_state(self) -> State:
        """Copy out the state of every group, under the group's name."""
        return merged(**{name: group.whole_state() for name, group in self._groups.items()})

    def restore(self, agents: Mapping[int, Mapping[str, Tensor]], state: State | None) -> None:
        """Continue from what `agents` and `whole_state` returned, once the members are placed."""
        self._kept = (agents, state)
        self._groups = {}

    def summary(self) -> None:
        """Log the strategy's settings and which tensors it shares."""
        next(iter(self._groups.values()), self._model).summary()

    def _placed(self) -> list[Sharing]:
        return [group for group in self._groups.values() if group.seats]

    def _restore_group(self, name: str, numbers: Sequence[int]) -> None:
        if self._kept is None:
            return
        agents, state = self._kept
        own = {number: agents[number] for number in numbers if number in agents}
        if own:
            self._groups[name].restore(own, None if state is None else part_of(state, name))


def together(each: Sequence[Mapping[str, object]]) -> MetricRecord:
    """Return one round's figures of several groups: see GroupedSharing."""
    found: dict[str, list[float]] = {}
    for metrics in each:
        for name, value in metrics.items():
            assert isinstance(value, int | float)
            found.setdefault(name, []).append(value)
    result = MetricRecord()
    for name, values in found.items():
        if name in _COUNTS:
            result[name] = int(sum(values))
        elif name in _FLAGS:
            result[name] = int(max(values))
        else:
            result[name] = values[0] if len(values) == 1 else float(np.mean(values))
    return result
