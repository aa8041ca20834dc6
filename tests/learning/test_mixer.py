"""The monotone mixer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.mixer import MonotoneMixer, solo_mixer


def mixer(utilities: int, seed: int = 0) -> MonotoneMixer:
    return MonotoneMixer(utilities, 5, generator=torch.Generator().manual_seed(seed))


@given(
    agents=st.integers(1, 4),
    raised=st.integers(0, 3),
    by=st.floats(0, 100),
    scale=st.floats(0, 100),
    seed=st.integers(0, 1000),
)
def test_q_tot_never_falls_when_a_utility_rises(agents: int, raised: int, by: float, scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    utilities = scale * torch.randn(3, 2, agents, generator=generator)
    condition = scale * torch.randn(3, 2, 5, generator=generator)
    higher = utilities.clone()
    higher[..., raised % agents] += by
    mix = mixer(agents, seed)
    before, after = mix(utilities, condition), mix(higher, condition)
    assert before.shape == (3, 2)
    assert (after >= before - 1e-5 * before.abs().clamp(min=1)).all()


def test_every_utility_counts_even_when_nothing_is_seen() -> None:
    utilities = torch.zeros(1, 1, 3, requires_grad=True)
    mixer(3)(utilities, torch.zeros(1, 1, 5)).sum().backward()
    assert utilities.grad is not None
    assert (utilities.grad > 0).all()


def test_sizes_of_the_hyper_networks() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in mixer(3).named_parameters()}
    assert shapes == {
        "hyper_w1.weight": (96, 5),
        "hyper_w1.bias": (96,),
        "hyper_b1.weight": (32, 5),
        "hyper_b1.bias": (32,),
        "hyper_w2.weight": (32, 5),
        "hyper_w2.bias": (32,),
        "hyper_b2.0.weight": (64, 5),
        "hyper_b2.0.bias": (64,),
        "hyper_b2.2.weight": (1, 64),
        "hyper_b2.2.bias": (1,),
    }


def test_q_tot_by_hand() -> None:
    mix = MonotoneMixer(2, 1, embed=1, hypernet_hidden=1, generator=torch.Generator())
    values = {
        "hyper_w1.weight": [[-1.0], [2.0]],  # |.| gives 1 and 2 for condition 1
        "hyper_w1.bias": [0.0, 0.0],
        "hyper_b1.weight": [[0.5]],
        "hyper_b1.bias": [0.0],
        "hyper_w2.weight": [[-3.0]],
        "hyper_w2.bias": [0.0],
        "hyper_b2.0.weight": [[4.0]],
        "hyper_b2.0.bias": [0.0],
        "hyper_b2.2.weight": [[0.25]],
        "hyper_b2.2.bias": [-1.0],
    }
    mix.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    # 3 elu(1 * 10 + 2 * 20 + 0.5) + 0.25 * relu(4) - 1
    assert mix(torch.tensor([[[10.0, 20.0]]]), torch.ones(1, 1, 1)).item() == 151.5


def test_initialisation_is_seeded_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first = mixer(2, seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert all(torch.equal(tensor, first[name]) for name, tensor in mixer(2, seed=1).state_dict().items())


@pytest.mark.parametrize("size", [3, 30, 250])  # of observations: a toy's, 3m's, 27m_vs_30m's
def test_a_solo_mixer_begins_close_to_the_utility_itself(size: int) -> None:
    mix = solo_mixer(size, generator=torch.Generator().manual_seed(0))
    seen = torch.rand(50, 1, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    seen[0] = 0.0  # of the dead
    utilities = torch.linspace(0, 20, 50).reshape(50, 1, 1).requires_grad_()
    q_tot = mix(utilities, seen)
    q_tot.sum().backward()
    torch.testing.assert_close(q_tot, utilities.squeeze(-1), rtol=0.15, atol=0.05)
    assert utilities.grad is not None
    assert ((utilities.grad > 0.85) & (utilities.grad < 1.15)).all()


def test_a_solo_mixers_embedded_units_differ() -> None:
    mix = solo_mixer(5, generator=torch.Generator().manual_seed(0))
    weights = mix.hyper_w1(torch.ones(5))
    assert len(weights.unique()) == 32
