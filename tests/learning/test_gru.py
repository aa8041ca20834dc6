"""The hand-written GRU computes what nn.GRU computes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from learning import gru
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

    ours = run(packed_gru(packed, *library.all_weights[0]).data)
    theirs = run(library(packed)[0].data)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_loops_of_python_compute_the_same_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what runs where the tensors are not the CPU's."""
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(*shape, generator=generator, requires_grad=True) for shape in ((12, 3), (12, 4), (12,), (12,))
    ]
    packed = pack_padded_sequence(torch.randn(6, 3, 3, generator=generator), torch.tensor([6, 4, 1]))

    def run() -> list[Tensor]:
        hidden = packed_gru(packed, *weights).data
        return [hidden, *torch.autograd.grad(hidden.square().sum(), weights)]

    scripted = [run() for _ in range(3)]  # TorchScript watches the first runs and then does them again
    monkeypatch.setattr(gru, "_forward_on_cpu", gru._forward)
    monkeypatch.setattr(gru, "_backward_on_cpu", gru._backward)
    for found in scripted:
        assert all(map(torch.equal, found, run()))
