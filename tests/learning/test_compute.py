"""Where a learner computes. No test here has CUDA: what a step makes, it makes where its arguments are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from learning.actor import Actor
from learning.compute import NoDeviceError, compute_device
from learning.learner import Learner
from learning.settings import Base, LearningSettings
from tests.learning.toy import SPEC, batch_of, random_battle, settings


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert compute_device("auto").type == ("cuda" if there else "cpu")
    assert compute_device("cpu").type == "cpu"
    if there:
        assert compute_device("cuda").type == "cuda"


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        NoDeviceError, match=r"^device: PyTorch .* finds no CUDA device on this machine; expected 'cpu', "
    ):
        Learner(SPEC, settings(device="cuda"), seed=0)


def learnt(told: LearningSettings, elsewhere: torch.device) -> tuple[dict[str, bytes], list[int]]:
    """Weights after three training steps and actions with them, `elsewhere` being where tensors are made unasked."""
    rng = np.random.default_rng(0)
    learner = Learner(SPEC, told, seed=0)
    batch = batch_of(*(random_battle(rng) for _ in range(4)))
    actor = Actor(learner.network, SPEC, 2)
    seen, open_ = rng.standard_normal((2, SPEC.obs_size), np.float32), np.ones((2, SPEC.n_actions), np.bool_)
    with elsewhere:
        for _ in range(3):
            if told.mixing == "solo":
                learner.train(batch)
            else:
                utilities = learner.utilities(batch)
                learner.backpropagate(utilities, utilities.chosen)
                learner.apply(0.5)
        tensors, counters = learner.state()
        learner.restore(tensors, counters)
        learner.load(learner.tensors())
        actor.begin(np.array([True, False]))
        actions = actor.act(seen, open_, 0.0, rng)
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, actions.tolist()


@pytest.mark.parametrize(("base", "mixing"), [("vdn", "solo"), ("qmix", "solo"), ("vdn", "joint")])
def test_nothing_is_made_on_another_device(base: Base, mixing: str) -> None:
    """The meta device holds no numbers: whatever were made there, the weights would not come out the same."""
    told = settings(base=base, mixing=mixing, td_lambda=0.5)
    assert learnt(told, torch.device("meta")) == learnt(told, torch.device("cpu"))
