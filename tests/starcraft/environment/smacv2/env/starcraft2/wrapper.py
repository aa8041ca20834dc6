"""The wrapper that draws teams and places. Here the game draws them, and the wrapper keeps what it was given."""

from __future__ import annotations

from typing import Any

from smacv2.env.starcraft2.starcraft2 import StarCraft2Env


class StarCraftCapabilityEnvWrapper:
    """An environment and the distributions of what a battle is made of."""

    def __init__(self, capability_config: dict[str, Any], **options: Any) -> None:
        self.env = StarCraft2Env(**options)
        assert capability_config["n_units"] == self.env.n_agents
        assert capability_config["n_enemies"] == self.env.n_enemies
        assert capability_config["team_gen"].keys() == {
            *("dist_type", "unit_types", "weights", "exception_unit_types", "observe"),
        }

    def reset(self) -> None:
        self.env.reset()
