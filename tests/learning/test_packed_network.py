"""The compiled network computes what PyTorch's layers compute."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from learning.packed_network import PackedRun, StepwiseNetwork, Weights


class Library(nn.Module):
    """The same layers of PyTorch."""

    def __init__(self, size: int, hidden: int, actions: int, dtype: torch.dtype, spread: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.fc1, self.gru, self.fc2 = nn.Linear(size, hidden), nn.GRU(hidden, hidden), nn.Linear(hidden, actions)
        self.to(dtype)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(std=spread, generator=generator)

    def forward(self, inputs: Tensor, sizes: Tensor) -> Tensor:
        values: Tensor = self.fc2(self.gru(PackedSequence(torch.relu(self.fc1(inputs)), sizes))[0].data)
        return values


def weights(library: Library) -> Weights:
    return Weights(list(library.parameters()))


def sizes_of(lengths: list[int]) -> Tensor:
    return torch.tensor([sum(length > step for length in lengths) for step in range(max(lengths))])


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    size=st.integers(1, 9),
    hidden=st.integers(1, 9),
    actions=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients_agree_with_the_library(
    lengths: list[int], size: int, hidden: int, actions: int, seed: int
) -> None:
    library = Library(size, hidden, actions, torch.float64, 1.0, seed)
    sizes = sizes_of(lengths)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(sum(lengths), size, dtype=torch.float64, generator=generator)
    upstream = torch.randn(len(inputs), actions, dtype=torch.float64, generator=generator)
    parameters = list(library.parameters())
    ours, theirs = PackedRun(Weights(parameters), inputs, sizes), library(inputs, sizes)
    torch.testing.assert_close(ours.values, theirs, rtol=1e-9, atol=1e-12)
    expected = torch.cat([each.flatten() for each in torch.autograd.grad(theirs, parameters, upstream)])
    torch.testing.assert_close(ours.gradient(upstream), expected, rtol=1e-9, atol=1e-11)


def test_single_precision_is_near_the_librarys_double_precision_with_saturated_gates_too() -> None:
    library = Library(8, 8, 4, torch.float32, 4.0, seed=0)
    sizes = torch.tensor([3, 3, 2, 1])
    inputs = torch.randn(9, 8, generator=torch.Generator().manual_seed(0))
    found = PackedRun(weights(library), inputs, sizes).values
    expected = library.double()(inputs.double(), sizes)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)


def test_steps_give_the_values_of_whole_sequences_bit_for_bit() -> None:
    library = Library(5, 6, 3, torch.float32, 1.0, seed=1)
    inputs = torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(1))
    whole = PackedRun(weights(library), inputs.flatten(0, 1), torch.full((4,), 7)).values
    steps = StepwiseNetwork(weights(library), 7)
    for now, expected in zip(inputs, whole.view(4, 7, 3), strict=True):
        steps.inputs[:] = now.numpy()
        assert torch.equal(torch.from_numpy(steps.step()), expected)


def test_a_rows_values_do_not_depend_on_the_rows_beside_it() -> None:
    library = Library(5, 6, 3, torch.float32, 1.0, seed=1)
    inputs = torch.randn(7, 5, generator=torch.Generator().manual_seed(2))
    together = PackedRun(weights(library), inputs, torch.tensor([7])).values
    for row, expected in zip(inputs, together, strict=True):
        alone = PackedRun(weights(library), row.unsqueeze(0), torch.tensor([1])).values
        assert torch.equal(alone[0], expected)


def test_parameters_that_change_before_the_way_back_are_refused() -> None:
    library = Library(5, 6, 3, torch.float32, 1.0, seed=1)
    run = PackedRun(weights(library), torch.ones(2, 5), torch.tensor([2]))
    with torch.no_grad():
        library.fc2.weight.zero_()
    with pytest.raises(RuntimeError, match="parameters have changed since it was run"):
        run.gradient(torch.ones(2, 3))
