"""The agent network: one set of weights, two ways to run it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from learning.network import AgentNetwork, RunOnDevice, StepwiseOnHost
from learning.packed_network import PackedRun, StepwiseNetwork
from learning.packing import Packing
from learning.settings import SeatSpec

SPEC = SeatSpec(seat=1, n_agents=3, obs_size=4, n_actions=5, episode_limit=6)


def network(seed: int = 0) -> AgentNetwork:
    return AgentNetwork(SPEC.input_size, 16, SPEC.n_actions, torch.Generator().manual_seed(seed))


def test_exchanged_names_and_shapes() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network().named_tensors().items()}
    assert list(shapes.items()) == [
        ("fc1.weight", (16, 12)),
        ("fc1.bias", (16,)),
        ("rnn.weight_ih", (48, 16)),
        ("rnn.weight_hh", (48, 16)),
        ("rnn.bias_ih", (48,)),
        ("rnn.bias_hh", (48,)),
        ("fc2.weight", (5, 16)),
        ("fc2.bias", (5,)),
    ]


@pytest.mark.parametrize("run", [AgentNetwork.stepwise, StepwiseOnHost])
def test_steps_agree_with_sequences(run: Callable[[AgentNetwork, int], StepwiseNetwork]) -> None:
    net = network()
    lengths = torch.tensor([7, 4, 4, 1])
    inputs = torch.randn(7, 4, SPEC.input_size, generator=torch.Generator().manual_seed(1))
    packing = Packing.of(lengths)
    whole = packing.unpack(net.run(packing.pack(inputs), packing.sizes).values)
    steps = run(net, 4)
    for t in range(7):
        steps.inputs[:] = inputs[t].numpy()
        q = torch.from_numpy(steps.step())
        playing = lengths > t
        torch.testing.assert_close(whole[t, playing], q[playing], atol=1e-5, rtol=0)
        assert not whole[t, ~playing].any()


@pytest.mark.parametrize("run", [AgentNetwork.stepwise, StepwiseOnHost])
def test_what_is_forgotten_begins_again(
    run: Callable[[AgentNetwork, int], StepwiseNetwork],
) -> None:
    steps = run(network(), 2)
    steps.inputs[:] = 1.0
    first = steps.step().copy()
    steps.forget(np.array([True, False]))
    second = steps.step()
    np.testing.assert_array_equal(second[0], first[0])
    assert (second[1] != first[1]).all()


def test_initialisation_is_orthogonal_seeded_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    tensors = network(seed=3).named_tensors()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(123)
    for name, tensor in network(seed=3).named_tensors().items():
        assert torch.equal(tensor, tensors[name])
    assert not torch.equal(network(seed=4).fc1.weight, network(seed=3).fc1.weight)
    for gate in (*tensors["rnn.weight_ih"].chunk(3), *tensors["rnn.weight_hh"].chunk(3)):
        torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)
    assert not any(tensor.any() for name, tensor in tensors.items() if "bias" in name)


def test_on_a_device_whole_sequences_have_the_values_and_gradients_of_the_compiled_loops() -> None:
    net, sizes = network(), torch.tensor([3, 2, 2, 1])
    inputs, slopes = torch.randn(8, SPEC.input_size), torch.randn(8, SPEC.n_actions)
    compiled, device = net.run(inputs, sizes), RunOnDevice(net, inputs, sizes)
    assert isinstance(compiled, PackedRun)
    torch.testing.assert_close(compiled.values, device.values, atol=1e-5, rtol=0)
    torch.testing.assert_close(compiled.gradient(slopes), device.gradient(slopes), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("run", [AgentNetwork.stepwise, StepwiseOnHost])
def test_a_step_is_taken_with_the_weights_of_that_moment(run: Callable[[AgentNetwork, int], StepwiseNetwork]) -> None:
    net = network()
    steps = run(net, 2)
    steps.inputs[:] = 1.0
    first = steps.step().copy()
    with torch.no_grad():
        net.fc2.bias.add_(1.0)
    steps.forget(np.array([True, True]))
    np.testing.assert_allclose(steps.step(), first + 1.0, atol=1e-6)
