"""Joint mixing in an arena: which battles can be trained on, which training step is on, and what it came to.

Like the arena, this is driven from outside: the arena shows it what it deals, passes the seats' answers in, and hands
out what `go_on` returns. Only losses and gradients by the seats' own utilities are made here; no seat's observation,
action or weight comes in, no state goes out.
"""

from __future__ import annotations

import dataclasses
import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec
from envproxy.mixer_store import MixerStore
from envproxy.protocol import (
    MAX_UTILITY,
    MixAnswer,
    MixBatch,
    MixEvent,
    MixGradient,
    MixHoldings,
    MixOrder,
    MixScale,
    MixUtilities,
    Phase,
)
from envproxy.shared_battles import SharedBattles

if TYPE_CHECKING:
    from learning.joint import JointMixer

log = logging.getLogger("envproxy")

BASES = ("vdn", "qmix")
MAX_UTILITIES = 2**19 - 2**10  # numbers in one array of utilities: two such arrays fit into a seat's message


def check_order(order: MixOrder, spec: MapSpec) -> str | None:
    """Return what is wrong with an order, None if it can be carried out."""
    if order.base not in BASES:
        return f"base {order.base!r}; expected vdn or qmix"
    if not (0 < len(order.run) <= 64 and order.run.isascii() and order.run.isalnum()):
        return f"run id {order.run[:80]!r}; expected up to 64 letters and digits"  # it names a folder
    if not 0 < order.batch_size <= order.buffer_size <= 2**24:
        return f"batches of {order.batch_size} of {order.buffer_size} battles; expected 1..buffer-size"
    if order.batch_size * spec.episode_limit > MAX_UTILITIES:
        most = MAX_UTILITIES // spec.episode_limit
        return f"batches of {order.batch_size} battles; on {spec.name} joint mixing takes up to {most}"
    numbers = (order.train_per_battle, order.learning_rate, order.gamma, order.td_lambda, order.grad_clip)
    shares = max(order.gamma, order.td_lambda) <= 1
    if not (all(np.isfinite(numbers)) and min(numbers) >= 0 and shares and order.train_per_battle <= 100):
        return f"a mixer with numbers {numbers} for train-per-battle, learning-rate, gamma, td-lambda and grad-clip"
    return None if order.target_update_every > 0 else "target-update-every 0; expected at least 1"


@dataclass
class _Step:
    """The training step that is on: the answers it has got from the seats that take part."""

    number: int
    seats: list[int]
    battles: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    utilities: dict[int, MixUtilities] = field(default_factory=dict)
    norms: dict[int, float] = field(default_factory=dict)


class Mixing:
    """Joint mixing of one run. A step that is on ends with MixScale, or by `abandon`; it costs what it was owed."""

    def __init__(self, order: MixOrder, phase: Phase, spec: MapSpec, battles: int, home: Path | None) -> None:
        """`phase` is the run's first here. A mixer kept in `home` resumes as it was before that phase."""
        self.order = order
        self._spec = spec
        self._mixer = _mixer(order, spec, phase.seed)
        self._store = None if home is None else MixerStore(home / order.run, order.buffer_size)
        self._sample = np.random.default_rng([phase.seed, 3])
        self._credit = 0.0  # training steps owed for battles that have ended
        state_size = spec.state_size if order.base == "qmix" else 0
        self._battles = SharedBattles(order.buffer_size, spec.n_agents, battles, spec.episode_limit, state_size)
        self._number = 0  # of the newest step
        self._step: _Step | None = None
        self._restore(phase)

    def takes(self, order: MixOrder) -> bool:
        """Whether this can continue under `order`: one that differs in the learning rate alone, which is adopted."""
        if dataclasses.replace(self.order, learning_rate=order.learning_rate) != order:
            return False
        self.order = order
        self._mixer.set_learning_rate(order.learning_rate)
        return True

    # --- battles ----------------------------------------------------------------------------------------------

    def see(
        self,
        state: NDArray[np.float32],
        reward: NDArray[np.float32],
        began: NDArray[np.bool_],
        on: NDArray[np.bool_],
    ) -> None:
        """Take down a tick, as `SharedBattles.see` does."""
        self._battles.see(state, reward, began, on)

    def ended(self, slot: int, battle: int, terminated: bool, holders: set[int], present: Sequence[int]) -> None:
        """The battle in `slot` ended; `holders` have all of it. It is owed training, once there is a batch."""
        self._battles.ended(slot, battle, terminated, holders)
        if len(self._battles.held_by(present)) >= self.order.batch_size:
            self._credit += self.order.train_per_battle

    # --- training steps ---------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a step is on or owed."""
        return self._step is not None or self._credit >= 1.0

    def go_on(self, present: Sequence[int]) -> dict[int, MixEvent]:
        """Return what to tell the seats next. Call while `busy`, when all seats of the step have answered."""
        step = self._step
        if step is None:
            return self._draw(present)
        if not step.norms:
            return self._gradients(step)
        self._step = None
        scale, metrics = self._mixer.apply(sum(step.norms[seat] for seat in step.seats))
        told = MixScale(step.number, scale, metrics.loss, metrics.q_mean, metrics.td_error_abs, metrics.grad_norm)
        return dict.fromkeys(step.seats, told)

    def hear(self, seat: int, answer: MixAnswer) -> bool:
        """Take in a seat's answer; False if it belongs to a step that is over.

        Raises ValueError, saying what was expected, if it does not belong here.
        """
        if answer.step > self._number:
            raise ValueError(f"an answer to training step {answer.step}; there were {self._number}")
        step = self._step
        if step is None or answer.step != step.number or seat not in step.seats:
            return False
        if isinstance(answer, MixHoldings):
            self._battles.hold(seat, set(answer.battles.tolist()))
            if set(step.battles.tolist()) <= set(self._battles.held_by([seat])):
                raise ValueError(f"all battles of training step {step.number} are held; expected utilities")
        elif isinstance(answer, MixUtilities):
            self._check(step, seat, answer)
            step.utilities[seat] = answer
        elif len(step.utilities) < len(step.seats):
            raise ValueError(f"a gradient norm before the gradient of training step {step.number}")
        elif not 0 <= answer.squared < np.inf:
            raise ValueError(
                f"a squared gradient norm of {answer.squared} of seat {seat}; expected a finite number of at least 0: "
                f"the likely cause is the learning-rate of {self.order.learning_rate:g}: choose a smaller one"
            )
        else:
            step.norms[seat] = answer.squared
        return True

    def takes_part(self, seat: int) -> bool:
        """Whether `seat` takes part in a step that is on."""
        return self._step is not None and seat in self._step.seats

    def abandon(self, seat: int) -> tuple[list[int], int] | None:
        """Give up the step that is on if `seat` takes part in it; return who takes part and the step's number."""
        step = self._step
        if step is None or not self.takes_part(seat):
            return None
        self._step = None
        return step.seats, step.number

    def keep(self, round_: int) -> None:
        """Keep the mixer as it is in round `round_`, and the battles to draw from."""
        if self._store is None:
            return
        tensors, learner = self._mixer.state()
        state = {"learner": learner, "credit": self._credit, "sample": self._sample.bit_generator.state}
        try:
            self._store.save(round_, tensors, state, self._battles.fresh())
            self._battles.kept()
        except OSError as error:
            about = {"run": self.order.run, "round": round_}
            log.error("cannot keep the mixer of run %s: %s", self.order.run, error, extra=about)

    # --- inside -----------------------------------------------------------------------------------------------

    def _restore(self, phase: Phase) -> None:
        store = self._store
        found = None if store is None else store.load(phase.round - (phase.standing.index == 0))
        if store is None or found is None:
            if phase.round > 1:
                log.warning(
                    "no mixer of run %s was kept here: a new one begins in round %d",
                    *(self.order.run, phase.round),
                    extra={"run": self.order.run, "round": phase.round},
                )
            return
        tensors, state = found
        try:
            self._mixer.restore(tensors, state["learner"])
            self._sample.bit_generator.state = state["sample"]
            self._credit = float(state["credit"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:  # of other settings, or damaged
            log.warning(
                "the mixer kept of run %s does not fit (%s): a new one begins in round %d",
                *(self.order.run, error, phase.round),
                extra={"run": self.order.run, "round": phase.round},
            )
            self._mixer = _mixer(self.order, self._spec, phase.seed)
            return
        for battles in store.battles():
            self._battles.restore(battles)
        log.info(
            "the mixer of run %s resumes after %d training steps",
            *(self.order.run, state["learner"]["steps"]),
            extra={"run": self.order.run, "round": phase.round},
        )

    def _draw(self, present: Sequence[int]) -> dict[int, MixEvent]:
        self._credit -= 1.0
        shared = self._battles.held_by(present)
        if len(shared) < self.order.batch_size:
            return {}
        drawn = self._sample.choice(np.array(shared, np.uint64), self.order.batch_size, replace=False, shuffle=False)
        lengths = self._battles.lengths(drawn.tolist())
        order = np.argsort(-lengths, kind="stable")
        self._number += 1
        self._step = _Step(self._number, list(present), drawn[order], lengths[order])
        return dict.fromkeys(present, MixBatch(self._number, self._step.battles))

    def _check(self, step: _Step, seat: int, answer: MixUtilities) -> None:
        if seat in step.utilities:
            raise ValueError(f"utilities for training step {step.number} once more; expected a gradient norm")
        shape = (int(step.lengths[0]), len(step.lengths))
        for array in (answer.chosen, answer.bootstrap):
            if array.shape != shape:
                raise ValueError(
                    f"utilities of seat {seat} of shape {array.shape}; expected {shape}, steps and battles"
                )
            if not (np.abs(array) < MAX_UTILITY).all():  # nor NaN: one such number would spoil the mixer for good
                raise ValueError(
                    f"utilities of seat {seat} that are not all numbers below {MAX_UTILITY:g}: its training has "
                    f"diverged; the likely cause is the learning-rate of {self.order.learning_rate:g}: "
                    "choose a smaller one"
                )

    def _gradients(self, step: _Step) -> dict[int, MixEvent]:
        longest, count = int(step.lengths[0]), len(step.lengths)
        chosen, bootstrap = (np.zeros((longest, count, self._spec.n_agents), np.float32) for _ in range(2))
        for seat, answer in step.utilities.items():
            chosen[..., seat], bootstrap[..., seat] = answer.chosen, answer.bootstrap
        states, rewards, terminated = self._battles.batch(step.battles.tolist())
        gradient = self._mixer.gradient(chosen, bootstrap, states, rewards, step.lengths, terminated)
        return {seat: MixGradient(step.number, gradient[..., seat]) for seat in step.seats}


def _mixer(order: MixOrder, spec: MapSpec, seed: int) -> JointMixer:
    # PyTorch takes seconds to import: only an env proxy that mixes pays for it.
    create: type[JointMixer] = importlib.import_module("learning.joint").JointMixer
    return create(
        spec.n_agents,
        spec.state_size,
        base="qmix" if order.base == "qmix" else "vdn",
        learning_rate=order.learning_rate,
        gamma=order.gamma,
        td_lambda=order.td_lambda,
        target_update_every=order.target_update_every,
        grad_clip=order.grad_clip,
        seed=seed,
    )
