"""Acting in many battles at once."""

import numpy as np
import pytest
import torch

from learning.actor import Actor, actor_from
from learning.battle import Battle
from learning.learner import Learner
from learning.network import AgentNetwork
from tests.learning.toy import SPEC, batch_of, settings

RNG = np.random.default_rng(0)
OPEN = np.ones((2, SPEC.n_actions), bool)


def network(seed: int = 0) -> AgentNetwork:
    return AgentNetwork(SPEC.input_size, 16, SPEC.n_actions, torch.Generator().manual_seed(seed))


def observations(steps: int, battles: int = 2) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((steps, battles, SPEC.obs_size)).astype(np.float32)


def test_it_plays_what_the_network_says_of_the_whole_battle() -> None:
    net = network()
    actor = Actor(net, SPEC, 2)
    seen = observations(5)
    played = np.array([actor.act(obs, OPEN, 0.0, RNG) for obs in seen])
    battles = (
        Battle(seen[:, e], np.ones((5, SPEC.n_actions), np.bool_), played[:4, e], np.zeros(4, np.float32), True)
        for e in range(2)
    )
    batch = batch_of(*battles)
    q = net.run(batch.inputs, batch.sizes).values.view(5, 2, -1)
    found = {tuple(q[:, e].argmax(-1).tolist()) for e in range(2)}  # a batch has its battles in any order
    assert found == {tuple(played[:, e].tolist()) for e in range(2)}


def test_a_new_battle_forgets_the_old_one_and_disturbs_no_other() -> None:
    actor, fresh, undisturbed = (Actor(network(), SPEC, 2) for _ in range(3))
    seen = observations(8)
    for obs in seen[:4]:
        actor.act(obs, OPEN, 0.0, RNG)
        undisturbed.act(obs, OPEN, 0.0, RNG)
    actor.begin(np.array([True, False]))
    for obs in seen[4:]:
        actions = actor.act(obs, OPEN, 0.0, RNG)
        assert actions[0] == fresh.act(obs, OPEN, 0.0, RNG)[0]
        assert actions[1] == undisturbed.act(obs, OPEN, 0.0, RNG)[1]


def test_idle_slots_get_no_op() -> None:
    available = np.array([[False] * 4, [False, False, True, False]])
    actor = Actor(network(), SPEC, 2)
    for rate in (0.0, 1.0):
        assert actor.act(observations(1)[0], available, rate, RNG).tolist() == [0, 2]


def test_it_plays_the_learners_latest_weights() -> None:
    net = network()
    actor = Actor(net, SPEC, 2)
    with torch.no_grad():
        net.fc2.weight.zero_()
        net.fc2.bias.copy_(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    assert actor.act(observations(1)[0], OPEN, 0.0, RNG).tolist() == [2, 2]


# --- an actor alone -------------------------------------------------------------------------------------------


def tensors(base: str = "vdn") -> dict[str, np.ndarray]:
    return Learner(SPEC, settings(base=base, hidden=16), 7).tensors()


@pytest.mark.parametrize("base", ["vdn", "qmix"])
def test_it_plays_as_the_agent_whose_tensors_it_has(base: str) -> None:
    learner = Learner(SPEC, settings(base=base, hidden=16), 7)
    whole, alone = Actor(learner.network, SPEC, 2), actor_from(learner.tensors(), SPEC, 2)
    for obs in observations(6):
        np.testing.assert_array_equal(alone.act(obs, OPEN), whole.act(obs, OPEN, 0.0, RNG))


@pytest.mark.parametrize("name", ["fc1.weight", "rnn.weight_hh", "fc2.bias"])
def test_tensors_that_make_no_network_are_refused(name: str) -> None:
    without = {other: tensor for other, tensor in tensors().items() if other != name}
    with pytest.raises(ValueError, match=f"tensor '{name}' is missing"):
        actor_from(without, SPEC, 2)
    with pytest.raises(ValueError, match=r"tensor '.*' is of shape .*, expected "):
        actor_from({**tensors(), name: np.zeros((3, 5), np.float32)}, SPEC, 2)
