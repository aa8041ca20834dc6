"""What the figures of a run are called on its page, and what each means, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Figure(NamedTuple):
    """A figure of the rounds: its name in metrics.jsonl, what it is called, what it is, and where to read of it."""

    name: str
    label: str
    meaning: str
    is_share: bool = False  # 0..1, shown in per cent
    section: str = "round-rows"  # of the documentation's page on metrics


_LEARNING: Final = (
    Figure("loss", "Loss", "Mean squared difference between predicted values and their targets.", section="learning"),
    Figure(
        "td-error",
        "TD error",
        "Mean absolute difference between predicted values and their targets.",
        section="learning",
    ),
    Figure("q-mean", "Mean predicted value", "Mean of the values that are predicted for the actions taken."),
    Figure("grad-norm", "Gradient norm", "Norm of the gradient before it is clipped, mean of the training steps."),
)

FIGURES: Final = (
    Figure("win-rate", "Win rate while exploring", "Share of the round's battles that the team won.", True),
    Figure("return", "Return while exploring", "Mean reward of the team in a battle of the round."),
    Figure("length", "Battle length", "Mean length of a battle of the round, in environment steps."),
    Figure("epsilon", "Exploration", "Share of random actions at the end of the round.", True),
    *_LEARNING,
    Figure(
        "divergence",
        "Disagreement of agents",
        "Distance of the agents' weights from their mean; 0: all are equal.",
        section="divergence",
    ),
    Figure(
        "update-cosine",
        "Agreement of updates",
        "Cosine between the agents' updates; 1: all learn the same.",
        section="update-cosine",
    ),
)

WEIGHTS: Final = Figure(
    "weight", "Aggregation weights", "How much each {} counts in the aggregate.", section="aggregation-weights"
)

AGENT_FIGURES: Final = (
    Figure("battles", "Battles", "Battles that the agent collected.", section="by-seat"),
    Figure("missed", "Battles missed", "Battles that the others collected without this agent.", section="by-seat"),
    Figure("training-steps", "Training steps", "Training steps that the agent took.", section="by-seat"),
    *_LEARNING,
    Figure("reward-sum", "Reward sum", "Rewards in the agent's reward buffer, which weigh it.", section="by-seat"),
    Figure(
        "weight", "Aggregation weight", "How much the agent counts in the aggregate.", section="aggregation-weights"
    ),
)

TIMES: Final = {
    "learning": ("Learning", "An agent takes training steps."),
    "acting": ("Acting", "An agent chooses actions."),
    "waiting": ("Waiting", "An agent waits for the battle: the env proxy, other agents, the network."),
    "flower": ("Flower", "No agent is busy: messages are delivered, processes start."),
    "aggregation": ("Aggregating", "The server reads replies and aggregates them."),
}

STRATEGIES: Final = {"a-pps": "A-PPS", "rs-pps": "RS-PPS", "pp-pps": "PP-PPS", "none": "no sharing"}


def heading(settings: Mapping[str, object], agents: int | None) -> str:
    """Return what a run was, in words: `3m, A-PPS on VDN, 3 agents, seed 0`; `agents` are of a team."""
    teams = int(str(settings["teams"]))
    team = [f"{agents} agents" if teams == 1 else f"{teams} teams of {agents} agents"] if agents else []
    return ", ".join([str(settings["map"]), method(settings), *team, f"seed {settings['seed']}"])


def method(settings: Mapping[str, object]) -> str:
    """Return how the agents of a run learn together, in words: `A-PPS on VDN`."""
    base = str(settings["base"]).upper()
    if settings["centralised"]:
        return f"centralised {base}"
    joint = "joint " if settings["mixing"] == "joint" else ""
    return f"{strategy(settings)} on {joint}{base}"


def strategy(settings: Mapping[str, object]) -> str:
    """Return what the strategy of a run is called: `A-PPS`."""
    name = str(settings["strategy"])
    return "centralised" if settings["centralised"] else STRATEGIES.get(name, name)


def duration(seconds: float) -> str:
    """Return `42 s`, `3 min 5 s` or `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
