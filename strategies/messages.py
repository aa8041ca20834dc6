"""The messages between a ServerApp and its devices: kinds, records, and the keys of what a device answers.

Imports no Flower and no PyTorch: the ClientApp, which Flower starts for every message, imports it.
"""

from __future__ import annotations

from typing import Final, NotRequired, TypedDict

DESCRIBE: Final = "describe"  # a query: which seat the device holds, and what its arena plays
WEIGHTS: Final = "weights"  # a query: the tensors that the run's seed makes of a new network
TRAIN: Final = "train"  # play one round

# Records of a message. An answer has its texts in CONFIG, all other values in METRICS.
ARRAYS: Final = "arrays"
CONFIG: Final = "config"
METRICS: Final = "metrics"

PACKED: Final = "safetensors"  # the one array that holds all tensors of a message: the bytes of a safetensors file

# Of a message for several members of a device, and its answer: server.member_grid has them.
MEMBERS: Final = "members"
NUMBER: Final = "number"
SET: Final = "set"
FAILURE: Final = "failure"

Hosting = TypedDict(
    "Hosting",
    {
        "seats": list[int],  # numbers of the members that the device holds
        "rounds": list[int],  # for each the last one that its agent has kept
        "capacity": int,  # how many members it can hold
        "named": int,  # 1: its user has named the seats, and another device holds them only without it; else 0
        "n-agents": int,
        "provenance": NotRequired[str],  # these two as below
        "unit-types": NotRequired[str],
    },
)
"""What a device that may hold several members says of itself."""

Description = TypedDict(
    "Description",
    {
        "seat": int,  # the member's number (operations.members)
        "round": int,  # the last one that the agent has kept
        "n-agents": int,
        "provenance": NotRequired[str],  # JSON object of texts: what the battles are played on
        "unit-types": NotRequired[str],  # JSON list: the unit type of each seat
    },
)

Report = TypedDict(
    "Report",
    {
        "seat": int,  # the member's number
        "steps": int,  # environment steps of the round
        "battles": int,  # collected by this seat
        "missed": int,  # collected by the others without it
        "won": int,
        "return-sum": float,  # of all battles of the round's collect phases
        "training-steps": int,
        "reward-sum": float,  # of the reward buffer
        "reward-battles": int,  # in the reward buffer
        "attested": NotRequired[str],  # the env proxy's signed statement of the reward buffer
        "buffered": int,  # battles in the episode buffer
        "epsilon": float,
        "seconds-waiting": float,
        "seconds-acting": float,
        "seconds-learning": float,
        "loss": NotRequired[float],  # these four: means over the round's training steps
        "q-mean": NotRequired[float],
        "td-error": NotRequired[float],
        "grad-norm": NotRequired[float],
        "evaluate-steps": NotRequired[list[int]],  # these five: one number for each evaluation of the round
        "evaluate-battles": NotRequired[list[int]],
        "evaluate-won": NotRequired[list[int]],
        "evaluate-return": NotRequired[list[float]],
        "evaluate-length": NotRequired[list[float]],
    },
)
