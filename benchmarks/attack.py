"""What one hostile agent of five does to each strategy: a Markdown table. Seconds.

    python -m benchmarks.attack [--rounds 40]

No battles: each honest agent goes part of the way to an optimum of its own near a common one in every round, and says
what it earned. Messages, checks and aggregation are those of a run. A figure is the distance of the aggregate from the
mean of the honest agents' optima after the last round, 1 being that of the first weights: 0 is all learnt, 1 nothing,
and more is worse than never to have begun.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from pps_qmix.configuration import default_config
from server.flower_internals import make_run
from server.in_process_grid import InProcessGrid
from strategies.figures import COUNTS, NUMBERS
from strategies.registry import create_strategy
from strategies.settings import SharingSettings
from strategies.update import ANYTHING

AGENTS: Final = 5  # the last one is hostile
WEIGHTS: Final = 100
PACE: Final = 0.3  # part of the way to its optimum that an agent goes in a round
SPREAD: Final = 0.3  # of the honest agents' optima around the common one, in units of its size
BATTLES: Final = 96
RETURN: Final = 10.0  # an honest agent's per battle, give or take 1

Vector = NDArray[np.float64]


class Answer(NamedTuple):
    """What an agent sends: its weights, and its mean return per battle."""

    weights: Vector
    mean_return: float


# From the weights of the round, those that honest training makes of them, and a source of chance.
Attack = Callable[[Vector, Vector, np.random.Generator], Answer]

PURPOSE: Final = -np.ones(WEIGHTS)  # where a hostile agent wants the team to be: opposite to the common optimum
BELIEVED: Final = 1.4  # what a weight may move by under the default settings, nearly


def _astray(began: Vector) -> Vector:
    return began + PACE * (PURPOSE - began)


ATTACKS: Final[dict[str, Attack]] = {
    "none": lambda began, trained, rng: Answer(trained, RETURN),
    "trains for its own purpose": lambda began, trained, rng: Answer(_astray(began), RETURN),
    "and claims a return of 40": lambda began, trained, rng: Answer(_astray(began), 40.0),
    "and claims a return of 10^9": lambda began, trained, rng: Answer(_astray(began), 1e9),
    "update with its sign turned": lambda began, trained, rng: Answer(2.0 * began - trained, RETURN),
    "update times -100": lambda began, trained, rng: Answer(began - 100.0 * (trained - began), RETURN),
    "noise, as large as is believed": lambda began, trained, rng: Answer(
        began + rng.uniform(-BELIEVED, BELIEVED, WEIGHTS), RETURN
    ),
    "NaN": lambda began, trained, rng: Answer(np.full(WEIGHTS, np.nan), RETURN),
}


def settings(**changes: bool | float | int | str) -> SharingSettings:
    """The default settings with some changed."""
    config = default_config() | {name.replace("_", "-"): v for name, v in changes.items()}
    return SharingSettings.from_config(config, attestation=None)


CREDULOUS: Final = SharingSettings(
    strategy_settings="",
    reward_weighting="proportional",
    personal_layers=4,
    adopt=1.0,
    max_weight=1.0,
    tolerate=0,
    server_optimizer="",
    server_learning_rate=0.1,
    server_momentum=0.9,
    learning_rate=5e-4,
    bounds=ANYTHING,
    attestation=None,
)

STRATEGIES: Final[dict[str, tuple[str, SharingSettings]]] = {
    "a-pps": ("a-pps", settings()),
    "rs-pps, all believed": ("rs-pps", CREDULOUS),
    "rs-pps": ("rs-pps", settings()),
    "rs-pps, max-weight 0.25": ("rs-pps", settings(max_weight=0.25)),
    "median": ("median", settings()),
    "trimmed-mean": ("trimmed-mean", settings()),
    "krum": ("krum", settings()),
    "multi-krum": ("multi-krum", settings()),
    "bulyan": ("bulyan", settings()),
}


def distance(strategy: str, sharing: SharingSettings, attack: Attack, rounds: int, agents: int = AGENTS) -> float:
    """Play so many rounds; return the distance that is left, in units of the first."""
    rng = np.random.default_rng(0)
    optima = 1.0 + SPREAD * rng.standard_normal((agents, WEIGHTS))
    goal = optima[:-1].mean(0)

    def answer(messages: Sequence[Message]) -> Iterable[Message]:
        for seat, message in enumerate(messages):
            began = message.content.array_records["arrays"]["w"].numpy().astype(np.float64)
            trained = began + PACE * (optima[seat] - began)
            honest = Answer(trained, RETURN + rng.uniform(-1.0, 1.0))
            yield _reply(message, seat, attack(began, trained, rng) if seat == agents - 1 else honest)

    grid = InProcessGrid(agents, answer, make_run(1))
    sharer = create_strategy(strategy, sharing)
    sharer.place({seat: seat + 1 for seat in range(agents)})
    initial = ArrayRecord({"w": Array(np.zeros(WEIGHTS, np.float32))})
    for round_ in range(1, rounds + 1):
        asked = sharer.configure_train(round_, initial, ConfigRecord({"round-timeout": 60.0}), grid)
        sharer.aggregate_train(round_, grid.pull_messages(grid.push_messages(asked)))
    left = sharer.agents()[0]["w"] - goal
    return float(np.linalg.norm(left) / np.linalg.norm(goal))


def _reply(message: Message, seat: int, answer: Answer) -> Message:
    arrays = ArrayRecord({"w": Array(answer.weights.astype(np.float32))})
    claim: dict[str, int | float | list[int] | list[float]] = {
        "seat": seat,
        "reward-sum": answer.mean_return * BATTLES,
        "reward-battles": BATTLES,
        **dict.fromkeys((*COUNTS, *NUMBERS), 0),
    }
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord(claim)}), reply_to=message)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args(arguments)
    for name in ("strategies", "flwr"):  # each left-out reply would be a line
        logging.getLogger(name).setLevel(logging.ERROR)
    print(f"| the hostile agent of {AGENTS} | {' | '.join(STRATEGIES)} |")
    print(f"|---|{'---|' * len(STRATEGIES)}")
    for name, attack in ATTACKS.items():
        row = [distance(*chosen, attack, options.rounds) for chosen in STRATEGIES.values()]
        print(f"| {name} | {' | '.join(f'{left:.3g}' for left in row)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
