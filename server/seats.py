"""The table of seats and their nodes. Flower gives a node a random id at each start, so each is asked for its seats."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from operations.members import ONE_TEAM, Teams
from server.assignment import assigned
from server.described import Described, RefusedError, read_description
from server.member_grid import node_of, place_of
from strategies.messages import CONFIG, DESCRIBE
from strategies.sentences import by_device

log = logging.getLogger("server")

_PAUSE = 0.2  # seconds between two polls
_FAIR = 30.0  # seconds that devices which are there have to answer before a team counts as whole
_ASK_AGAIN = 30.0  # seconds after which a device that refused is asked again: its env proxy may be back


class SeatsError(Exception):
    """The team cannot play; the message says which seats are missing and what the devices said."""


class NoTeamError(SeatsError):
    """The team of a run that has not begun cannot play."""


@dataclass(frozen=True)
class Holder:
    """The place where a seat is held, and the last round its agent has kept."""

    node: int  # as server.member_grid has it: of a device with a single seat its node
    round: int
    asked_at: float  # when it was asked; time.monotonic()


@dataclass(frozen=True)
class _Question:
    node: int
    asked_at: float  # time.monotonic()


@dataclass(frozen=True)
class _Refusal:
    reason: str
    at: float  # time.monotonic()


class Seats:
    """The table of seats, kept up to date by `poll`. A seat is here the number of a member (`operations.members`)."""

    def __init__(
        self,
        grid: Grid,
        config: Mapping[str, bool | int | float | str],
        waiting: Callable[[list[int] | None], None] = lambda _: None,
    ) -> None:
        """`config` is what every device is told of the run: all settings, run-id, protocol and version.

        `waiting` is called with the seats that are waited for (`empty`), again when they are others.
        """
        self._waiting = waiting
        self._grid = grid
        self._config = dict(config)
        self._asked: dict[str, _Question] = {}  # message id -> what is not answered yet
        self._known: set[int] = set()  # nodes that were asked and are still there
        self._refusals: dict[int, _Refusal] = {}
        self._replaced: set[int] = set()  # nodes that are there, but whose seat another one holds
        self._sizes: dict[int, int] = {}  # node -> of how many agents its team is, as it says
        self._provenances: dict[int, str] = {}  # node -> what its battles are played on, as it says: JSON
        self._capacities: dict[int, int] = {}  # node -> how many members it can hold, where that may be several
        self._lost: dict[int, float] = {}  # seat -> when its device was lost; time.monotonic()
        self.holders: dict[int, Holder] = {}
        self.n_agents: int | None = None  # of a team: what most say; of equals what was said first
        self._unit_types: dict[int, str] = {}  # node -> the unit types of a team's seats, as it says: JSON

    @property
    def nodes(self) -> dict[int, int]:
        """Seat -> node id, in seat order."""
        return {seat: holder.node for seat, holder in sorted(self.holders.items())}

    @property
    def provenance(self) -> dict[str, str]:
        """What the battles are played on, as most seats that say so say; empty where our own version says it all."""
        text = self._most_said(self._provenances)
        return {} if text is None else dict(json.loads(text))

    @property
    def teams(self) -> Teams:
        """The teams, as far as they are known: one of unknown size before a device has answered."""
        if self.n_agents is None:
            return ONE_TEAM
        text = self._most_said(self._unit_types)
        types = () if text is None else tuple(json.loads(text))
        return Teams(int(self._config["teams"]), self.n_agents, types if len(types) == self.n_agents else ())

    def poll(self) -> list[int]:
        """Ask nodes that are new, take in what they have answered, forget those that are gone; do not wait.

        A node that comes back is new, also under the id it had. One that refused is asked again after a while.
        Returns the seats whose holder has answered.
        """
        present = set(self._grid.get_node_ids())
        self._forget(present)
        new = sorted(present - self._known)
        self._known = present
        if new:
            self._ask(new)
        heard = self._take_answers() if self._asked else []
        return heard + self._assign()

    def doubt(self, seat: int) -> None:
        """Ask a seat's node once more; `poll` returns the seat when it has answered.

        A SuperNode is busy with one message at a time, in the order they were sent: this answer says that it is done
        with all that it was sent before.
        """
        self._ask([node_of(self.holders[seat].node)])

    def drop(self, seat: int) -> None:
        """Free a seat until its node answers."""
        if seat in self.holders:
            self.doubt(seat)
            del self.holders[seat]

    def wait_for_all(self, timeout: float, grace: float | None = None) -> None:
        """Look until every seat of the map has a holder, or after `grace` seconds until one has.

        A device that is there has a while to answer though all seats that others know of are held: one device cannot
        pass itself off as the whole team. Raises SeatsError if a device refused and a seat stays empty (with a `grace`:
        and no seat is held), or after `timeout` seconds.
        """
        began, limit = time.monotonic(), timeout if grace is None else min(grace, timeout)
        told: list[int] | None = []
        while True:
            self.poll()
            empty, waited = self.empty(), time.monotonic() - began
            if empty == [] and not (self._may_yet_answer() and waited < limit):
                return
            said = by_device((refusal.reason for refusal in self._refusals.values()), self.teams)
            if self.holders and grace is not None:
                if waited > limit:
                    log.warning("%s; the run continues without it until it is back", wanted(empty, self.teams))
                    return
            elif said and not self._asked:
                raise SeatsError("; ".join(said))
            elif waited > timeout:
                missing = f"after {timeout:.0f} s {wanted(empty, self.teams)}; start a SuperNode for each"
                raise SeatsError("; ".join([missing, *said]))
            if empty not in (told, []):  # all are held where it is empty, and others may yet answer
                log.info("waiting: %s", wanted(empty, self.teams))
                self._waiting(empty)
                told = empty
            time.sleep(_PAUSE)

    def empty(self) -> list[int] | None:
        """Return the seats without a holder, or None while the number of seats is not known."""
        if self.n_agents is None:
            return None
        return [seat for seat in self.teams.numbers if seat not in self.holders]

    def _may_yet_answer(self) -> bool:
        late = time.monotonic() - _FAIR
        return any(asked.asked_at > late for asked in self._asked.values())

    def _ask(self, nodes: list[int]) -> None:
        questions = [self._question(node) for node in nodes]
        now = time.monotonic()
        for message, node in zip(self._grid.push_messages(questions), nodes, strict=True):
            self._asked[message] = _Question(node, now)

    def _question(self, node: int) -> Message:
        return Message(
            RecordDict({CONFIG: ConfigRecord(dict(self._config))}),
            dst_node_id=node,
            message_type=f"{MessageType.QUERY}.{DESCRIBE}",
            group_id="0",
            ttl=float(self._config["round-timeout"]),
        )

    def _forget(self, present: set[int]) -> None:
        for seat, holder in list(self.holders.items()):
            if node_of(holder.node) not in present:
                log.warning("%s: its node is gone", self._name(seat), extra={"seat": seat})
                self._lost[seat] = time.monotonic()
                del self.holders[seat]
                self._known -= self._replaced  # one of them may hold this seat still
                self._replaced.clear()
        late = time.monotonic() - _ASK_AGAIN
        for node, refusal in list(self._refusals.items()):
            if node not in present or refusal.at < late:
                del self._refusals[node]
                self._known.discard(node)
        self._known &= present
        self._sizes = {node: size for node, size in self._sizes.items() if node in present}
        self._capacities = {node: most for node, most in self._capacities.items() if node in present}
        self._unit_types = {node: text for node, text in self._unit_types.items() if node in present}
        self._provenances = {node: text for node, text in self._provenances.items() if node in present}
        self._asked = {message: asked for message, asked in self._asked.items() if asked.node in present}

    def _take_answers(self) -> list[int]:
        moved = []
        for reply in self._grid.pull_messages(list(self._asked)):
            asked = self._asked.pop(reply.metadata.reply_to_message_id, None)
            if asked is None:  # what a reply says it answers is what its device says
                continue
            node = asked.node
            if reply.metadata.src_node_id != node:  # the SuperLink's word that no answer will come
                log.info("node %d has not heard the question, or its answer was lost; it is asked again", node)
                self._known.discard(node)
                continue
            try:
                described = self._place(read_description(reply, int(self._config["teams"])), node)
            except RefusedError as refused:
                self._refuse(node, str(refused))
                continue
            for seat, place, round_ in described:
                self._hold(seat, Holder(place, round_, asked.asked_at))
                moved.append(seat)
        return [seat for seat in moved if seat in self.holders]

    def _hold(self, seat: int, holder: Holder) -> None:
        """Let a seat be held here from now on."""
        before = self.holders[seat].node if seat in self.holders else None
        if before not in (None, holder.node):
            nodes = (node_of(holder.node), node_of(before))
            log.warning("%s: node %d takes the place of node %d", self._name(seat), *nodes, extra={"seat": seat})
            self._replaced.add(node_of(before))
        self.holders[seat] = holder
        self._lost.pop(seat, None)
        if before != holder.node:
            about = (self._name(seat), len(self.teams.numbers), node_of(holder.node))
            log.info("%s of %d is held by node %d", *about, extra={"seat": seat})

    def _assign(self) -> list[int]:
        """Give seats that are empty to devices with room for them; a seat that was lost when its device has had time.

        Returns the seats that were given.
        """
        if not self._capacities:
            return []
        held = Counter(node_of(holder.node) for holder in self.holders.values())
        room = {node: most - held[node] for node, most in self._capacities.items()}
        late = time.monotonic() - float(self._config["device-grace"])
        ready = [seat for seat in self.empty() or [] if self._lost.get(seat, late) <= late]
        given = assigned(ready, self._lost, room)
        for seat, node in given.items():
            if seat in self._lost:
                said = "%s is given to node %d, and begins there with an empty buffer"
                log.warning(said, self._name(seat), node, extra={"seat": seat})
            self._hold(seat, Holder(place_of(node, seat), 0, time.monotonic()))
        return list(given)

    def _refuse(self, node: int, reason: str) -> None:
        self._refusals[node] = _Refusal(reason, time.monotonic())
        log.error("node %d: %s", node, reason)

    def _place(self, said: Described, node: int) -> list[tuple[int, int, int]]:
        """Return the seats of a node's answer, with place and round. Raises RefusedError if they cannot be."""
        single = said.capacity is None
        if single:
            (seat,) = said.rounds
            held = next((held for held, holder in self.holders.items() if holder.node == node and held != seat), None)
            if held is not None:
                raise RefusedError(
                    f"a device that holds {self._name(held)} says that it holds {self._name(seat)}; a device may hold "
                    "only one seat"
                )
        self._provenances[node], self._unit_types[node] = said.provenance, said.unit_types
        self._sizes[node] = said.n_agents
        self._agree()
        if said.n_agents != self.n_agents:
            who = f"seat {seat}" if single else "a device"
            raise RefusedError(f"{who} plays with {said.n_agents} agents, the others with {self.n_agents}")
        if said.capacity is None:
            return [(seat, node, round_) for seat, round_ in said.rounds.items()]
        self._capacities[node] = said.capacity
        found = [(seat, place_of(node, seat), round_) for seat, round_ in said.rounds.items()]
        if said.is_named:
            return found
        # A seat that has been given to another device stays there.
        return [each for each in found if each[0] not in self.holders or self.holders[each[0]].node == each[1]]

    def _agree(self) -> None:
        """Take the team to be as large as most devices say: one that says otherwise does not keep out the others."""
        votes = Counter(self._sizes.values())
        before = self.n_agents
        if before is not None and votes[before] == max(votes.values()):
            return
        self.n_agents = votes.most_common(1)[0][0]
        for seat, holder in list(self.holders.items()):
            if self._sizes.get(node_of(holder.node)) != self.n_agents:
                self._refuse(
                    node_of(holder.node), f"seat {seat} plays with {before} agents, the others with {self.n_agents}"
                )
                del self.holders[seat]
        wronged = [node for node in self._refusals if self._sizes.get(node) == self.n_agents]
        for node in wronged:
            del self._refusals[node]
        self._ask(wronged)

    def _most_said(self, said: Mapping[int, str]) -> str | None:
        """Return what most seats' nodes say, of those that say anything."""
        votes = Counter(text for holder in self.holders.values() if (text := said.get(node_of(holder.node))))
        return votes.most_common(1)[0][0] if votes else None

    def _name(self, seat: int) -> str:
        return self.teams.named([seat])


def wanted(empty: list[int] | None, teams: Teams) -> str:
    """Return which devices are missing, as a sentence; None: nothing is known yet."""
    return "no device has answered yet" if empty is None else f"no device holds {teams.named(empty)}"
