"""Compile what is compiled, so that processes which start at the same time load it: `python -m tests.compiled`."""

from __future__ import annotations

import numpy as np
import torch

from envproxy.backend import create_backend
from learning.gru import packed_gru


def main() -> None:
    battle = create_backend("skirmish", "3m", 1)
    battle.reset(np.ones(1, dtype=bool), np.ones(1, dtype=np.uint64))
    battle.step(battle.observe().available.argmax(-1).astype(np.uint8))
    weights = [torch.zeros(shape, requires_grad=True) for shape in ((12, 4), (12, 4), (12,), (12,))]
    torch.autograd.grad(packed_gru(torch.zeros(1, 4), torch.tensor([1]), *weights).sum(), weights)


if __name__ == "__main__":
    main()
