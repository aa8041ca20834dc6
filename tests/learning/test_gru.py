"""The hand-written GRU computes what nn.GRU computes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from learning.gru import packed_gru


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_values_and_gradients_agree_with_the_library(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    library = nn.GRU(3, 4).double()
    with torch.no_grad():
        for weight in library.parameters():
            weight.normal_(generator=generator)
    lengths = sorted(lengths, reverse=True)
    shape = (lengths[0], len(lengths), 3)
    inputs = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    packed = pack_padded_sequence(inputs, torch.tensor(lengths))
    parameters = [inputs, *library.parameters()]
    upstream = torch.randn(len(packed.data), 4, dtype=torch.float64, generator=generator)

    def run(hidden: Tensor) -> list[Tensor]:
        return [hidden, *torch.autograd.grad(hidden, parameters, upstream, retain_graph=True)]

    ours = run(packed_gru(packed.data, packed.batch_sizes, *library.all_weights[0]))
    theirs = run(library(packed)[0].data)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_single_precision_is_near_the_librarys_double_precision_with_saturated_gates_too() -> None:
    generator = torch.Generator().manual_seed(0)
    library = nn.GRU(8, 8)
    with torch.no_grad():
        for weight in library.parameters():
            weight.normal_(std=4.0, generator=generator)
    sizes = torch.tensor([3, 3, 2, 1])
    inputs = torch.randn(9, 8, generator=generator)
    found = packed_gru(inputs, sizes, *library.all_weights[0])
    expected = library.double()(PackedSequence(inputs.double(), sizes))[0].data
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)
    assert found.abs().max() > 0.999
