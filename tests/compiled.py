"""Compile what is compiled, so that processes which start at the same time load it: `python -m tests.compiled`."""

from __future__ import annotations

import numpy as np
import torch

from envproxy.backend import create_backend
from learning.network import AgentNetwork


def main() -> None:
    battle = create_backend("skirmish", "3m", 1)
    battle.reset(np.ones(1, dtype=bool), np.ones(1, dtype=np.uint64))
    battle.step(battle.observe().available.argmax(-1).astype(np.uint8))
    network = AgentNetwork(5, 4, 2, torch.Generator())
    network(torch.zeros(1, 5), torch.tensor([1])).sum().backward()
    network.stepwise(1).step()


if __name__ == "__main__":
    main()
