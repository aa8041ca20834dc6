"""The options that battles are played under, named and preset as SMAC's constructor has them.

A setting, a flag and an arena's description carry them as one text, `Rules.text`: what differs from SMAC's defaults.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Weapons: TypeAlias = Literal["liberty", "lotv"]

_MAX_STEP_MUL: Final = 1024  # game loops: a minute of game time
_LARGEST: Final = 1e6  # of any amount; rewards are float32


class RulesError(ValueError):
    """A text that names no rules; the message is one line: what was found and what was expected."""


@dataclass(frozen=True)
class Rules:
    """Raises RulesError for a number out of range. docs/smac-rules.md says what each option changes."""

    step_mul: int = 8
    move_amount: float = 2.0
    obs_all_health: bool = True  # makes obs_own_health true
    obs_own_health: bool = True
    obs_last_action: bool = False
    obs_pathing_grid: bool = False
    obs_terrain_height: bool = False
    obs_instead_of_state: bool = False
    state_last_action: bool = True
    state_timestep_number: bool = False
    reward_sparse: bool = False
    reward_only_positive: bool = True
    reward_death_value: float = 10.0
    reward_win: float = 200.0
    reward_defeat: float = 0.0
    reward_negative_scale: float = 0.5
    reward_scale: bool = True
    reward_scale_rate: float = 20.0
    weapons: Weapons = "liberty"

    def __post_init__(self) -> None:
        # With a death and a win that cost nothing or more, the reward's divisor is above zero on every map.
        for name in ("reward_death_value", "reward_win", "reward_negative_scale"):
            self._check(name, 0 <= getattr(self, name) <= _LARGEST, f"0..{_LARGEST:.0f}")
        for name in ("move_amount", "reward_scale_rate"):
            self._check(name, 0 < getattr(self, name) <= _LARGEST, f"more than 0, at most {_LARGEST:.0f}")
        self._check("reward_defeat", abs(self.reward_defeat) <= _LARGEST, f"-{_LARGEST:.0f}..{_LARGEST:.0f}")
        self._check("step_mul", 1 <= self.step_mul <= _MAX_STEP_MUL, f"1..{_MAX_STEP_MUL}")
        self._check("weapons", self.weapons in get_args(Weapons), " or ".join(get_args(Weapons)))
        if self.obs_all_health:
            object.__setattr__(self, "obs_own_health", True)

    @classmethod
    def parse(cls, text: str) -> Rules:
        """Read "obs-last-action=true, reward-scale-rate=10": what differs from SMAC's. Raises RulesError."""
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        given: dict[str, object] = {}
        for item in re.sub(r"\s*=\s*", "=", text).replace(",", " ").split():
            name, equals, value = item.partition("=")
            field = name.replace("-", "_")
            if not equals:
                raise RulesError(f"rules: expected NAME=VALUE, found {item!r}")
            if field not in fields:
                raise RulesError(f"rules: there is no {name!r}; there are {', '.join(map(_kebab, fields))}")
            if field in given:
                raise RulesError(f"rules: {_kebab(field)} is given twice")
            given[field] = _value(_kebab(field), value, fields[field])
        return cls(**given)  # type: ignore[arg-type] # _value has made each the type of its default

    def text(self) -> str:
        """Return what differs from SMAC's defaults, in one form only: equal rules have equal texts."""
        return ", ".join(
            f"{_kebab(field.name)}={_written(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )

    __str__ = text

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            raise RulesError(f"rules: {_kebab(name)}: expected {expected}, found {_written(getattr(self, name))}")


SMAC_RULES: Final = Rules()


def _kebab(field: str) -> str:
    return field.replace("_", "-")


def _value(name: str, text: str, default: object) -> object:
    """Return `text` as the type of the option's default. Raises RulesError."""
    if isinstance(default, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise RulesError(f"rules: {name}: expected true or false, found {text!r}")
    if isinstance(default, str):
        return text
    try:
        number = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise RulesError(f"rules: {name}: expected {kind}, found {text!r}")
    return number


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
