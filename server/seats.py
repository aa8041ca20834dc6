"""The table of the members' seats and their nodes. Flower gives a node a random id at every start, so each is asked for its seat."""

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
from server.flower_internals import exception_text
from strategies.messages import CONFIG, DESCRIBE, METRICS
from strategies.sentences import by_device

log = logging.getLogger("server")

_SHOWN = 200  # characters of what a device said
_REASON = 1000  # characters of why it cannot play
_PAUSE = 0.2  # seconds between two polls
_MOST_AGENTS = 1000  # of a team: no map of SMAC's has more than 27
_FAIR = 30.0  # seconds that devices which are there have to answer before a team counts as whole
_MOST_PROVENANCE = 2000  # characters of what the battles are played on
_MOST_UNIT_TYPES = 20_000  # characters of the unit types of a team's seats
_ASK_AGAIN = 30.0  # seconds after which a device that refused is asked again: its env proxy may be back


class SeatsError(Exception):
    """The team cannot play; the message says which seats are missing and what the devices said."""


class NoTeamError(SeatsError):
    """The team of a run that has not begun cannot play."""


class _RefusedError(Exception):
    """A device cannot play, or what it says of itself cannot be; the message is what it said, or why."""


@dataclass(frozen=True)
class Holder:
    """The node that holds a seat, and the last round its agent has kept."""

    node: int
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
        votes = Counter(text for holder in self.holders.values() if (text := self._provenances.get(holder.node)))
        return dict(json.loads(votes.most_common(1)[0][0])) if votes else {}

    @property
    def teams(self) -> Teams:
        """The teams, as far as they are known: one of unknown size before a device has answered."""
        if self.n_agents is None:
            return ONE_TEAM
        votes = Counter(text for holder in self.holders.values() if (text := self._unit_types.get(holder.node)))
        types = tuple(json.loads(votes.most_common(1)[0][0])) if votes else ()
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
        return self._take_answers() if self._asked else []

    def doubt(self, seat: int) -> None:
        """Ask a seat's node once more; `poll` returns the seat when it has answered.

        A SuperNode is busy with one message at a time, in the order they were sent: this answer says that it is done
        with all that it was sent before.
        """
        self._ask([self.holders[seat].node])

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
            if empty != told:
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
            if holder.node not in present:
                log.warning("%s: its node is gone", self._name(seat), extra={"seat": seat})
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
                seat, round_ = self._described(reply, node)
            except _RefusedError as refused:
                self._refuse(node, str(refused))
                continue
            before = self.holders[seat].node if seat in self.holders else None
            if before not in (None, node):
                log.warning(
                    "%s: node %d takes the place of node %d", self._name(seat), node, before, extra={"seat": seat}
                )
                self._replaced.add(before)
            self.holders[seat] = Holder(node, round_, asked.asked_at)
            moved.append(seat)
            if before != node:
                members = len(self.teams.numbers)
                log.info("%s of %d is held by node %d", self._name(seat), members, node, extra={"seat": seat})
        return [seat for seat in moved if seat in self.holders]

    def _refuse(self, node: int, reason: str) -> None:
        self._refusals[node] = _Refusal(reason, time.monotonic())
        log.error("node %d: %s", node, reason)

    def _described(self, reply: Message, node: int) -> tuple[int, int]:
        """Return the seat and the round of a node's answer. Raises _RefusedError if it has none that can be."""
        if reply.has_error():
            raise _RefusedError(error_text(reply)[:_REASON])
        numbers = dict(reply.content.metric_records.get(METRICS, {}))
        seat, n_agents, round_ = (numbers.get(name) for name in ("seat", "n-agents", "round"))
        if not (isinstance(seat, int) and isinstance(n_agents, int) and isinstance(round_, int)):
            found = f"seat {seat}, n-agents {n_agents}, round {round_}"[:_SHOWN]
            raise _RefusedError(f"a device described itself with {found}; expected whole numbers")
        if not 2 <= n_agents <= _MOST_AGENTS:
            raise _RefusedError(f"a device says that {n_agents} agents play; expected 2..{_MOST_AGENTS}")
        most = int(self._config["teams"]) * n_agents
        if not 0 <= seat < most:  # the others would be told of it, and no env proxy lets them name it
            raise _RefusedError(f"a device says that it holds seat {seat}; expected 0..{most - 1}")
        held = next((held for held, holder in self.holders.items() if holder.node == node and held != seat), None)
        if held is not None:
            raise _RefusedError(
                f"a device that holds {self._name(held)} says that it holds {self._name(seat)}; a device may hold only "
                "one seat"
            )
        texts = dict(reply.content.config_records.get(CONFIG, {}))
        self._provenances[node] = _provenance(texts.get("provenance"))
        self._unit_types[node] = _unit_types(texts.get("unit-types"))
        self._sizes[node] = n_agents
        self._agree()
        if n_agents != self.n_agents:
            raise _RefusedError(f"seat {seat} plays with {n_agents} agents, the others with {self.n_agents}")
        return seat, round_

    def _agree(self) -> None:
        """Take the team to be as large as most devices say: one that says otherwise does not keep out the others."""
        votes = Counter(self._sizes.values())
        before = self.n_agents
        if before is not None and votes[before] == max(votes.values()):
            return
        self.n_agents = votes.most_common(1)[0][0]
        for seat, holder in list(self.holders.items()):
            if self._sizes.get(holder.node) != self.n_agents:
                self._refuse(holder.node, f"seat {seat} plays with {before} agents, the others with {self.n_agents}")
                del self.holders[seat]
        wronged = [node for node in self._refusals if self._sizes.get(node) == self.n_agents]
        for node in wronged:
            del self._refusals[node]
        self._ask(wronged)


    def _name(self, seat: int) -> str:
        return self.teams.named([seat])


def error_text(reply: Message) -> str:
    """Return what went wrong, without Flower's wrapping of the exception's class."""
    return exception_text(str(reply.error.reason))


def _provenance(said: object) -> str:
    """Return what a device says of the game, if it is printable names and texts; else nothing: it is for the record."""
    if not isinstance(said, str) or len(said) > _MOST_PROVENANCE:
        return ""
    try:
        told = json.loads(said)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        return ""
    return said if "".join([*told, *told.values()]).isprintable() else ""  # surrogates cannot be in a file


def _unit_types(said: object) -> str:
    """Return what a device says of the seats' unit types, if it is a list of printable words; else nothing."""
    if not isinstance(said, str) or len(said) > _MOST_UNIT_TYPES:
        return ""
    try:
        told = json.loads(said)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, list) or not all(isinstance(each, str) and each.isidentifier() for each in told):
        return ""
    return said


def wanted(empty: list[int] | None, teams: Teams) -> str:
    """Return which devices are missing, as a sentence; None: nothing is known yet."""
    return "no device has answered yet" if empty is None else f"no device holds {teams.named(empty)}"
