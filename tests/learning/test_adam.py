"""Adam, beside PyTorch's."""

import pytest
import torch

from learning.adam import adam_step


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_steps_are_those_of_pytorch(dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(50, generator=generator, dtype=dtype)
    ours, theirs = start.clone(), start.clone().requires_grad_()
    moments = torch.zeros(2, 50, dtype=dtype)
    optimiser = torch.optim.Adam([theirs], lr=0.01)
    for step in range(1, 30):
        gradient = torch.randn(50, generator=generator, dtype=dtype)
        adam_step(ours, gradient, moments[0], moments[1], step=step, rate=0.01, scale=0.25)
        theirs.grad = 0.25 * gradient
        optimiser.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=tolerance, atol=tolerance)
    assert (ours - start).abs().min() > 0
