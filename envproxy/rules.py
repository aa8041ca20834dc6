"""The options that battles are played under, named and preset as SMAC's constructor has them.

A setting, a flag and an arena's description carry them as one text, `Rules.text`: what differs from SMAC's defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from envproxy.options import Options, OptionsError

Weapons: TypeAlias = Literal["liberty", "lotv"]
Switch: TypeAlias = Literal["map", "true", "false"]  # "map": as the map has it, see `envproxy.maps.BattleMap`

DIFFICULTIES: Final = (*"123456789", "A")  # SMAC's keys, from VeryEasy to CheatInsane
_MAX_STEP_MUL: Final = 1024  # game loops: a minute of game time
_MAX_LOOKS: Final = 64  # an action is one byte, and the map with the most targets has 70 other actions
_LARGEST: Final = 1e6  # of any amount; rewards are float32


class RulesError(OptionsError):
    """A text that names no rules; the message is one line: what was found and what was expected."""


@dataclass(frozen=True)
class Rules(Options):
    """Raises RulesError for a value of a wrong type or out of range. docs/smac-rules.md tells what each option does."""

    NOUN: ClassVar[str] = "rules"
    Error: ClassVar[type[OptionsError]] = RulesError

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
    obs_own_pos: Switch = "map"
    use_unit_ranges: Switch = "map"
    min_attack_range: float = 2.0  # of unit ranges
    conic_fov: bool = False
    num_fov_actions: int = 12  # of cones
    prob_obs_enemy: float = 1.0
    action_mask: bool = True
    weapons: Weapons = "liberty"  # of skirmish alone
    difficulty: str = "7"  # of StarCraft II's computer player, like the next: of the backend smac alone
    game_version: str = ""  # as "4.10"; "": the newest that is installed

    def __post_init__(self) -> None:
        super().__post_init__()
        # With a death and a win that cost nothing or more, the reward's divisor is above zero on every map.
        for name in ("reward_death_value", "reward_win", "reward_negative_scale"):
            self.check(name, 0 <= getattr(self, name) <= _LARGEST, f"0..{_LARGEST:.0f}")
        for name in ("move_amount", "reward_scale_rate"):
            self.check(name, 0 < getattr(self, name) <= _LARGEST, f"more than 0, at most {_LARGEST:.0f}")
        self.check("reward_defeat", abs(self.reward_defeat) <= _LARGEST, f"-{_LARGEST:.0f}..{_LARGEST:.0f}")
        self.check("step_mul", 1 <= self.step_mul <= _MAX_STEP_MUL, f"1..{_MAX_STEP_MUL}")
        for name in ("obs_own_pos", "use_unit_ranges"):
            self.check(name, getattr(self, name) in get_args(Switch), "map, true or false")
        self.check("min_attack_range", 0 <= self.min_attack_range <= _LARGEST, f"0..{_LARGEST:.0f}")
        self.check("num_fov_actions", 1 <= self.num_fov_actions <= _MAX_LOOKS, f"1..{_MAX_LOOKS}")
        self.check("prob_obs_enemy", 0 <= self.prob_obs_enemy <= 1, "0..1")
        self.check("weapons", self.weapons in get_args(Weapons), " or ".join(get_args(Weapons)))
        self.check("difficulty", self.difficulty in DIFFICULTIES, "1..9 or A")
        is_version = re.fullmatch(r"(\d+\.\d+(\.\d+)?)?", self.game_version) is not None
        self.check("game_version", is_version, "a version as 4.10 or 4.10.0")
        if self.game_version.count(".") == 1:  # as pysc2 takes it
            object.__setattr__(self, "game_version", f"{self.game_version}.0")
        if self.obs_all_health:
            object.__setattr__(self, "obs_own_health", True)

    @property
    def looks(self) -> int:
        """How many look actions a seat has: one per direction of a cone of sight."""
        return self.num_fov_actions if self.conic_fov else 0


SMAC_RULES: Final = Rules()


def refuse(rules: Rules, names: tuple[str, ...], why: str) -> None:
    """Raise RulesError if one of the options `names` differs from SMAC's default: a backend cannot play under it.

    So does anything in place of `rules` that is not Rules.
    """
    rules = Rules.require(rules)
    for name in names:
        rules.check(name, getattr(rules, name) == getattr(SMAC_RULES, name), f"none, for {why}")
