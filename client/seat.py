"""What a device answers to the server, whatever carries the messages: describe, weights, and a round of training."""

from __future__ import annotations

import functools
import json
import logging
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from client.agent import Agent, MakeLearner
from client.device import DeviceDirectory
from client.merge import DelayedMerge
from client.messages import Reply, Request, Tensors
from client.plan import RoundOrder
from client.play import Round, RoundReport, play_round
from envproxy import battle_pb2 as pb
from envproxy.rules import Rules, RulesError
from learning.compute import NoDeviceError
from learning.learner import Learner
from learning.settings import LearningSettings, SeatSpec
from operations.protocol import PROTOCOL, own, spoken
from operations.simulator import recorded_simulator
from strategies.messages import Description, Report

log = logging.getLogger("agent")


class SeatRefusedError(Exception):
    """The server, the env proxy and this device do not fit together; the message says what differs."""


class Seat:
    """One seat's side of a run. First `meet`, then `weights` and rounds: `begin` or `begin_ahead`, play, `finish`."""

    def __init__(self, seat: int, home: Path, make_learner: MakeLearner = Learner) -> None:
        """`home` is the folder of all device directories, $PPS_HOME."""
        self._seat = seat
        self._home = home
        self._make_learner = make_learner
        self._run_id: str | None = None
        self._directory: DeviceDirectory | None = None
        self._make_agent: Callable[[], Agent] | None = None
        self._agent: Agent | None = None
        self._unfinished = False  # a round has begun that has changed the agent, and is not kept

    def meet(self, request: Request, arena: pb.ArenaDescription) -> Reply:
        """Compare what server, env proxy and device are; make the agent, or take it up from its directory.

        Raises SeatRefusedError, and DeviceError if the device directory cannot be used.
        """
        config = request.config
        check_same(config, arena, self._seat)
        if self._run_id != config["run-id"]:
            self._directory = directory = DeviceDirectory(self._home, config["run"], config["run-id"], self._seat)
            directory.make()
            try:
                learning, seed = LearningSettings.from_config(config), int(config["seed"])
            except (TypeError, ValueError) as error:
                raise SeatRefusedError(f"the run's settings cannot be used: {error}") from None
            spec = SeatSpec(
                seat=self._seat,
                n_agents=arena.n_agents,
                obs_size=arena.obs_size,
                n_actions=arena.n_actions,
                episode_limit=arena.episode_limit,
            )
            self._make_agent = functools.partial(
                Agent,
                spec,
                arena.battles,
                learning,
                seed=seed,
                directory=directory,
                make_learner=self._make_learner,
            )
            try:
                self._take_up()
            except NoDeviceError as error:
                raise SeatRefusedError(f"seat {self._seat}: {error}") from None
            self._run_id = config["run-id"]
        met: Description = {"seat": self._seat, "round": self._known().round, "n-agents": arena.n_agents}
        if arena.provenance:
            met["provenance"] = json.dumps(dict(arena.provenance), sort_keys=True)
        return Reply(met)

    def weights(self) -> Reply:
        """Begin the run, and return what its seed makes of a new network.

        What the agent has kept of the run is forgotten: it is of rounds that the server has no checkpoint of.
        """
        agent = self._known()
        if agent.round > 0 or len(agent.buffer) > 0:
            log.warning("seat %d: the run restarts; its kept state is discarded", self._seat)
        assert self._directory is not None
        self._directory.forget()
        self._take_up()
        return Reply({"seat": self._seat}, self._known().learner.tensors())

    def begin(self, request: Request) -> Round:
        """Take over the server's tensors and return the round, ready to be played.

        With an overlap, an agent that has sent the weights of the round before merges them on the way instead.
        Raises SeatRefusedError if the tensors do not fit.
        """
        round_, order = int(request.config["round"]), RoundOrder.from_config(request.config)
        if order.overlap:
            self._forget_unfinished()
        agent = self._known()
        if agent.round < round_ - 1 and request.tensors.keys() != agent.learner.tensors().keys():
            raise SeatRefusedError(
                f"seat {self._seat} last kept round {agent.round} and cannot play round {round_} with a part of the "
                "weights; the server sends all of them next time"
            )
        if order.overlap and self.may_begin_ahead(order):
            tensors = self.checked_tensors(request)
            return self.begin_ahead(order, lambda: tensors)
        try:
            agent.adopt(request.tensors)
        except ValueError as error:
            raise self._unfit(error) from None
        self._unfinished = True
        return play_round(agent, order)

    def may_begin_ahead(self, order: RoundOrder) -> bool:
        """Whether the agent has sent weights at the end of the round before `order`, from which it can train on."""
        agent = self._known()
        return 0 < agent.round == order.round - 1 and agent.learner.steps > 0

    def begin_ahead(self, order: RoundOrder, adopted: Callable[[], Tensors]) -> Round:
        """Return the round of `order`, which the agent begins with the weights that it has sent.

        `adopted` returns the `checked_tensors` of the round's message; it may wait for them.
        """
        self._forget_unfinished()
        self._unfinished = True
        agent = self._known()
        return play_round(agent, order, DelayedMerge(agent.learner, order.overlap, adopted))

    def checked_tensors(self, request: Request) -> Tensors:
        """Return the tensors of a train message. Raises SeatRefusedError if they do not fit the agent."""
        try:
            self._known().learner.check(request.tensors)
        except ValueError as error:
            raise self._unfit(error) from None
        return request.tensors

    def finish(self, request: Request, report: RoundReport) -> Reply:
        """Keep the agent's state and report the round. Raises DeviceError if it cannot be kept.

        An agent whose training has diverged is not kept: what was kept before can still learn, at a smaller rate.
        """
        agent = self._known()
        reply = Reply(_report(agent, report), agent.learner.tensors())
        if is_finite(reply):
            agent.keep(int(request.config["round"]))
            self._unfinished = False
        elif self._make_learner is Learner:  # seats that share one learner have nothing of their own to go back to
            self._take_up()
        return reply

    def _forget_unfinished(self) -> None:
        """Take the agent up as it was kept, if a round has changed it since and was left before its end."""
        if self._unfinished:
            self._take_up()

    def _take_up(self) -> None:
        assert self._make_agent is not None
        self._agent, self._unfinished = self._make_agent(), False

    def _unfit(self, error: ValueError) -> SeatRefusedError:
        return SeatRefusedError(f"seat {self._seat} cannot use the server's weights: {error}")

    def _known(self) -> Agent:
        if self._agent is None:
            raise SeatRefusedError(f"seat {self._seat} has not met this run: the server asks `describe` first")
        return self._agent


def is_finite(reply: Reply) -> bool:
    """Return whether all weights and all metrics of learning are finite."""
    metrics = (reply.values.get(name, 0.0) for name in ("loss", "q-mean", "td-error", "grad-norm"))
    return all(map(math.isfinite, metrics)) and all(np.isfinite(tensor).all() for tensor in reply.tensors.values())


def check_same(config: dict[str, Any], arena: pb.ArenaDescription, seat: int) -> None:
    """Raise SeatRefusedError if server, env proxy and device differ in protocol, map, backend, rules or simulator."""
    for who, protocol, package in (
        ("the server", int(config.get("protocol", 0)), str(config["version"])),
        ("the env proxy", arena.protocol, arena.version),
    ):
        if protocol != PROTOCOL:
            raise SeatRefusedError(
                f"{who} speaks {spoken(protocol, package)}, the device of seat {seat} speaks {own()}; install versions "
                "of the same protocol on all"
            )
    try:
        rules = Rules.parse(str(config["rules"])).text()
    except RulesError as error:
        raise SeatRefusedError(f"the run cannot be played: {error}") from None
    for name, wanted, found in (
        ("map", config["map"], arena.map),
        ("battles", config["battles"], arena.battles),
        ("backend", config["backend"], arena.backend),
        ("rules", rules, arena.rules),
    ):
        if wanted != found:
            raise SeatRefusedError(
                f"the run wants {name} {wanted!r}, but arena {arena.arena!r} of the env proxy plays {found!r}; start "
                f"the env proxy with --{name} {shlex.quote(str(wanted))}, or the run with --{name} "
                f"{shlex.quote(str(found))}"
            )
    wanted, found = (
        recorded_simulator(arena.backend, int(said)) for said in (config.get("simulator", 0), arena.simulator)
    )
    if wanted != found:
        raise SeatRefusedError(
            f"the run is of simulator version {wanted}, but the env proxy plays version {found}; install the same "
            "pps-qmix on both"
        )
    if seat >= arena.n_agents:
        raise SeatRefusedError(f"map {arena.map} has seats 0..{arena.n_agents - 1}; seat {seat} does not exist")


def _report(agent: Agent, report: RoundReport) -> Report:
    values: Report = {
        "seat": agent.spec.seat,
        "steps": report.standing.steps,
        "battles": report.battles,
        "missed": report.missed,
        "won": report.won,
        "return-sum": report.return_sum,
        "training-steps": report.training_steps,
        "reward-sum": agent.rewards.total(),
        "reward-battles": len(agent.rewards),
        "attested": report.attested,
        "buffered": len(agent.buffer),
        "epsilon": report.epsilon,
        "seconds-waiting": report.waiting,
        "seconds-acting": report.acting,
        "seconds-learning": report.learning,
    }
    if report.train_metrics:
        values |= {
            "loss": float(np.mean([m.loss for m in report.train_metrics])),
            "q-mean": float(np.mean([m.q_mean for m in report.train_metrics])),
            "td-error": float(np.mean([m.td_error_abs for m in report.train_metrics])),
            "grad-norm": float(np.mean([m.grad_norm for m in report.train_metrics])),
        }
    if report.evaluations:
        values |= {
            "evaluate-steps": [e.steps for e in report.evaluations],
            "evaluate-battles": [e.battles for e in report.evaluations],
            "evaluate-won": [e.won for e in report.evaluations],
            "evaluate-return": [e.return_mean for e in report.evaluations],
            "evaluate-length": [e.length_mean for e in report.evaluations],
        }
    return values
