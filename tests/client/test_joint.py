"""Joint mixing end to end: split over agents and arena it is QMIX and VDN, to the last target update and clipped norm.

The reference is plain single-process QMIX with a network for every agent, or one for all (centralised training),
written straight down with PyTorch's own layers; of the project's code it shares only the battles that were played and
the initial weights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, one_hot

from client.agent import Agent
from learning.mixer import MonotoneMixer
from learning.packing import Packing
from learning.settings import Base, LearningSettings
from tests.client.joint_team import RATE, SEED, N, Told, agents, learning, order, play


class Network(nn.Module):
    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        super().__init__()
        hidden, size = tensors["fc1.weight"].shape
        self.fc1 = nn.Linear(size, hidden)
        self.rnn = nn.GRU(hidden, hidden)
        self.fc2 = nn.Linear(hidden, tensors["fc2.weight"].shape[0])
        loaded = {name.replace("ih", "ih_l0").replace("hh", "hh_l0"): torch.tensor(t) for name, t in tensors.items()}
        self.load_state_dict(loaded)

    def forward(self, inputs: Tensor) -> Tensor:
        values: Tensor = self.fc2(self.rnn(torch.relu(self.fc1(inputs)))[0])
        return values


class Qmix(nn.Module):
    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.hyper_w1, self.hyper_b1 = nn.Linear(state_size, N * 32), nn.Linear(state_size, 32)
        self.hyper_w2 = nn.Linear(state_size, 32)
        self.hyper_b2 = nn.Sequential(nn.Linear(state_size, 64), nn.ReLU(), nn.Linear(64, 1))
        initial = MonotoneMixer(N, state_size, generator=torch.Generator().manual_seed(SEED))
        self.load_state_dict(initial.state_dict())

    def forward(self, utilities: Tensor, states: Tensor) -> Tensor:
        w1 = self.hyper_w1(states).abs().view(*states.shape[:2], N, 32)
        hidden = elu(utilities.unsqueeze(-2) @ w1 + self.hyper_b1(states).unsqueeze(-2))
        q_tot = hidden @ self.hyper_w2(states).abs().unsqueeze(-1)
        total: Tensor = (q_tot.squeeze(-1) + self.hyper_b2(states).unsqueeze(-2).squeeze(-1)).squeeze(-1)
        return total


class Vdn(nn.Module):
    def forward(self, utilities: Tensor, states: Tensor) -> Tensor:
        return utilities.sum(-1)


def plain(
    networks: list[Network],
    mixer: nn.Module,
    team: Sequence[Agent],
    batches: list[list[int]],
    rates: list[float],
    told: LearningSettings,
) -> tuple[list[Network], list[float]]:
    """Train on these batches at these rates; return the networks (N, or N times one), and every gradient's norm."""
    target_networks, target_mixer = copy.deepcopy(networks), copy.deepcopy(mixer)
    parameters = list(dict.fromkeys(p for module in [*networks, mixer] for p in module.parameters()))
    optimiser = torch.optim.Adam(parameters, lr=1.0)
    norms = []
    for number, (ids, rate) in enumerate(zip(batches, rates, strict=True), start=1):
        chosen, bootstrap, seen = [], [], []
        for seat, agent in enumerate(team):
            batch = agent.buffer.select(np.array(ids, np.uint64))
            assert batch is not None
            steps, battles = batch.actions.shape
            moments = Packing.of(batch.lengths + 1)
            observations = moments.unpack(batch.inputs)[..., : -3 - N]
            available = moments.unpack(batch.available)
            last = torch.cat([torch.zeros(1, battles, 3), one_hot(batch.actions, 3)])
            number_of = torch.eye(N)[seat].expand(steps + 1, battles, N)
            inputs = torch.cat([observations, last, number_of], -1)
            q = networks[seat](inputs)
            with torch.no_grad():
                best = q[1:].masked_fill(~available[1:], -1e9).argmax(-1, keepdim=True)
                bootstrap.append(target_networks[seat](inputs)[1:].gather(-1, best).squeeze(-1))
            chosen.append(q[:-1].gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1))
            seen.append(observations)
        states = torch.cat(seen, -1)
        q_tot = mixer(torch.stack(chosen, -1), states[:-1])
        with torch.no_grad():
            next_tot = target_mixer(torch.stack(bootstrap, -1), states[1:])
        loss, count = torch.zeros(()), 0
        assert batch is not None
        for column, length in enumerate(batch.lengths.tolist()):
            future = 0.0 if batch.terminated[column] else next_tot[length - 1, column]
            for step in reversed(range(length)):
                y = batch.rewards[step, column] + told.gamma * future
                loss = loss + (y - q_tot[step, column]) ** 2
                count += 1
                future = (1 - told.td_lambda) * next_tot[step - 1, column] + told.td_lambda * y
        optimiser.zero_grad()
        (loss / count).backward()  # type: ignore[no-untyped-call]
        norms.append(float(nn.utils.clip_grad_norm_(parameters, told.grad_clip)))
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
        if number % told.target_update_every == 0:
            target_networks, target_mixer = copy.deepcopy(networks), copy.deepcopy(mixer)
    return networks, norms


@pytest.mark.parametrize("base", ["vdn", "qmix"])
@pytest.mark.parametrize("centralised", [False, True])
def test_twenty_joint_steps_are_those_of_plain_qmix(tmp_path: Path, base: Base, centralised: bool) -> None:
    arena, told = Told(), learning(base, centralised=centralised)
    team = agents(tmp_path, arena, base, centralised=centralised)
    networks = [Network(agent.learner.tensors()) for agent in team]
    if centralised:
        networks = networks[:1] * N
    else:
        assert (networks[0].fc2.weight != networks[1].fc2.weight).any()
    # two rounds, the second at a rate of its own: 10 training steps each
    reports = play(arena, team, order(base, 13, centralised=centralised))
    later = play(arena, team, order(base, 10, round_=2, rate=RATE / 4, centralised=centralised))

    assert [report.training_steps for report in reports + later] == [10] * 2 * N
    played = team[0].buffer.select(team[0].buffer.ids())
    assert played is not None
    assert len(set(played.lengths.tolist())) > 2  # there is padding
    assert 0 < played.terminated.sum() < len(played.terminated)  # and some battles are cut
    mixer = Vdn() if base == "vdn" else Qmix(arena.spec.state_size)
    rates = [RATE] * 10 + [RATE / 4] * 10
    trained, norms = plain(networks, mixer, team, [arena.batches[step] for step in range(1, 21)], rates, told)
    assert any(norm > told.grad_clip for norm in norms)
    assert any(norm < told.grad_clip for norm in norms)
    for seat, network in enumerate(trained):
        expected = list(network.state_dict().values())
        for (name, tensor), other in zip(team[seat].learner.tensors().items(), expected, strict=True):
            np.testing.assert_allclose(tensor, other.numpy(), rtol=0, atol=1e-5, err_msg=f"seat {seat}, {name}")
    for first, second in zip(reports, later, strict=True):
        assert [m.grad_norm for m in first.train_metrics + second.train_metrics] == pytest.approx(norms, rel=1e-3)
