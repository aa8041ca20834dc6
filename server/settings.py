"""The settings of a run: `[tool.flwr.app.config]` as a checked value. Defaults are there, and only there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from operations.defaults import default_config
from operations.limits import ARENA_NAME, LONGEST_WAIT, MOST_AT_ONCE, MOST_TEAMS
from operations.suggestions import did_you_mean
from strategies.registry import UnusableStrategyError, create_strategy, describe, settings_text
from strategies.settings import NETWORK_TENSORS, SharingSettings

Value = bool | float | int | str

Positive = Annotated[int, Field(gt=0, lt=2**48)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_WAIT)]


_MOST_BATTLES = 1_000_000  # of a phase; the protocol has room for a few more


class SettingsError(ValueError):
    """A setting has a value it must not have. The message is one line for each."""


class Settings(BaseModel):
    """Every setting of a run. Field names are the kebab-case keys with underscores."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,  # "total-steps=true" is no 1, and a text is no number
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=False,
    )

    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$|^$")]
    runs: Annotated[str, Field(min_length=1)]
    resume: bool
    map: Annotated[str, Field(min_length=1)]
    teams: Annotated[int, Field(gt=0, le=MOST_TEAMS)]
    strategy: str
    base: Literal["vdn", "qmix"]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    total_steps: Positive
    evaluate_every: Positive
    evaluate_battles: Annotated[int, Field(gt=0, le=_MOST_BATTLES)]
    battles: Annotated[int, Field(gt=0, le=MOST_AT_ONCE)]
    backend: Annotated[str, Field(min_length=1)]
    device: Literal["cpu", "cuda", "auto"]
    mixing: Literal["solo", "joint"]
    centralised: bool
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    learning_rate_decay: Share
    batch_size: Positive
    buffer_size: Annotated[int, Field(gt=0, le=10_000_000)]
    train_per_battle: Annotated[float, Field(gt=0, le=100)]
    hidden: Annotated[int, Field(gt=0, le=8192)]
    gamma: Share
    td_lambda: Share
    epsilon_start: Share
    epsilon_end: Share
    epsilon_steps: Positive
    target_update_every: Positive
    grad_clip: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    aggregation_every: Positive
    overlap: Annotated[int, Field(ge=0)]
    share_among: Literal["all", "seat", "type"]
    quorum: Annotated[float, Field(gt=0, le=1)]
    adopt: Share
    reward_buffer: Annotated[int, Field(gt=0, le=100_000)]
    reward_credit: Literal["alive", "team"]
    reward_weighting: Literal["proportional", "softmax"]
    personal_layers: Annotated[int, Field(ge=0, le=len(NETWORK_TENSORS))]
    strategy_settings: str  # kept with the value of every setting that the strategy declares
    server_optimizer: Literal["", "fedadam", "fedyogi", "fedadagrad", "fedavgm"]
    server_learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    server_momentum: Annotated[float, Field(ge=0, lt=1)]
    max_weight: Annotated[float, Field(gt=0, le=1)]
    max_return: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    attest_key: str
    tolerate: Annotated[int, Field(ge=0)]
    seat_timeout: Seconds
    seat_budget: Annotated[float, Field(ge=0, le=LONGEST_WAIT)]
    round_timeout: Seconds
    device_grace: Annotated[float, Field(ge=0, le=LONGEST_WAIT)]
    rules: str  # read where the backend is created: the server knows no battles
    backend_options: str  # like rules
    arena: Annotated[str, Field(pattern=rf"^{ARENA_NAME}$")]
    threads: Annotated[int, Field(ge=0, le=MOST_AT_ONCE)]
    devices: Annotated[int, Field(ge=0, le=MOST_AT_ONCE)]

    @field_validator("strategy")
    @classmethod
    def _strategy_exists(cls, value: str) -> str:
        try:
            describe(value)
        except UnusableStrategyError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("strategy_settings")
    @classmethod
    def _strategy_has_them(cls, value: str, others: ValidationInfo) -> str:
        return settings_text(others.data["strategy"], value) if "strategy" in others.data else value

    @model_validator(mode="after")
    def _strategy_can_be_created(self) -> Settings:
        try:
            create_strategy(self.strategy, SharingSettings.from_config(self.config(), None))
        except UnusableStrategyError as error:
            raise ValueError(f"strategy: {error}") from None
        return self

    @model_validator(mode="after")
    def _buffer_holds_a_batch(self) -> Settings:
        if self.buffer_size < self.batch_size:
            raise ValueError(f"buffer-size: expected at least batch-size ({self.batch_size}), found {self.buffer_size}")
        return self

    @model_validator(mode="after")
    def _round_has_an_end(self) -> Settings:
        if (battles := self.round_battles(1)) > _MOST_BATTLES:
            raise ValueError(
                f"aggregation-every: {self.aggregation_every} training steps at train-per-battle "
                f"{self.train_per_battle:g} are a round of {battles} battles; expected at most {_MOST_BATTLES}"
            )
        return self

    @model_validator(mode="after")
    def _one_network_is_mixed_and_not_shared(self) -> Settings:
        if self.centralised and (self.strategy, self.mixing) != ("none", "joint"):
            raise ValueError(
                "centralised: expected strategy 'none' and mixing 'joint', found "
                f"{self.strategy!r} and {self.mixing!r}: all agents have one network, there is nothing to aggregate"
            )
        return self

    @model_validator(mode="after")
    def _several_teams_can_be_played(self) -> Settings:
        if self.teams == 1:
            return self
        if self.centralised:
            raise ValueError(f"centralised: expected one team, found teams {self.teams}: it has one network for a team")
        if self.attest_key:
            raise ValueError(f"attest-key: expected none with several teams, found teams {self.teams}")
        if self.overlap and self.quorum < 1.0:
            raise ValueError(
                f"quorum: expected 1 with overlap, found {self.quorum:g}: a late team cannot know its next round"
            )
        return self

    @model_validator(mode="after")
    def _an_aggregate_is_merged_before_the_next(self) -> Settings:
        if self.overlap > self.aggregation_every:
            raise ValueError(
                f"overlap: expected at most aggregation-every ({self.aggregation_every}), found {self.overlap}: "
                "an agent merges an aggregate before it sends its weights again"
            )
        if self.overlap and self.centralised:
            raise ValueError(
                f"overlap: expected 0 with centralised, found {self.overlap}: all agents have one network, there is "
                "nothing to aggregate"
            )
        return self

    @property
    def method(self) -> str:
        """How the agents come by their weights: the strategy's name, or "centralised"."""
        return "centralised" if self.centralised else self.strategy

    def round_battles(self, round_: int) -> int:
        """Return how many battles give `aggregation-every` training steps; the first round fills a batch before."""
        battles = math.ceil(self.aggregation_every / self.train_per_battle)
        return battles + (self.batch_size - 1 if round_ == 1 else 0)

    def config(self) -> dict[str, Value]:
        """Return the settings under their kebab-case keys, as Flower and `run.json` hold them."""
        return self.model_dump(by_alias=True)


def check_settings(config: Mapping[str, Value]) -> Settings:
    """Return `config` as settings. Raises SettingsError with a line for each setting that is wrong."""
    try:
        return Settings.model_validate(dict(config))
    except ValidationError as error:
        raise SettingsError("\n".join(problem_line(problem, default_config()) for problem in error.errors())) from None


def problem_line(problem: Mapping[str, object], known: Iterable[str] = ()) -> str:
    """Return one of pydantic's problems as `name: what is expected, found value`; one of `known` for an unknown name.

    `seeds #2.x` is x in the second of seeds.
    """
    message = str(problem["msg"]).removeprefix("Value error, ")
    location = problem["loc"]
    if not isinstance(location, tuple) or not location:
        return message
    name = "".join(f" #{part + 1}" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
    match problem["type"]:
        case "missing":
            return f"{name}: missing"
        case "extra_forbidden":
            return f"{name}: unknown setting{did_you_mean(location[-1], known)}"
        case "value_error":  # ours: it names what was found
            return f"{name}: {message}"
        case _:
            expected = message[0].lower() + message[1:]
            return f"{name}: {expected}, found {problem['input']!r}"
