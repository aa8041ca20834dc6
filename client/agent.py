"""An agent: the learner that holds a seat, its private buffer and random states, kept in its device directory."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.device import DeviceDirectory, DeviceError
from client.recorder import Recorder
from envproxy.protocol import MixAnswer, MixBatch, MixGradient, MixHoldings, MixNorm, MixScale, MixUtilities, Tick
from learning.actor import Actor
from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.exploration import epsilon
from learning.learner import Learner, TrainingStep
from learning.memory import keep_freed_memory
from learning.metrics import TrainMetrics
from learning.rewards import RewardBuffer
from learning.settings import LearningSettings, SeatSpec
from learning.utilities import Utilities, UtilitiesOnDevice

log = logging.getLogger("agent")

MakeLearner = Callable[[SeatSpec, LearningSettings, int], Learner]  # the last is the seed


class Agent:
    """One seat's learner, buffer and player.

    It computes on one thread: an agent is small, and with N of them on a machine more threads only wait for each
    other. The same seed, weights and ticks give the same weights, bit for bit.
    """

    def __init__(
        self,
        spec: SeatSpec,
        battles: int,
        settings: LearningSettings,
        *,
        seed: int,
        directory: DeviceDirectory,
        make_learner: MakeLearner = Learner,
        team: int = 0,
    ) -> None:
        """Take up the state in `directory` if there is one, else begin afresh.

        Agents of the same `seed` begin with the same weights; those of different teams and seats explore differently.

        Raises DeviceError if the directory's content cannot be used, or is another run's.
        """
        torch.set_num_threads(1)
        keep_freed_memory()
        self.spec = spec
        self.settings = settings
        self.learner = make_learner(spec, settings, seed)
        self.round = 0  # the last one that was played to its end
        self.resumed = False
        self._directory = directory
        of_team = [team] if team else []
        self._explore = np.random.default_rng([seed, spec.seat, 1, *of_team])
        self._sample = np.random.default_rng([seed, spec.seat, 2, *of_team])
        self._credit = 0.0  # training steps owed for battles that have ended
        self._utilities: Utilities | UtilitiesOnDevice | None = None  # of the joint training step that is on
        self.actor = Actor(self.learner.network, spec, battles)
        self._recorder = Recorder(spec, battles)
        kept = directory.load()
        if kept is None:
            directory.forget()  # a buffer without a state belongs to no agent
        elif kept[1].get("run") != directory.run_id:
            raise DeviceError(f"{directory.path} holds the state of another run; remove the folder to begin afresh")
        try:
            self.buffer = BattleBuffer(directory.buffer, settings.buffer_size, spec)
            self.rewards = RewardBuffer(settings.reward_buffer, settings.reward_credit)
            if kept is not None:
                self._restore(*kept)
        except (ValueError, OSError) as error:
            raise DeviceError(
                f"cannot resume from {directory.path}: {error}; remove the folder to begin afresh"
            ) from None
        except (KeyError, TypeError) as error:
            raise DeviceError(f"{directory.path} is damaged ({error!r}); remove the folder to begin afresh") from None

    # --- the server's part ------------------------------------------------------------------------------------

    def adopt(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over the tensors that the server sent. Raises ValueError if one is unknown or has another shape."""
        self.learner.load(tensors)
        if self.learner.steps == 0:  # the server's weights are where learning starts: for the target network, too
            self.learner.sync_target()

    def keep(self, round_: int) -> None:
        """Keep the agent's state: `round_` has been played. Raises DeviceError."""
        self.round = round_
        self.buffer.flush()
        tensors, learner = self.learner.state()
        self._directory.save(
            {name: tensor.numpy() for name, tensor in tensors.items()},
            {
                "run": self._directory.run_id,
                "round": round_,
                "learner": learner,
                "buffer": self.buffer.counters(),
                "rewards": self.rewards.to_list(),
                "credit": self._credit,
                "explore": self._explore.bit_generator.state,
                "sample": self._sample.bit_generator.state,
                "settings": dataclasses.asdict(self.settings),
            },
        )

    # --- the battle's part ------------------------------------------------------------------------------------

    def forget_battles(self) -> None:
        """A phase begins: discard the unfinished battles of the phase before it, whatever their ids."""
        self._recorder.forget()

    def collect(self, tick: Tick) -> NDArray[np.bool_]:
        """Store the battles that ended on this tick; return where one began (bool [E]).

        Raises DeviceError if they cannot be stored.
        """
        began, ended = self._recorder.see(tick)
        for battle in ended:
            self._remember(battle)
        return began

    def act(self, tick: Tick, began: NDArray[np.bool_], explored: float) -> NDArray[np.uint8]:
        """Return actions [E] for a tick, random with probability `explored` (0: greedy)."""
        if began.any():
            self.actor.begin(began)
        return self.actor.act(tick.observations, tick.available, explored, self._explore)

    def acted(self, actions: NDArray[np.uint8]) -> None:
        """Take down the actions of a collect phase."""
        self._recorder.acted(actions)

    def epsilon(self, steps: int) -> float:
        """The share of random actions after `steps` environment steps of the run."""
        return epsilon(steps, self.settings)

    def owed(self) -> TrainingStep | None:
        """Return a training step that this agent is to take alone, if it owes one; joint mixing owes none.

        It must be taken before the agent does anything else.
        """
        if self._credit < 1.0:
            return None
        self._credit -= 1.0
        return TrainingStep(self.learner, lambda: self.buffer.sample(self._sample, self.settings.batch_size))

    def mix(self, event: MixBatch | MixGradient) -> MixAnswer:
        """Do this seat's part of a joint training step, as far as it can before it hears of the others'."""
        if isinstance(event, MixGradient):
            assert self._utilities is not None
            return MixNorm(event.step, self.learner.backpropagate(self._utilities, torch.tensor(event.gradient)))
        batch = self.buffer.select(event.battles)
        if batch is None:
            return MixHoldings(event.step, self.buffer.ids())
        self._utilities = self.learner.utilities(batch)
        chosen, best = (each.cpu().numpy() for each in (self._utilities.chosen, self._utilities.best))
        return MixUtilities(event.step, chosen, best)

    def mixed(self, event: MixScale) -> TrainMetrics:
        """Take the joint training step."""
        self._utilities = None
        self.learner.apply(event.scale)
        return TrainMetrics(event.loss, event.q_mean, event.td_error_abs, event.grad_norm)

    # --- inside -----------------------------------------------------------------------------------------------

    def _remember(self, battle: Battle) -> None:
        try:
            self.buffer.add(battle)
        except OSError as error:
            raise DeviceError(f"cannot store battles in {self._directory.buffer}: {error.strerror}") from None
        self.rewards.add(battle)
        # From the first batch on, so that a round's training steps do not depend on which battles end together.
        if len(self.buffer) >= self.settings.batch_size and self.settings.mixing == "solo":
            self._credit += self.settings.train_per_battle

    def _restore(self, tensors: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
        found, expected = state["settings"], dataclasses.asdict(self.settings)
        changed = [name for name in expected if found.get(name) != expected[name]]
        if changed:
            log.warning("settings differ from those the agent was kept with: %s", ", ".join(changed))
        self.learner.restore({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, state["learner"])
        self.buffer.restore(state["buffer"])
        self.rewards = RewardBuffer(self.settings.reward_buffer, self.settings.reward_credit, state["rewards"])
        self._credit = state["credit"]
        self._explore.bit_generator.state = state["explore"]
        self._sample.bit_generator.state = state["sample"]
        self.round = state["round"]
        self.resumed = True
        log.info(
            "taken up after round %d: %d battles, %d training steps", self.round, len(self.buffer), self.learner.steps
        )
