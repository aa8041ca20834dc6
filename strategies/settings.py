"""The settings of a run that concern sharing. Their defaults are where all settings have theirs, in pyproject.toml."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strategies.attestation import Attestation
from strategies.server_optimizer import SERVER_OPTIMIZERS
from strategies.update import Bounds

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


@dataclass(frozen=True, kw_only=True)
class SharingSettings:
    """The settings of a run that concern sharing.

    Raises ValueError for values no strategy can work with.
    """

    strategy_settings: str
    """The settings that the strategy declares itself, as "momentum=0.9, nesterov=true"; others have their defaults."""
    reward_weighting: str
    """"proportional" (the paper's formula) or "softmax" (of mean returns)."""
    personal_layers: int
    """Number of tensors of the agent network, from the first, that stay on the device under pp-pps: 0..8."""
    adopt: float
    """Share of the aggregate that an agent takes over: 0..1."""
    max_weight: float
    """The largest weight of one agent in an aggregate: above 0, up to 1, which bounds nothing."""
    tolerate: int
    """Number of hostile agents that trimmed-mean, krum, multi-krum and bulyan are to withstand."""
    server_optimizer: str
    """What makes a step of each aggregate, one of SERVER_OPTIMIZERS; "": the aggregate is taken as it is."""
    server_learning_rate: float
    """Of the server optimizer: above 0."""
    server_momentum: float
    """Of the server optimizer, where it has one: 0 or more, below 1."""
    learning_rate: float
    """Of the agents: the likely cause where their training diverges."""
    bounds: Bounds
    """What is believed of a reply."""
    attestation: Attestation | None
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
        if self.server_optimizer not in ("", *SERVER_OPTIMIZERS):
            raise ValueError(
                f"server-optimizer is {self.server_optimizer!r}, expected one of {', '.join(SERVER_OPTIMIZERS)}, or ''"
            )
        if not 0.0 < self.server_learning_rate < math.inf:
            raise ValueError(f"server-learning-rate is {self.server_learning_rate}, expected more than 0")
        if not 0.0 <= self.server_momentum < 1.0:
            raise ValueError(f"server-momentum is {self.server_momentum}, expected at least 0 and less than 1")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], attestation: Attestation | None) -> "SharingSettings":
        """Take the settings from a run's config, whose keys are kebab-case; other keys are ignored.

        `attestation` is not for a config: it holds a key.

        Raises KeyError for a missing key and ValueError for a value out of range.
        """
        return cls(
            strategy_settings=config["strategy-settings"],
            reward_weighting=config["reward-weighting"],
            personal_layers=config["personal-layers"],
            adopt=float(config["adopt"]),
            max_weight=float(config["max-weight"]),
            tolerate=config["tolerate"],
            server_optimizer=config["server-optimizer"],
            server_learning_rate=float(config["server-learning-rate"]),
            server_momentum=float(config["server-momentum"]),
            learning_rate=float(config["learning-rate"]),
            bounds=Bounds(
                battles=config["reward-buffer"],
                mean_return=float(config["max-return"]),
                change=_LARGEST_STEP * config["learning-rate"] * _training_steps(config),
            ),
            attestation=attestation,
        )


def _training_steps(config: Mapping[str, Any]) -> float:
    """The most that an agent takes in a round: those of whole battles, and what it owed from the round before."""
    per_battle = float(config["train-per-battle"])
    battles = math.ceil(int(config["aggregation-every"]) / per_battle)
    return (battles + 1) * per_battle
