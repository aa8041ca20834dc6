"""Compile the simulator, so that processes which start at the same time load it: `python -m tests.compiled`."""

from __future__ import annotations

import numpy as np

from envproxy.backend import create_backend


def main() -> None:
    battle = create_backend("skirmish", "3m", 1)
    battle.reset(np.ones(1, dtype=bool), np.ones(1, dtype=np.uint64))
    battle.step(battle.observe().available.argmax(-1).astype(np.uint8))


if __name__ == "__main__":
    main()
