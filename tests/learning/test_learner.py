"""The learner: what it learns, exchanges and keeps."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import linear

from learning.batch import Batch
from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.learner import Learner
from learning.mixer import MonotoneMixer
from learning.packing import Packing
from learning.settings import Base, SeatSpec
from tests.learning.toy import SPEC, batch_of, random_battle, settings

BASES: list[Base] = ["vdn", "qmix"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def batches(count: int, seed: int = 0) -> list[Batch]:
    rng = np.random.default_rng(seed)
    buffer = BattleBuffer(None, 12, SPEC)
    for _ in range(12):
        buffer.add(random_battle(rng))
    return [buffer.sample(rng, 4) for _ in range(count)]


def same(a: Learner, b: Learner) -> bool:
    (left, left_counters), (right, right_counters) = a.state(), b.state()
    return (
        left_counters == right_counters
        and left.keys() == right.keys()
        and all(torch.equal(tensor, right[name]) for name, tensor in left.items())
    )


# A corridor of two steps. From "start" action 1 leads to "low" for nothing, action 2 to "high" for 1; there action 1
# and 2 end the battle for 0 and 5 ("low") or for 1 and 0 ("high"). With gamma 0.5 waiting pays: the exact values are
CORRIDOR = SeatSpec(seat=0, n_agents=1, obs_size=3, n_actions=3, episode_limit=2)
START, LOW, HIGH = np.eye(3, dtype=np.float32)
EXACT = {(1, 1): [2.5, 0.0], (1, 2): [2.5, 5.0], (2, 1): [1.5, 1.0], (2, 2): [1.5, 0.0]}


def corridor(first: int, second: int) -> Battle:
    rewards = {(1, 1): [0, 0], (1, 2): [0, 5], (2, 1): [1, 1], (2, 2): [1, 0]}[first, second]
    return Battle(
        observations=np.stack([START, LOW if first == 1 else HIGH, np.zeros(3, np.float32)]),
        available=np.array([[False, True, True]] * 2 + [[True, False, False]]),
        actions=np.array([first, second], np.uint8),
        rewards=np.array(rewards, np.float32),
        terminated=True,
    )


def corridor_batch() -> Batch:
    return batch_of(*(corridor(*path) for path in EXACT), spec=CORRIDOR)


def corridor_values(learner: Learner, path: tuple[int, int]) -> list[torch.Tensor]:
    """What the agent's network makes of all actions at "start" and, by the path's first action, at "low" or "high"."""
    values, last, steps = [], np.zeros(3), learner.network.stepwise(1)
    for state, action in zip(corridor(*path).observations, path, strict=False):
        steps.inputs[0] = np.concatenate([state, last, np.ones(1)])
        values.append(torch.tensor(steps.step()[0]))
        last = np.eye(3)[action]
    return values


def test_vdn_learns_the_exact_values_of_the_corridor() -> None:
    learner = Learner(CORRIDOR, settings(target_update_every=10), seed=0)
    batch = corridor_batch()
    for _ in range(400):
        learner.train(batch)
    for path, exact in EXACT.items():
        for q, action, value in zip(corridor_values(learner, path), path, exact, strict=True):
            assert q[action].item() == pytest.approx(value, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_utility_that_solo_qmix_teaches(seed: int) -> None:
    # And not the mixer alone: the actions' utilities are nearly as far apart as their values are.
    learner = Learner(CORRIDOR, settings(base="qmix", target_update_every=10), seed=seed)
    batch = corridor_batch()
    for _ in range(100):
        learner.train(batch)
    start, low = corridor_values(learner, (1, 1))
    _, high = corridor_values(learner, (2, 1))
    assert start[1] - start[2] > 0.6 * (2.5 - 1.5)
    assert low[2] - low[1] > 0.6 * (5.0 - 0.0)
    assert high[1] - high[2] > 0.6 * (1.0 - 0.0)


def test_solo_qmix_begins_where_vdn_begins() -> None:
    (batch,) = batches(1)
    vdn, qmix = (Learner(SPEC, settings(base=base), seed=0) for base in BASES)
    first, mixed = vdn.train(batch), qmix.train(batch)
    assert mixed.loss == pytest.approx(first.loss, rel=0.1)
    expected, found = vdn.state()[0], qmix.state()[0]
    for name in vdn.tensors():  # Adam's first moments: the gradients into the network
        gradient, other = expected[f"adam.exp_avg.{name}"], found[f"adam.exp_avg.{name}"]
        assert (other - gradient).norm() < 0.25 * gradient.norm()


@pytest.mark.parametrize("base", BASES)
def test_the_corridors_joint_values_are_a_fixed_point(base: Base) -> None:
    learner = Learner(CORRIDOR, settings(base=base, target_update_every=10), seed=0)
    batch = corridor_batch()
    for _ in range(400):
        metrics = learner.train(batch)
    assert metrics.td_error_abs < 0.02
    assert metrics.q_mean == pytest.approx(np.mean(list(EXACT.values())), abs=0.02)


@pytest.mark.parametrize("base", BASES)
def test_seed_and_data_decide_every_bit(base: Base) -> None:
    first = Learner(SPEC, settings(base=base), seed=5)
    for batch in batches(4):
        first.train(batch)
    torch.manual_seed(77)
    second = Learner(SPEC, settings(base=base), seed=5)
    for batch in batches(4):
        second.train(batch)
    assert same(first, second)
    assert not same(first, Learner(SPEC, settings(base=base), seed=6))


@pytest.mark.parametrize("base", BASES)
def test_the_learning_rate_that_is_set_is_that_of_the_next_steps(base: Base) -> None:
    first, second = batches(2)
    told, changed = (
        Learner(SPEC, settings(base=base, learning_rate=3e-3), seed=5),
        Learner(SPEC, settings(base=base), seed=5),
    )
    changed.set_learning_rate(3e-3)
    for learner in (told, changed):
        learner.train(first)
    assert same(told, changed)
    changed.set_learning_rate(0.0)
    before = changed.tensors()
    changed.train(second)
    assert all((tensor == before[name]).all() for name, tensor in changed.tensors().items())


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("before", [0, 2])  # 0: a learner that has never trained; 2: between two target copies
def test_resuming_equals_never_stopping(base: Base, before: int, tmp_path: Path) -> None:
    data = batches(before + 3)
    uninterrupted = Learner(SPEC, settings(base=base), seed=1)
    for batch in data[:before]:
        uninterrupted.train(batch)
    tensors, counters = uninterrupted.state()
    save_file(tensors, tmp_path / "agent.safetensors")
    resumed = Learner(SPEC, settings(base=base), seed=2)
    resumed.train(data[0])
    resumed.restore(load_file(tmp_path / "agent.safetensors"), counters)
    assert same(uninterrupted, resumed)
    for batch in data[before:]:
        assert uninterrupted.train(batch) == resumed.train(batch)
    assert same(uninterrupted, resumed)
    assert resumed.steps == before + 3


def test_restore_refuses_another_learners_state_and_changes_nothing() -> None:
    learner, untouched = Learner(SPEC, settings(), seed=0), Learner(SPEC, settings(), seed=0)
    tensors, counters = Learner(SPEC, settings(hidden=8), seed=1).state()
    with pytest.raises(ValueError, match=r"online.fc1.weight is \(8, 9\), expected \(16, 9\)"):
        learner.restore(tensors, counters)
    tensors, counters = Learner(SPEC, settings(base="qmix"), seed=1).state()
    with pytest.raises(ValueError, match=r"online.mixer.hyper_w1.weight .* expected no such tensor"):
        learner.restore(tensors, counters)
    assert same(learner, untouched)


def test_exchanged_tensors_are_named_ordered_and_copies() -> None:
    learner = Learner(SPEC, settings(base="qmix"), seed=0)
    tensors = learner.tensors()
    assert list(tensors)[:8] == [
        *("fc1.weight", "fc1.bias", "rnn.weight_ih", "rnn.weight_hh", "rnn.bias_ih", "rnn.bias_hh"),
        *("fc2.weight", "fc2.bias"),
    ]
    assert all(name.startswith("mixer.") for name in list(tensors)[8:])
    assert len(tensors) == 18
    tensors["fc1.weight"][:] = 0.0
    assert learner.tensors()["fc1.weight"].any()
    assert len(Learner(SPEC, settings(base="vdn"), seed=0).tensors()) == 8


def test_loading_changes_the_named_online_tensors_only() -> None:
    learner = Learner(SPEC, settings(), seed=0)
    for batch in batches(2):
        learner.train(batch)
    before, _ = learner.state()
    new = np.full((4, 16), 0.5)  # float64, as the strategies aggregate
    learner.load({"fc2.weight": new})
    after, _ = learner.state()
    changed = [name for name, tensor in after.items() if not torch.equal(tensor, before[name])]
    assert changed == ["online.fc2.weight"]
    np.testing.assert_array_equal(learner.tensors()["fc2.weight"], new)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("fc3.weight", (4, 16), "unknown tensor 'fc3.weight', expected some of: fc1.weight"),
        ("mixer.hyper_w1.bias", (32,), "unknown tensor 'mixer.hyper_w1.bias'"),
        ("fc2.weight", (4, 8), r"'fc2.weight' is of shape \(4, 8\), expected \(4, 16\)"),
    ],
)
def test_loading_refuses_what_does_not_fit_and_changes_nothing(name: str, shape: tuple[int, ...], message: str) -> None:
    learner, untouched = Learner(SPEC, settings(), seed=0), Learner(SPEC, settings(), seed=0)
    with pytest.raises(ValueError, match=message):
        learner.load({"fc2.bias": np.ones(4, np.float32), name: np.ones(shape, np.float32)})
    assert same(learner, untouched)


@pytest.mark.parametrize("base", BASES)
def test_targets_follow_every_so_many_steps(base: Base) -> None:
    learner = Learner(SPEC, settings(base=base, target_update_every=3), seed=0)
    following = []
    for batch in batches(6):
        learner.train(batch)
        tensors, _ = learner.state()
        online = [name for name in tensors if name.startswith("online.")]
        following.append(all(torch.equal(tensors[n], tensors["target." + n[7:]]) for n in online))
    assert following == [False, False, True, False, False, True]


@pytest.mark.parametrize("base", BASES)
def test_padding_teaches_nothing(base: Base) -> None:
    (batch,) = batches(1)
    beyond = torch.arange(len(batch.actions)).unsqueeze(1) >= batch.lengths
    scribbled = copy.deepcopy(batch)
    scribbled.actions[beyond] = 2
    scribbled.rewards[beyond] = 100.0
    assert beyond.any()
    clean, dirty = (Learner(SPEC, settings(base=base), seed=0) for _ in range(2))
    assert clean.train(batch) == dirty.train(scribbled)
    assert same(clean, dirty)


def test_steps_after_death_are_learned() -> None:
    # One battle, dead from the second step on: its no-op must come to be worth the rewards that still arrive.
    dead = np.array([[False, True, True, True], *[[True, False, False, False]] * 3])
    battle = Battle(
        observations=np.zeros((4, 3), np.float32),
        available=dead,
        actions=np.array([1, 0, 0], np.uint8),
        rewards=np.array([0, 0, 4], np.float32),
        terminated=True,
    )
    learner = Learner(SPEC, settings(target_update_every=10), seed=0)
    for _ in range(400):
        metrics = learner.train(batch_of(battle))
    assert metrics.q_mean == pytest.approx((1 + 2 + 4) / 3, abs=0.02)


@pytest.mark.parametrize("base", BASES)
def test_gradients_are_those_of_a_plain_implementation(base: Base) -> None:
    """On padded arrays, with the library's GRU and autograd alone, in float64."""
    learner = Learner(SPEC, settings(base=base, grad_clip=1e9), seed=0)
    learner.load(Learner(SPEC, settings(base=base), seed=1).tensors())  # the target network stays another
    before, _ = learner.state()
    (batch,) = batches(1)
    loss, online = plain_loss(before, batch, base)
    loss.backward()  # type: ignore[no-untyped-call]
    metrics = learner.train(batch)
    after, _ = learner.state()
    assert metrics.loss == pytest.approx(loss.item(), rel=1e-6)
    assert {name for name in after if name.startswith("adam.exp_avg.")} == {f"adam.exp_avg.{name}" for name in online}
    for name, parameter in online.items():
        assert parameter.grad is not None
        gradient = after[f"adam.exp_avg.{name}"].double() / 0.1  # Adam's first moment: (1 - 0.9) of the gradient
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-5, atol=1e-6)


def plain_loss(state: dict[str, Tensor], batch: Batch, base: Base) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss as the formulas have it, and the online parameters that it depends on."""
    moments = Packing.of(batch.lengths + 1)
    inputs, available = moments.unpack(batch.inputs).double(), moments.unpack(batch.available)
    parts = {
        part: {name.removeprefix(part): t.double() for name, t in state.items() if name.startswith(part)}
        for part in ("online.", "target.")
    }
    online, target = parts["online."], parts["target."]
    for tensor in online.values():
        tensor.requires_grad_()
    q, target_q = (plain_q(tensors, inputs) for tensors in (online, target))
    best = q.masked_fill(~available, -torch.inf)[1:].argmax(-1, keepdim=True)
    values = q[:-1].gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1)
    following = target_q[1:].gather(-1, best).squeeze(-1)
    if base == "qmix":
        seen = inputs[..., : SPEC.obs_size]
        values, following = plain_mix(online, values, seen[:-1]), plain_mix(target, following, seen[1:])
    steps = torch.arange(len(batch.actions)).unsqueeze(1)
    future = ~((steps == batch.lengths - 1) & batch.terminated)
    errors = values - (batch.rewards + settings().gamma * following * future).detach()
    return errors[steps < batch.lengths].square().mean(), online


def plain_q(tensors: dict[str, Tensor], inputs: Tensor) -> Tensor:
    features = linear(inputs, tensors["fc1.weight"], tensors["fc1.bias"]).relu()
    hidden, states = torch.zeros(inputs.shape[1], 16, dtype=torch.float64), []
    gru = [tensors[f"rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    for now in features:
        hidden = torch.gru_cell(now, hidden, *gru)
        states.append(hidden)
    return linear(torch.stack(states), tensors["fc2.weight"], tensors["fc2.bias"])


def plain_mix(tensors: dict[str, Tensor], utilities: Tensor, seen: Tensor) -> Tensor:
    mixer = MonotoneMixer(1, SPEC.obs_size, generator=torch.Generator())
    own = {name.removeprefix("mixer."): tensor for name, tensor in tensors.items() if name.startswith("mixer.")}
    mixed = torch.func.functional_call(mixer, own, (utilities.unsqueeze(-1), seen))
    assert isinstance(mixed, Tensor)
    return mixed


def test_gradients_are_clipped_by_their_global_norm() -> None:
    learner = Learner(SPEC, settings(grad_clip=1e-3), seed=0)
    metrics = learner.train(batches(1)[0])
    assert metrics.grad_norm > 1e-3  # reported as it was
    tensors, _ = learner.state()
    moments = [tensor for name, tensor in tensors.items() if name.startswith("adam.exp_avg.")]
    norm = torch.sqrt(sum((m.square().sum() for m in moments), torch.zeros(())))
    assert norm.item() == pytest.approx(0.1 * 1e-3, rel=1e-3)  # Adam's first moment: (1 - 0.9) of the gradient
