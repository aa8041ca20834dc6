"""Stacked GRUs compute what as many nn.GRU compute, each by itself."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from learning.stacked_gru import stacked_gru


@settings(max_examples=20)
@given(k=st.integers(1, 3), steps=st.integers(1, 6), n=st.integers(1, 4), seed=st.integers(0, 1000))
def test_values_and_gradients_agree_with_the_library(k: int, steps: int, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    libraries = [nn.GRU(3, 4).double() for _ in range(k)]
    for library in libraries:
        with torch.no_grad():
            for weight in library.parameters():
                weight.normal_(generator=generator)
    inputs = torch.randn(k, steps, n, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    upstream = torch.randn(k, steps, n, 4, dtype=torch.float64, generator=generator)
    alike = [library.all_weights[0] for library in libraries]
    weights = [torch.stack(each).detach().requires_grad_() for each in zip(*alike, strict=True)]

    ours = stacked_gru(inputs, *weights)
    found = [ours, *torch.autograd.grad(ours, [inputs, *weights], upstream)]
    expected = [_alone(*each) for each in zip(libraries, inputs, upstream, strict=True)]
    for one, of_each in zip(found, zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(one, torch.stack(of_each), rtol=1e-9, atol=1e-12)


def _alone(library: nn.GRU, inputs: Tensor, upstream: Tensor) -> list[Tensor]:
    """Hidden states, and the gradients of the inputs and the four weights."""
    inputs = inputs.detach().requires_grad_()
    hidden = library(inputs)[0]
    return [hidden, *torch.autograd.grad(hidden, [inputs, *library.all_weights[0]], upstream)]
