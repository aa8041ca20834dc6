"""What a learner must be told: the run's learning settings and the sizes of its seat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

# server/settings.py has these choices, too: the server imports no learning. tests/test_settings_agree.py compares them.
Base = Literal["vdn", "qmix"]
Mixing = Literal["solo", "joint"]
RewardCredit = Literal["alive", "team"]
Device = Literal["cpu", "cuda", "auto"]
Setting = bool | int | float | str


@dataclass(frozen=True)
class LearningSettings:
    """The settings of one learner; the names are those of ``[tool.flwr.app.config]``, which has the defaults.

    Units: ``batch_size``, ``buffer_size`` and ``reward_buffer`` count battles, ``epsilon_steps`` environment
    steps, ``target_update_every`` training steps; ``train_per_battle`` is training steps per finished battle;
    ``grad_clip`` bounds the global norm of the gradient.
    """

    base: Base
    mixing: Mixing
    batch_size: int
    buffer_size: int
    learning_rate: float
    gamma: float
    td_lambda: float
    epsilon_start: float
    epsilon_end: float
    epsilon_steps: int
    target_update_every: int
    grad_clip: float
    hidden: int
    train_per_battle: float
    reward_buffer: int
    reward_credit: RewardCredit
    device: Device

    @classmethod
    def from_config(cls, config: Mapping[str, Setting]) -> "LearningSettings":
        """Read the kebab-case keys of the app's configuration; other keys are ignored.

        Raises:
            ValueError: a key is missing, is not a number where one is needed, names no known choice, or a batch
                is larger than the buffer it is drawn from.
        """
        settings = cls(
            base=cast(Base, _choice(config, "base", get_args(Base))),
            mixing=cast(Mixing, _choice(config, "mixing", get_args(Mixing))),
            batch_size=_whole(config, "batch-size"),
            buffer_size=_whole(config, "buffer-size"),
            learning_rate=_number(config, "learning-rate"),
            gamma=_number(config, "gamma"),
            td_lambda=_number(config, "td-lambda"),
            epsilon_start=_number(config, "epsilon-start"),
            epsilon_end=_number(config, "epsilon-end"),
            epsilon_steps=_whole(config, "epsilon-steps"),
            target_update_every=_whole(config, "target-update-every"),
            grad_clip=_number(config, "grad-clip"),
            hidden=_whole(config, "hidden"),
            train_per_battle=_number(config, "train-per-battle"),
            reward_buffer=_whole(config, "reward-buffer"),
            reward_credit=cast(RewardCredit, _choice(config, "reward-credit", get_args(RewardCredit))),
            device=cast(Device, _choice(config, "device", get_args(Device))),
        )
        if settings.batch_size > settings.buffer_size:
            raise ValueError(
                f"setting 'batch-size' is {settings.batch_size}, expected at most 'buffer-size' "
                f"({settings.buffer_size}): no batch could ever be drawn"
            )
        return settings


@dataclass(frozen=True, kw_only=True)  # five integers: by position two could be exchanged unnoticed
class SeatSpec:
    """A seat and the sizes its map gives it.

    ``seat`` is 0..n_agents-1; ``episode_limit`` is the most steps a battle can last.
    """

    seat: int
    n_agents: int
    obs_size: int
    n_actions: int
    episode_limit: int

    @property
    def input_size(self) -> int:
        """Length of the agent network's input: observation, last action one-hot, agent id one-hot."""
        return self.obs_size + self.n_actions + self.n_agents


def _value(config: Mapping[str, Setting], key: str) -> Setting:
    try:
        return config[key]
    except KeyError:
        raise ValueError(f"setting {key!r} is missing from the configuration") from None


def _number(config: Mapping[str, Setting], key: str) -> float:
    value = _value(config, key)
    if isinstance(value, bool | str):
        raise ValueError(f"setting {key!r} is {value!r}, expected a number")
    return float(value)


def _whole(config: Mapping[str, Setting], key: str) -> int:
    value = _number(config, key)
    if not value.is_integer() or value < 1:
        raise ValueError(f"setting {key!r} is {value!r}, expected a whole number of at least 1")
    return int(value)


def _choice(config: Mapping[str, Setting], key: str, choices: tuple[str, ...]) -> str:
    value = _value(config, key)
    if value not in choices:
        raise ValueError(f"setting {key!r} is {value!r}, expected one of: {', '.join(choices)}")
    return str(value)
