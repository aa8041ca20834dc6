"""Who answers the server on a device: one member, or several that play at the same time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import torch

from client.ahead import AheadError, RoundAhead, begin_ahead
from client.counters import DeviceCounters
from client.device import DeviceDirectory, held_members
from client.messages import Part, Reply, Request, joined, parts_of
from client.play import RoundReport
from client.seat import Seat, SeatRefusedError, arena_facts, check_same, member_directory
from client.seat_session import SeatSession, SeatSessionError
from envproxy.tokens import read_token, token_path
from envproxy.transport import Transport, TransportError
from operations.home import HomeError, pps_home
from operations.members import Member, Teams
from strategies.messages import DESCRIBE, TRAIN, WEIGHTS

log = logging.getLogger("agent")

_LOOPBACK = Transport()


class Player(Protocol):
    """Answers the messages of the server, one at a time."""

    def answer(self, request: Request) -> Reply:
        """Raises SeatRefusedError, SeatSessionError, HomeError, or KeyError for what the message lacks."""

    def leave_ahead(self, request: Request) -> None:
        """Leave a round that is played ahead of its message, if `request` begins another one; call `allow` then."""

    @property
    def ahead_since(self) -> float:
        """Since when no round is played ahead, by time.monotonic(); infinity while one is, 0 if none was begun."""

    def close(self) -> None:
        """Leave what is played ahead."""

    def stop(self) -> None:
        """End the round that is on, from another thread, and let none begin."""

    def allow(self) -> None:
        """Let rounds begin again after `stop`."""

    def disconnect(self) -> None:
        """Let the next question begin with a new connection and the token that is in the file then."""


class MemberPlayer:
    """One member: its seat, and its connection to the env proxy."""

    def __init__(
        self,
        member: Member,
        envproxy: str,
        token: Callable[[str], Path],
        transport: Transport = _LOOPBACK,
        device: int | None = None,
    ) -> None:
        """`token` returns the file of the member's token, for the name of its arena.

        `device` is the number of the device that holds several members, this one among them; None: this one alone.
        """
        self._member = member
        self._device = device
        self._envproxy = envproxy
        self._token = token
        self._transport = transport
        self._seat = Seat(member, pps_home(), device=device)
        self._counters = DeviceCounters()
        self._session: SeatSession | None = None
        self._ahead: RoundAhead | None = None

    def answer(self, request: Request) -> Reply:
        if request.kind == WEIGHTS:
            return self._seat.weights()
        if request.config.get("centralised"):
            raise SeatRefusedError(
                "a centralised run has one learner for all agents, and none on devices: play it with "
                "pps-qmix train --runtime in-process"
            )
        met = self.meet(request)
        if request.kind == DESCRIBE:
            return met
        if request.kind == TRAIN:
            session = self._connect(request)
            reply = self._seat.finish(request, self._play(request, session))
            self._tell(request, reply)
            self._ahead = begin_ahead(request, reply, self._seat, session)
            return reply
        raise SeatRefusedError(f"unknown kind of message {request.kind!r}; expected describe, weights or train")

    def meet(self, request: Request) -> Reply:
        """Compare what server, env proxy and this member are, and say who it is. Raises as `answer`."""
        return self._seat.meet(request, self._connect(request).describe())

    def facts(self, request: Request) -> dict[str, int | str]:
        """Say what the arena is, whether or not this member is ever held here. Raises as `answer`."""
        arena = self._connect(request).describe()
        check_same(request.config, arena, self._member)
        return arena_facts(arena)

    def leave_ahead(self, request: Request) -> None:
        if self._ahead is None or request.kind not in (TRAIN, WEIGHTS) or self._ahead.is_ordered(request):
            return
        round_ = self._ahead.order.round
        log.warning("the server orders another round than %d, which was begun", round_, extra={"round": round_})
        self.close()

    @property
    def ahead_since(self) -> float:
        return 0.0 if self._ahead is None else self._ahead.waits_since or math.inf

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.abandon()
            self._ahead = None

    def stop(self) -> None:
        if self._session is not None:
            self._session.stop()

    def allow(self) -> None:
        if self._session is not None:
            self._session.allow()

    def disconnect(self) -> None:
        self.close()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _play(self, request: Request, session: SeatSession) -> RoundReport:
        """Play the round that is ordered to its end, also if it has begun already."""
        if self._ahead is not None:
            tensors = self._seat.checked_tensors(request)
            ahead, self._ahead = self._ahead, None
            try:
                return ahead.finish(tensors)
            except AheadError as error:
                log.warning("round %d begins again: %s", ahead.order.round, error, extra={"round": ahead.order.round})
        return session.play(self._seat.begin(request))

    def _tell(self, request: Request, reply: Reply) -> None:
        """Write what was done, for monitoring. A failure here does not cost a round."""
        round_ = int(request.config["round"])
        self._counters.add(round_, reply.values)
        log.info("round %d played: %d battles", round_, reply.values["battles"], extra={"round": round_})
        try:
            self._counters.save(member_directory(pps_home(), request.config, self._member, self._device).counters)
        except OSError as error:
            log.warning("cannot write the counters: %s", error, extra={"round": round_})

    def _connect(self, request: Request) -> SeatSession:
        if self._session is None:
            arena, seat = arena_of(request, self._member), self._member.seat
            try:
                token = read_token(self._token(arena))
            except OSError as error:
                raise SeatRefusedError(
                    f"cannot read the token of seat {seat}: {error}; copy it from the env proxy's token "
                    'folder and name it in the node config: token="FILE"'
                ) from None
            try:
                self._session = SeatSession(self._envproxy, arena, seat, token, self._transport)
            except TransportError as error:
                raise SeatRefusedError(f"seat {seat}: {error}") from None
        return self._session


class DevicePlayer:
    """The members of one device, which play at the same time, each on a thread of its own."""

    def __init__(
        self, device: int, members: Sequence[Member], capacity: int, envproxy: str, tokens: Path, transport: Transport
    ) -> None:
        """`members` are those that the device is to hold; none: those that the server gives it, up to `capacity`.

        `tokens` is the folder of the tokens, with one of each arena, as the env proxy makes it.
        """
        self._device = device
        self._fixed = tuple(members)
        self._capacity = len(self._fixed) or capacity
        self._envproxy = envproxy
        self._tokens = tokens
        self._transport = transport
        self._players: dict[Member, MemberPlayer] = {}
        self._n_agents = 0  # of a team, once it is known
        self._stopped = False

    def answer(self, request: Request) -> Reply:
        if request.kind == DESCRIBE:
            return self._described(request)
        if not self._n_agents:
            raise SeatRefusedError(f"device {self._device} has not met this run: the server asks `describe` first")
        parts = parts_of(request)
        for part in parts:
            self._player(self._member(part))
        # OpenMP counts threads for each of the threads that call it: every one of ours is told to compute alone.
        with ThreadPoolExecutor(max(1, len(parts)), "member", torch.set_num_threads, (1,)) as pool:
            replies = list(pool.map(self._answered, parts))
        return joined({part.number: reply for part, reply in zip(parts, replies, strict=True)})

    def leave_ahead(self, request: Request) -> None:
        if request.kind not in (TRAIN, WEIGHTS) or not self._n_agents:
            return
        ordered = {self._member(part): part.request for part in parts_of(request)}
        for member, player in self._players.items():
            if member in ordered:
                player.leave_ahead(ordered[member])
            else:
                player.close()

    @property
    def ahead_since(self) -> float:
        return max((player.ahead_since for player in self._players.values()), default=0.0)

    def close(self) -> None:
        for player in self._players.values():
            player.close()

    def stop(self) -> None:
        self._stopped = True
        for player in list(self._players.values()):
            player.stop()

    def allow(self) -> None:
        self._stopped = False
        for player in self._players.values():
            player.allow()

    def disconnect(self) -> None:
        for player in self._players.values():
            player.disconnect()

    def _described(self, request: Request) -> Reply:
        """Say which members the device holds, and how many it can."""
        config = request.config
        place = DeviceDirectory(pps_home(), str(config["run"]), str(config["run-id"]), device=self._device)
        held = self._fixed or tuple(held_members(place))
        facts = self._player(held[0] if held else Member(0, 0)).facts(request)
        self._n_agents = int(facts["n-agents"])
        met = [self._player(member).meet(request).values for member in held]
        seats, rounds = ([int(one[name]) for one in met] for name in ("seat", "round"))
        numbers = {"capacity": self._capacity, "named": int(bool(self._fixed)), "seats": seats, "rounds": rounds}
        return Reply({**facts, **numbers})

    def _answered(self, part: Part) -> Reply | str:
        """Return a member's reply, or why there is none."""
        player = self._player(self._member(part))
        try:
            if self._stopped:
                raise SeatSessionError("stopped: the server has ordered another round")
            if part.request.kind == WEIGHTS:
                player.meet(part.request)
            return player.answer(part.request)
        except (SeatRefusedError, SeatSessionError, HomeError) as error:
            log.error("%s", error)
            if isinstance(error, SeatSessionError):
                player.disconnect()
            return str(error)
        except KeyError as error:
            return f"the server's message lacks {error}"

    def _member(self, part: Part) -> Member:
        return Teams(int(part.request.config["teams"]), self._n_agents).member(part.number)

    def _player(self, member: Member) -> MemberPlayer:
        if member not in self._players:
            self._players[member] = MemberPlayer(
                member,
                self._envproxy,
                lambda arena: token_path(self._tokens, arena, member.seat),
                self._transport,
                self._device,
            )
        return self._players[member]


def arena_of(request: Request, member: Member) -> str:
    """Return the name of a member's arena. Raises SeatRefusedError if the run has no such team."""
    config: Mapping[str, object] = request.config
    names = Teams(int(str(config["teams"])), 0).arenas(str(config["arena"]))
    if member.team >= len(names):
        raise SeatRefusedError(f"the run has teams 0..{len(names) - 1}; team {member.team} does not exist")
    return names[member.team]
