"""An agent that is kept and taken up again is the agent that was never stopped; over the real arena."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.agent import Agent
from client.device import DeviceDirectory, DeviceError
from client.plan import RoundOrder
from client.play import Round, RoundReport, StrangePhaseError, advance, play_round
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.protocol import Phase, PhaseKind, RewardOrder, Seated, Standing
from learning.settings import LearningSettings, SeatSpec
from pps_qmix.runtime.lockstep import play_in_lockstep
from tests.envproxy.drill import mix_order
from tests.learning.toy import settings

E = 2
TINY: LearningSettings = settings(
    hidden=8, batch_size=3, buffer_size=12, target_update_every=4, epsilon_steps=300, reward_buffer=5, base="qmix"
)
ORDER = RoundOrder(
    seed=5, round=1, steps_before=0, total_steps=10**6, battles=5, evaluate_every=150, evaluate_battles=2,
    learning_rate=5e-4,
)  # fmt: skip


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(create_backend("skirmish", "3m", E))
    yield made
    made.close()


def agents(home: Path, arena: Arena, run_id: str = "id", learning: LearningSettings = TINY) -> list[Agent]:
    """The agents of all seats, taken up from `home` where they were kept there."""
    made = []
    for seat in range(arena.spec.n_agents):
        directory = DeviceDirectory(home, "run", run_id, seat)
        directory.make()
        made.append(Agent(spec_of(arena, seat), E, learning, seed=5, directory=directory))
    return made


def spec_of(arena: Arena, seat: int) -> SeatSpec:
    spec = arena.spec
    return SeatSpec(
        seat=seat,
        n_agents=spec.n_agents,
        obs_size=spec.obs_size,
        n_actions=spec.n_actions,
        episode_limit=spec.episode_limit,
    )


def play(arena: Arena, team: Sequence[Agent], round_: int, before: int) -> list[RoundReport]:
    order = dataclasses.replace(ORDER, round=round_, steps_before=before)
    return play_in_lockstep(arena, [play_round(agent, order) for agent in team])


def played(reports: Sequence[RoundReport]) -> int:
    return reports[0].standing.steps


def figures(reports: Sequence[RoundReport]) -> list[object]:
    """Everything a report says but how long it took."""
    return [dataclasses.replace(report, waiting=0.0, acting=0.0, learning=0.0) for report in reports]


def mind(agent: Agent) -> dict[str, object]:
    """All that an agent knows, as bytes."""
    tensors, counters = agent.learner.state()
    sample = agent.buffer.sample(np.random.default_rng(0), len(agent.buffer)) if len(agent.buffer) else None
    return {
        **{name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
        **counters,
        "rewards": agent.rewards.to_list(),
        "buffer": len(agent.buffer),
        "lengths": sample.lengths.tolist() if sample else [],
        "rewarded": sample.rewards[0].tolist() if sample else [],
        "round": agent.round,
    }


def test_kept_and_taken_up_after_every_round_is_the_same_as_never_stopped(tmp_path: Path, arena: Arena) -> None:
    whole = agents(tmp_path / "whole", arena)
    steps, reports, minds = 0, [], []
    for round_ in (1, 2, 3, 4):
        reports.append(play(arena, whole, round_, steps))
        steps += played(reports[-1])
        for agent in whole:
            agent.keep(round_)
        minds.append([mind(agent) for agent in whole])
    assert whole[0].learner.steps > 8  # targets were copied, the ring has gone round
    assert len(whole[0].buffer) == TINY.buffer_size
    assert any(report.evaluations for round_reports in reports for report in round_reports)

    other = Arena(create_backend("skirmish", "3m", E))
    steps = 0
    for round_ in (1, 2, 3, 4):
        team = agents(tmp_path / "stopped", other)
        assert [agent.resumed for agent in team] == [round_ > 1] * 3
        assert [agent.round for agent in team] == [round_ - 1] * 3
        again = play(other, team, round_, steps)
        steps += played(again)
        for agent in team:
            agent.keep(round_)
        assert figures(again) == figures(reports[round_ - 1])
        assert [mind(agent) for agent in team] == minds[round_ - 1]
    other.close()


def test_a_killed_agent_begins_where_the_last_round_ended(tmp_path: Path, arena: Arena) -> None:
    team = agents(tmp_path, arena)
    steps = played(play(arena, team, 1, 0))
    for agent in team:
        agent.keep(1)
    kept = [mind(agent) for agent in team]
    play(arena, team, 2, steps)  # and then it is killed: nothing of round 2 is kept
    assert mind(team[0]) != kept[0]
    assert [mind(agent) for agent in agents(tmp_path, arena)] == kept


def test_runs_of_one_name_have_each_their_own_and_none_harms_another_s(tmp_path: Path, arena: Arena) -> None:
    new = [mind(agent) for agent in agents(tmp_path / "new", arena)]
    team = agents(tmp_path / "old", arena)
    steps = played(play(arena, team, 1, 0))
    for agent in team:
        agent.keep(1)
    kept = [mind(agent) for agent in team]
    other = agents(tmp_path / "old", arena, run_id="another", learning=dataclasses.replace(TINY, buffer_size=20))
    assert [agent.resumed for agent in other] == [False] * 3
    assert [mind(agent) for agent in agents(tmp_path / "old", arena, run_id="third")] == new
    play(arena, other, 1, steps)
    for agent in other:
        agent.keep(1)
    assert [mind(agent) for agent in agents(tmp_path / "old", arena)] == kept


def test_a_state_that_was_copied_from_another_run_is_refused_and_stays(tmp_path: Path, arena: Arena) -> None:
    for agent in agents(tmp_path, arena):
        agent.keep(1)
    (tmp_path / "run" / "id").rename(tmp_path / "run" / "another")
    with pytest.raises(DeviceError, match=r"another/seat-0 holds the state of another run; remove the folder"):
        agents(tmp_path, arena, run_id="another")
    assert (tmp_path / "run" / "another" / "seat-0" / "agent.json").exists()


def test_a_buffer_of_a_run_that_finished_no_round_is_discarded(tmp_path: Path, arena: Arena) -> None:
    """A run was stopped in its first round and begins again with other settings, so its id was given twice."""
    play(arena, agents(tmp_path, arena), 1, 0)
    (first, *_) = agents(tmp_path, arena, learning=dataclasses.replace(TINY, buffer_size=20))
    assert len(first.buffer) == 0
    assert not first.resumed


@pytest.mark.parametrize("change", [{"hidden": 16}, {"buffer_size": 20}, {"base": "vdn"}])
def test_other_sizes_in_the_same_run_are_refused(tmp_path: Path, arena: Arena, change: dict[str, object]) -> None:
    for agent in agents(tmp_path, arena):
        agent.keep(1)
    with pytest.raises(DeviceError, match=r"cannot resume from .*seat-0: .*; remove the folder to begin afresh"):
        agents(tmp_path, arena, learning=settings(**{**dataclasses.asdict(TINY), **change}))


def test_a_state_that_lacks_something_is_refused(tmp_path: Path, arena: Arena) -> None:
    directory = DeviceDirectory(tmp_path, "run", "id", 0)
    directory.make()
    directory.save({"online.fc1.bias": np.zeros(8, np.float32)}, {"run": "id", "round": 1})
    with pytest.raises(DeviceError, match=r"seat-0 is damaged \(KeyError.*; remove the folder to begin afresh"):
        agents(tmp_path, arena)


def test_other_settings_of_the_same_sizes_are_told(
    tmp_path: Path, arena: Arena, caplog: pytest.LogCaptureFixture
) -> None:
    for agent in agents(tmp_path, arena):
        agent.keep(1)
    agents(tmp_path, arena, learning=dataclasses.replace(TINY, gamma=0.9, learning_rate=0.5))
    assert "settings differ from those the agent was kept with: learning_rate, gamma" in caplog.text


def test_the_first_weights_are_the_targets_too(tmp_path: Path, arena: Arena) -> None:
    (agent, *_) = agents(tmp_path, arena)
    agent.adopt({"fc2.bias": np.full(arena.spec.n_actions, 3.0, np.float32)})
    state, _ = agent.learner.state()
    assert state["online.fc2.bias"].tolist() == state["target.fc2.bias"].tolist() == [3.0] * arena.spec.n_actions
    with pytest.raises(ValueError, match=r"unknown tensor 'fc3.bias'"):
        agent.adopt({"fc3.bias": np.zeros(1, np.float32)})


def test_training_steps_are_owed_by_battles(tmp_path: Path, arena: Arena) -> None:
    """Half a step a battle; none before the buffer holds a batch, and what was owed until then is not made up for."""
    team = agents(tmp_path, arena, learning=dataclasses.replace(TINY, train_per_battle=0.5))
    reports = play(arena, team, 1, 0)
    # battles 1..5 owe a step after 2 and 4; after 2 there is no batch of 3 yet
    assert [report.battles for report in reports] == [5] * 3
    assert [report.training_steps for report in reports] == [1] * 3


# --- what the arena plays is what the server has ordered ------------------------------------------------------


def begun(agent: Agent) -> tuple[Round, Phase]:
    """A round and what it proposes first."""
    round_ = play_round(agent, dataclasses.replace(ORDER, number=7))
    proposed = advance(round_, None)
    assert isinstance(proposed, Phase)
    return round_, proposed


@pytest.mark.parametrize(
    "lie",
    [
        {"seed": 6},
        {"round": 2},
        {"kind": PhaseKind.EVALUATE},
        {"battles": 10**6},
        {"steps": 0},
        {"mixing": mix_order()},
        {"standing": Standing(index=1, battles=4, steps=90)},  # from there on one battle is left to play
        {"standing": Standing(index=2**12 - 2, battles=2**30, steps=2**40, evaluations=10**9)},
    ],
)
def test_an_agent_does_not_play_what_another_seat_made_up(lie: dict[str, Any], tmp_path: Path, arena: Arena) -> None:
    agent = agents(tmp_path, arena)[0]
    before = mind(agent)
    round_, proposed = begun(agent)
    with pytest.raises(StrangePhaseError, match="the arena plays what the server has not ordered"):
        advance(round_, Seated(dataclasses.replace(proposed, **lie)))
    assert mind(agent) == before


def test_a_seat_may_continue_where_the_others_are_with_an_older_order(tmp_path: Path, arena: Arena) -> None:
    agent = agents(tmp_path, arena)[0]
    further = Standing(index=1, battles=4, steps=90)
    for changes in (
        {"seats": frozenset([0, 2]), "rewards": RewardOrder("id", 5, "team")},
        {"order": 6},
        {"standing": further, "battles": 1, "steps": 60},
    ):
        round_, proposed = begun(agent)
        assert advance(round_, Seated(dataclasses.replace(proposed, **changes))) is None
