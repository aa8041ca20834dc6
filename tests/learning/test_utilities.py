"""Utilities of a batch: compiled and with PyTorch's operations."""

import numpy as np
import pytest
import torch

from learning.batch import Batch
from learning.network import AgentNetwork, RunOnDevice
from learning.packed_network import PackedRun
from learning.packing import Packing
from learning.utilities import Utilities, UtilitiesOnDevice
from tests.learning.toy import SPEC, batch_of, random_battle


def drawn() -> Batch:
    rng = np.random.default_rng(0)
    return batch_of(*(random_battle(rng, length) for length in (6, 3, 3, 1)))


def of(batch: Batch, kind: type[Utilities] | type[UtilitiesOnDevice]) -> Utilities | UtilitiesOnDevice:
    online, target = (
        AgentNetwork(SPEC.input_size, 16, SPEC.n_actions, torch.Generator().manual_seed(seed)) for seed in (0, 1)
    )
    values = target.values(batch.inputs, batch.sizes)
    if kind is UtilitiesOnDevice:
        return UtilitiesOnDevice(RunOnDevice(online, batch.inputs, batch.sizes), values, batch)
    run = online.run(batch.inputs, batch.sizes)
    assert isinstance(run, PackedRun)
    return Utilities(run, values, batch)


@pytest.mark.parametrize("kind", [Utilities, UtilitiesOnDevice])
def test_utilities_are_the_values_of_the_actions_taken_and_of_the_best_next_ones(
    kind: type[Utilities] | type[UtilitiesOnDevice],
) -> None:
    batch = drawn()
    found = of(batch, kind)
    moments = Packing.of(batch.lengths + 1)
    q, target_q = (
        moments.unpack(
            AgentNetwork(SPEC.input_size, 16, SPEC.n_actions, torch.Generator().manual_seed(seed))
            .run(batch.inputs, batch.sizes)
            .values
        )
        for seed in (0, 1)
    )
    available = moments.unpack(batch.available)
    for battle, length in enumerate(batch.lengths.tolist()):
        for step in range(length):
            open_actions = torch.nonzero(available[step + 1, battle]).flatten().tolist()
            best = max(open_actions, key=lambda action: float(q[step + 1, battle, action]))
            assert found.chosen[step, battle] == pytest.approx(
                q[step, battle, batch.actions[step, battle]].item(), abs=1e-5
            )
            assert found.best[step, battle] == pytest.approx(float(target_q[step + 1, battle, best]), abs=1e-5)
        assert not found.chosen[length:, battle].any()
        assert not found.best[length:, battle].any()


def test_gradients_are_those_of_pytorch() -> None:
    batch = drawn()
    slopes = torch.randn(batch.actions.shape, generator=torch.Generator().manual_seed(2))
    compiled, library = (of(batch, kind).gradient(slopes) for kind in (Utilities, UtilitiesOnDevice))
    torch.testing.assert_close(compiled, library, atol=1e-5, rtol=1e-4)


def test_where_nothing_is_available_the_best_is_the_value_of_action_0() -> None:
    batch = drawn()
    batch.available[:] = False
    compiled, library = (of(batch, kind).best for kind in (Utilities, UtilitiesOnDevice))
    torch.testing.assert_close(compiled, library)
    assert compiled.any()
