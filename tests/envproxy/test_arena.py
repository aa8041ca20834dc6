"""The arena's rules, without any transport: phases, slots, silent, late, coming and leaving seats."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.battle_loop import PhaseTotals
from envproxy.phases import MAX_PHASE_BATTLES, battle_id, battle_seed
from envproxy.protocol import (
    ACTION_NO_OP,
    ACTION_STOP,
    ArenaEvent,
    Ended,
    Phase,
    PhaseEnd,
    PhaseKind,
    Seated,
    Standing,
    Tick,
)
from envproxy.seats import GivenUpError, SeatError, StaleRoundError
from envproxy.votes import chosen
from tests.envproxy.drill import SALUTE, Drill, Driver, collect, drawn, evaluate, lengths

WON, LOST, CUT = Ended.TERMINATED | Ended.WON, Ended.TERMINATED, Ended.TRUNCATED


def drilled(phase: Phase, *each: int, battles: int = 2) -> Driver:
    """Three seats in a drill whose battles in `phase` last so many steps each; the phase is on."""
    return drilled_by(range(3), phase, *each, battles=battles)


def drilled_by(seats: Iterable[int], phase: Phase, *each: int, battles: int = 2) -> Driver:
    """As `drilled`, proposed by these of the three seats."""
    driver = Driver(Arena(Drill(battles, length_of=lengths(phase, *each))))
    driver.gather(phase, seats)
    return driver


def drill_of(driver: Driver) -> Drill:
    backend = driver.arena._backend
    assert isinstance(backend, Drill)
    return backend


# --- phases ---------------------------------------------------------------------------------------------------


def test_a_phase_begins_when_every_seat_has_proposed_it() -> None:
    driver = Driver(Arena(Drill(2)))
    phase = collect(battles=2)
    driver.gather(phase, [0, 2])
    assert driver.heard == [[], [], []]
    assert driver.arena.awaited == [1]
    driver.gather(phase, [1])
    for seat in driver.seats:
        seated, tick = driver.heard[seat]
        assert isinstance(tick, Tick)
        assert seated == Seated(phase)
        assert (tick.tick, tick.steps) == (1, 0)


def test_no_seat_is_awaited_while_none_waits() -> None:
    arena = Arena(Drill(2))
    assert arena.awaited == []
    assert not arena.ready
    driver = Driver(arena)
    driver.gather(collect(battles=1))
    assert arena.awaited == []  # all have a tick to answer, nobody has answered
    arena.act(1, 1, np.full(2, ACTION_STOP, np.uint8))
    assert arena.awaited == [0, 2]


def test_a_bound_on_battles_is_kept_and_all_are_played_to_their_end() -> None:
    phase = collect(battles=5)
    driver = drilled(phase, 2, 3, 1, 4, 6)
    end = driver.play_out()
    assert end == PhaseEnd(Standing(1, 5, 16, 0), 5, 16, won=2, return_sum=end.return_sum, missed=0)
    assert max(max(ids) for ids in driver.ids(0)) == battle_id(phase, 4)


def test_after_the_bound_on_steps_no_battle_begins_but_those_on_are_played_out() -> None:
    driver = drilled(collect(steps=4), 2, 5, 3)
    end = driver.play_out()
    assert (end.battles, end.steps, end.won) == (2, 7, 1)
    # 4 steps are played when battle 0 ends, 5 when its slot is free again
    assert drilled(collect(steps=5), 2, 5, 3).play_out().battles == 2
    assert drilled(collect(steps=6), 2, 5, 3).play_out().battles == 3


@pytest.mark.parametrize(("battles", "steps", "played"), [(2, 1000, 2), (6, 1, 2), (6, 7, 4)])
def test_of_two_bounds_the_first_that_is_reached_counts(battles: int, steps: int, played: int) -> None:
    driver = drilled(collect(battles, steps), *[2] * 6)
    assert driver.play_out().battles == played


def test_a_phase_of_fewer_battles_than_slots_leaves_slots_empty() -> None:
    phase = collect(battles=1)
    driver = drilled(phase, 3, battles=3)
    driver.play_out()
    assert driver.ids(0) == [[battle_id(phase, 0), 0, 0]] * 4
    for tick in driver.ticks(1):
        assert not tick.observations[1:].any()
        assert not tick.available[1:].any()


def test_ids_and_seeds_follow_from_the_place_in_the_run_alone() -> None:
    phase = collect(battles=9)
    assert battle_id(phase, 0) == (1 << 32) + 1
    assert battle_seed(phase, 3) == battle_seed(replace(phase, battles=1, kind=PhaseKind.EVALUATE), 3)
    others = [
        replace(phase, seed=8),
        replace(phase, round=2),
        replace(phase, standing=Standing(index=1)),
    ]
    seeds = {battle_seed(p, n) for p in [phase, *others] for n in range(20)}
    assert len(seeds) == 80
    ids = {battle_id(p, n) for p in [phase, *others[1:]] for n in (0, 1, MAX_PHASE_BATTLES)}
    assert len(ids) == 9
    assert min(ids) > 0
    last = Phase(2**64 - 1, 2**32 - 1, PhaseKind.COLLECT, 1, 0, Standing(index=2**12 - 1))
    assert battle_id(last, MAX_PHASE_BATTLES) < 2**64
    assert 0 <= battle_seed(last, MAX_PHASE_BATTLES) < 2**64


def test_a_slot_shows_its_ending_tick_and_the_next_battle_on_the_tick_after() -> None:
    phase = collect(battles=3)
    first, second, third = (battle_id(phase, n) for n in range(3))
    driver = drilled(phase, 2, 3, 1)
    driver.play_out()
    assert driver.ids(2) == [[first, second]] * 3 + [[third, second], [third, 0]]
    assert [list(tick.ended) for tick in driver.ticks(2)] == [[0, 0], [0, 0], [WON, 0], [0, LOST], [LOST, 0]]
    assert [tick.steps for tick in driver.ticks(2)] == [0, 2, 4, 5, 6]
    assert [list(tick.observations[:, 1]) for tick in driver.ticks(2)] == [[0, 0], [1, 1], [2, 2], [0, 3], [1, 0]]


def test_the_same_proposals_and_answers_give_the_same_battles() -> None:
    def heard() -> list[bytes]:
        driver = Driver(Arena(create_backend("skirmish", "3m", 2)), drawn)
        driver.gather(collect(battles=3))
        driver.play_out()
        return [tick.observations.tobytes() for seat in driver.seats for tick in driver.ticks(seat)]

    assert heard() == heard()


def test_rewards_are_the_teams_and_belong_to_the_step_before() -> None:
    driver = drilled(collect(battles=1), 3, battles=1)
    end = driver.play_out()
    # all salute; after the first step seat 0 has fallen and does nothing
    for seat in driver.seats:
        assert [float(tick.rewards[0]) for tick in driver.ticks(seat)] == [0, 3 * SALUTE, 2 * SALUTE, 2 * SALUTE]
    assert end.return_sum == 14


def test_a_seat_sees_its_own_observation_and_no_other() -> None:
    driver = Driver(Arena(create_backend("skirmish", "3m", 2)), drawn)
    backend = create_backend("skirmish", "3m", 2)
    phase = collect(battles=2)
    driver.gather(phase)
    driver.play_out()
    backend.reset(np.ones(2, np.bool_), np.array([battle_seed(phase, n) for n in range(2)], np.uint64))
    for ticks in zip(*(driver.ticks(seat) for seat in driver.seats), strict=True):
        seen = backend.observe()
        shown = ticks[0].battles != 0
        for seat, tick in enumerate(ticks):
            np.testing.assert_array_equal(tick.observations[shown], seen.obs[shown, seat])
            np.testing.assert_array_equal(tick.available[shown], seen.available[shown, seat])
        joint = np.stack([drawn(tick, seat) for seat, tick in enumerate(ticks)], 1)
        backend.step(np.where(shown[:, None], joint, 0))


def test_collecting_adds_to_the_standing_and_evaluating_counts_apart() -> None:
    driver = Driver(Arena(Drill(2, length_of=lambda _: 3)))
    driver.gather(collect(battles=4))
    first = driver.play_out().standing
    assert first == Standing(1, 4, 12, 0)
    assert driver.arena.round_and_steps == (1, 12)
    driver.gather(evaluate(battles=2, standing=first))
    second = driver.play_out().standing
    assert second == Standing(2, 4, 12, 1)
    driver.gather(collect(steps=1, standing=second))
    driver.answer()
    assert driver.arena.round_and_steps == (1, 14)
    assert driver.play_out().standing == Standing(3, 6, 18, 1)


def test_the_steps_of_an_evaluation_are_not_collected() -> None:
    driver = drilled(evaluate(battles=2, standing=Standing(steps=100)), 3, 3)
    driver.answer()
    assert driver.arena.round_and_steps == (1, 100)


def test_seats_that_lost_the_arena_at_different_moments_continue_from_the_middle_one() -> None:
    behind, ahead = Standing(1, 4, 40, 0), Standing(2, 9, 90, 1)
    driver = Driver(Arena(Drill(2)))
    for seat, standing in enumerate([behind, ahead, Standing()]):
        driver.gather(collect(battles=2, standing=standing), [seat])
    for seat in driver.seats:
        assert driver.heard[seat][0] == Seated(collect(battles=2, standing=behind))
    assert driver.play_out().standing.index == 2


# --- what seats want that do not agree ------------------------------------------------------------------------

FAR = Standing(index=2**12 - 2, battles=2**30, steps=2**40)
LIES = [
    {"standing": FAR},
    {"standing": Standing(steps=2**40)},
    {"round": 2**32 - 1},
    {"round": 2},
    {"kind": PhaseKind.EVALUATE},
    {"battles": 10**6},
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("seat", [0, 1, 2])
def test_what_one_of_three_seats_proposes_the_others_do_not_play(lie: dict[str, Any], seat: int) -> None:
    phase = replace(collect(battles=2), order=9)
    hostile = replace(phase, **lie)
    driver = Driver(Arena(Drill(1, length_of=lambda _: 2)))
    others = [each for each in driver.seats if each != seat]
    driver.gather(hostile, [seat])
    driver.gather(phase, others)
    for each in others:
        assert driver.heard[each][0] == Seated(phase)
    driver.arena.leave(seat)
    driver.answer(*others)
    driver.arena.hold_silent()
    driver.go_on()
    assert driver.play_out(*others).standing == Standing(1, 2, 4, 0)


@pytest.mark.parametrize("lie", LIES)
def test_a_phase_that_one_seat_began_alone_admits_the_others(lie: dict[str, Any]) -> None:
    phase = replace(collect(battles=2), order=9)
    hostile = replace(phase, seats=frozenset([1]), **lie)
    driver = Driver(Arena(Drill(1, length_of=lambda _: 2)))
    driver.gather(hostile, [1])
    assert isinstance(driver.last(1), Tick)
    driver.gather(phase, [0])
    assert driver.heard[0] == []  # it waits: of two nobody can tell who lies
    driver.arena.propose(2, phase)
    assert driver.arena.awaited == [1]  # they have named it
    with pytest.raises(GivenUpError, match="most of the seats play another one"):
        driver.arena.next_event(1)
    driver.arena.propose(1, hostile)  # and it does not give in
    driver.go_on()
    driver.answer(0, 2)
    assert [driver.heard[seat][0] for seat in (0, 2)] == [Seated(phase)] * 2
    if 1 in driver.arena.awaited:  # it has joined them
        assert driver.arena.hold_silent() == [1]
        driver.go_on()
    assert driver.play_out(0, 2).standing == Standing(1, 2, 4, 0)


def test_two_that_come_back_to_a_phase_that_all_began_join_it_however_far_they_think_it_is() -> None:
    phase = replace(collect(battles=4), order=9)
    driver = drilled(phase, 3, 3, 3, 3)
    driver.answer()
    thought = replace(phase, battles=3, standing=Standing(1, 1, 2, 0))
    for seat in (1, 2):
        driver.arena.leave(seat)
    driver.gather(thought, [1, 2])
    assert [driver.last(seat) for seat in (1, 2)] == [Seated(phase)] * 2


# as seats 0, 1, 2 propose them: round and standing
@pytest.mark.parametrize(
    ("proposals", "played"),
    [
        ([(1, 0), (1, 5), (1, 0)], (1, 0)),
        ([(1, 5), (1, 5), (1, 0)], (1, 5)),
        ([(1, 5), (1, 9), (1, 0)], (1, 5)),
        ([(3, 0), (4, 0), (4, 0)], (4, 0)),
        ([(4, 0), (3, 0), (3, 0)], (3, 0)),
        ([(3, 0), (4, 0), (5, 0)], (5, 0)),
        ([(9, 0), (4, 1), (4, 2)], (4, 2)),
    ],
)
def test_the_round_and_the_phase_that_most_want_are_played(
    proposals: list[tuple[int, int]], played: tuple[int, int]
) -> None:
    each = [collect(battles=2, round_=round_, standing=Standing(index=index)) for round_, index in proposals]
    assert {(p.round, p.standing.index) for p in map(chosen, permutations(each))} == {played}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (Standing(3, 5, 50, 1), Standing(4, 0, 0, 0)),
        (Standing(3, 5, 50, 1), Standing(3, 6, 0, 0)),
        (Standing(3, 5, 50, 1), Standing(3, 5, 51, 0)),
        (Standing(3, 5, 50, 1), Standing(3, 5, 50, 2)),
    ],
)
def test_of_two_the_further_one_is_played_by_phases_then_battles_then_steps_then_evaluations(
    less: Standing, more: Standing
) -> None:
    for standings in permutations([less, more]):
        assert chosen([collect(battles=1, standing=each) for each in standings]).standing == more


# --- seats that are silent, late, gone ------------------------------------------------------------------------


def test_the_unit_of_a_silent_seat_stops_and_does_nothing_when_dead_while_the_others_play_on() -> None:
    driver = drilled(collect(battles=1), 4, battles=1)
    driver.answer(1, 2)
    assert driver.arena.awaited == [0]
    assert driver.arena.hold_silent() == [0]
    driver.go_on()
    driver.play_out(1, 2)
    # seat 0 stops, and falls; then it does nothing
    others = 2 * SALUTE
    assert [float(t.rewards[0]) for t in driver.ticks(1)] == [0, ACTION_STOP + others, *[ACTION_NO_OP + others] * 3]
    assert [tick.observations[0, 3] for tick in driver.ticks(1)] == [0, *[SALUTE] * 4]
    assert driver.last(0) == replace(driver.last_end(1), missed=1)


def test_a_silent_seat_is_told_nothing_until_it_speaks() -> None:
    driver = drilled(collect(battles=2), 3, 3)
    driver.answer(1, 2)
    driver.arena.hold_silent()
    driver.go_on()
    driver.answer(1, 2)
    assert [tick.tick for tick in driver.ticks(0)] == [1]
    assert [tick.tick for tick in driver.ticks(1)] == [1, 2, 3]


def test_a_late_seat_continues_at_the_next_battle_of_each_slot() -> None:
    phase = collect(battles=5)
    driver = drilled(phase, 3, 5, 2, 2, 2)
    driver.answer(1, 2)
    driver.arena.hold_silent()
    driver.go_on()
    driver.answer(0)  # to tick 1; the arena is at tick 2
    driver.answer(1, 2)
    for _ in range(3):
        driver.answer()
    third = battle_id(phase, 2)
    assert driver.ids(0) == [[battle_id(phase, 0), battle_id(phase, 1)], [0, 0], [0, 0], [third, 0], [third, 0]]
    assert [tick.tick for tick in driver.ticks(0)] == [1, 3, 4, 5, 6]
    for tick in driver.ticks(0)[1:3]:
        assert not tick.observations.any()
        assert not tick.available.any()
        assert not tick.rewards.any()
        assert not tick.ended.any()
    end = driver.play_out()
    assert end.missed == 2
    assert driver.last_end(1).missed == 0
    assert end.battles == 5


def test_actions_for_battles_that_a_seat_does_not_play_are_ignored() -> None:
    driver = drilled(collect(battles=3), 4, 4, 4)
    driver.answer(1, 2)
    driver.arena.hold_silent()
    driver.go_on()
    driver.answer(0)
    driver.answer(1, 2)
    driver.arena.act(0, 3, np.full(2, 255, np.uint8))
    driver.answer(1, 2)
    assert [float(tick.rewards[0]) for tick in driver.ticks(1)] == [0, 5, 4, 4]


def test_a_seat_held_until_the_phase_is_over_is_told_how_it_ended() -> None:
    driver = drilled(collect(battles=2), 2, 2)
    driver.answer(1, 2)
    driver.arena.hold_silent()
    driver.go_on()
    while isinstance(driver.last(1), Tick):
        driver.arena.act(1, driver.last_tick(1).tick, np.array([SALUTE, SALUTE], np.uint8))
        driver.arena.act(2, driver.last_tick(2).tick, np.array([SALUTE, SALUTE], np.uint8))
        while driver.arena.ready:
            driver.arena.advance()
        for seat in (1, 2):
            while (event := driver.arena.next_event(seat)) is not None:
                driver.heard[seat].append(event)
    driver.arena.act(0, 1, np.array([SALUTE, SALUTE], np.uint8))
    assert driver.arena.next_event(0) == replace(driver.last_end(1), missed=2)
    with pytest.raises(SeatError, match="no phase is on"):
        driver.arena.act(0, 1, np.array([SALUTE, SALUTE], np.uint8))


def played_without_seat_0(phase: Phase) -> tuple[Driver, PhaseEnd]:
    """Three seats, of which seat 0 has left in the midst of a phase, and what the others heard in its end."""
    driver = Driver(Arena(Drill(1, length_of=lambda _: 2)))
    driver.gather(phase)
    driver.arena.leave(0)
    driver.answer(1, 2)
    driver.arena.hold_silent()
    driver.go_on()
    end = driver.play_out(1, 2)
    driver.heard[0].clear()
    return driver, end


def test_a_seat_that_was_away_when_phases_of_its_order_ended_is_told_each_end() -> None:
    first = replace(collect(battles=3), order=9)
    driver, end = played_without_seat_0(first)
    second = replace(evaluate(battles=1, standing=end.standing), order=9)
    driver.gather(second, [1, 2])  # nobody waits for a seat that was held
    evaluated = driver.play_out(1, 2)
    for seat in (1, 2):
        driver.arena.leave(seat)

    saw = replace(first, battles=2, standing=Standing(index=1, battles=1, steps=2))  # as a seat that lost its stream
    driver.gather(saw, [0])
    assert driver.heard[0] == [Seated(first), replace(end, missed=3)]
    driver.gather(replace(second, seats=frozenset([0, 2])), [0])
    assert driver.heard[0][2:] == [Seated(second), replace(evaluated, missed=1)]
    assert driver.arena.awaited == []
    third = replace(collect(battles=1, standing=evaluated.standing), order=9)
    driver.gather(third, [0])
    assert driver.arena.awaited == [1, 2]  # nobody has played that: it waits for the others as ever
    driver.gather(third, [1, 2])
    assert driver.last(0) == driver.ticks(0)[-1]


def test_a_seat_that_was_away_is_told_what_ended_before_it_joins_the_phase_that_is_on() -> None:
    first = replace(collect(battles=1), order=9)
    driver, end = played_without_seat_0(first)
    second = replace(collect(battles=2, standing=end.standing), order=9)
    driver.gather(second, [1, 2])
    driver.gather(first, [0])  # the agent was killed: the next one knows nothing
    driver.gather(second, [0])
    assert driver.heard[0] == [Seated(first), replace(end, missed=1), Seated(second)]
    driver.answer(1, 2)
    driver.answer(1, 2)
    assert driver.play_out().missed == 1
    assert driver.last_end(1).missed == 0


@pytest.mark.parametrize("changes", [{"order": 10}, {"order": 0}, {"round": 2}])
def test_a_repeated_round_is_played(changes: dict[str, Any]) -> None:
    phase = replace(collect(battles=1), order=9)
    driver = Driver(Arena(Drill(1, length_of=lambda _: 1)))
    driver.gather(phase)
    driver.play_out()
    driver.gather(replace(phase, **changes))
    assert isinstance(driver.last(0), Tick)


def test_phases_without_an_order_are_played_however_often_they_are_proposed() -> None:
    driver = Driver(Arena(Drill(1, length_of=lambda _: 1)))
    for _ in range(2):
        driver.gather(collect(battles=1))
        driver.play_out()
    assert len(driver.ticks(0)) == 4


def test_a_held_seat_is_not_waited_for_again_until_it_speaks() -> None:
    driver = Driver(Arena(Drill(1, length_of=lambda _: 1)))
    driver.gather(collect(battles=1), [0, 1])
    driver.arena.hold_silent()
    driver.go_on()
    standing = driver.play_out(0, 1).standing
    driver.gather(collect(battles=1, standing=standing), [0, 1])
    assert driver.play_out(0, 1).standing.index == 2
    driver.gather(collect(battles=1), [2])
    assert driver.arena.awaited == [0, 1]


def test_all_are_waited_for_again_once_everybody_has_left() -> None:
    driver = Driver(Arena(Drill(1, length_of=lambda _: 1)))
    driver.gather(collect(battles=1), [0, 1])
    driver.arena.hold_silent()
    driver.go_on()
    driver.play_out(0, 1)
    for seat in (0, 1):
        driver.arena.leave(seat)
    driver.gather(collect(battles=1, round_=2), [0, 1])
    assert driver.arena.awaited == [2]


def test_a_seat_that_comes_while_a_phase_is_on_joins_at_the_next_battle() -> None:
    phase = collect(battles=4)
    driver = Driver(Arena(Drill(2, length_of=lengths(phase, 2, 4, 2, 2))))
    driver.gather(phase, [0, 1])
    assert driver.arena.hold_silent() == [2]
    driver.go_on()
    driver.arena.propose(2, collect(battles=99, standing=Standing(index=5)))
    driver.go_on()
    assert driver.heard[2] == [Seated(phase)]
    driver.answer(0, 1)
    assert driver.ids(2) == [[0, 0]]
    assert driver.arena.awaited == []
    driver.answer()
    end = driver.play_out()
    third, fourth = battle_id(phase, 2), battle_id(phase, 3)
    assert driver.ids(2) == [[0, 0], [0, 0], [third, 0], [third, 0], [third, fourth], *[[0, fourth]] * 2]
    assert (driver.last_end(2).missed, end.missed) == (2, 0)


def test_a_seat_that_leaves_and_comes_back_has_missed_only_what_it_did_not_play() -> None:
    phase = collect(battles=6)
    driver = drilled(phase, *[2] * 6)
    for _ in range(4):
        driver.answer()  # both slots have played a battle and begun another
    driver.arena.leave(1)
    driver.answer(0, 2)
    assert driver.arena.awaited == [1]
    driver.arena.propose(1, phase)
    driver.go_on()
    end = driver.play_out()
    assert (driver.last_end(1).missed, end.missed, end.battles) == (2, 0, 6)
    assert [i for i in driver.ids(1)[-1] if i] == [battle_id(phase, 4), battle_id(phase, 5)]


def test_a_seat_may_propose_again_without_leaving_and_gives_up_its_battles() -> None:
    phase = collect(battles=3)
    driver = drilled(phase, *[3] * 3)
    driver.answer()
    driver.arena.propose(0, phase)
    driver.go_on()
    driver.answer(1, 2)
    assert driver.ids(0)[-1] == [0, 0]
    driver.play_out()
    assert [driver.last_end(seat).missed for seat in driver.seats] == [2, 0, 0]


def test_the_others_wait_for_a_seat_that_has_left() -> None:
    driver = drilled(collect(battles=2), 3, 3)
    driver.arena.leave(2)
    driver.answer(0, 1)
    assert driver.arena.awaited == [2]
    driver.arena.hold_silent()
    driver.go_on()
    assert driver.play_out(0, 1).battles == 2


def test_a_phase_that_all_have_left_is_given_up() -> None:
    phase = collect(battles=2)
    driver = drilled(phase, 5, 5)
    driver.answer()
    for seat in driver.seats:
        driver.arena.leave(seat)
    assert driver.arena.awaited == []
    later = replace(phase, standing=Standing(index=1))
    driver = Driver(driver.arena)
    drill_of(driver)._length_of = lambda _: 2  # the drill knows only the first phase
    driver.gather(later)
    assert driver.heard[0][0] == Seated(later)
    assert driver.play_out().battles == 2


def test_a_silent_seat_is_told_that_its_phase_was_given_up_and_may_join_again() -> None:
    phase = collect(battles=2)
    driver = drilled(phase, 5, 5)
    driver.answer(1, 2)
    driver.arena.hold_silent()
    driver.go_on()
    driver.arena.leave(1)
    driver.arena.leave(2)
    driver.arena.act(0, 1, np.array([SALUTE, SALUTE], np.uint8))
    with pytest.raises(GivenUpError, match="left or were silent"):
        driver.arena.next_event(0)
    driver.gather(phase)
    assert driver.heard[0][-2] == Seated(phase)
    assert driver.play_out().missed == 0


# --- seats that are named -------------------------------------------------------------------------------------


def test_a_seat_that_no_proposal_names_is_not_awaited() -> None:
    phase = collect(battles=1, seats=[0, 2])
    driver = drilled_by([0, 2], phase, 3)
    assert driver.heard[0][0] == Seated(phase)
    driver.play_out(0, 2)
    # after the first step seat 0 has fallen; seat 1's unit stops all the time
    assert [float(tick.rewards[0]) for tick in driver.ticks(2)] == [0, 2 * SALUTE + ACTION_STOP, *[SALUTE + 1] * 2]
    driver.gather(collect(battles=1, standing=Standing(index=1), seats=[0, 2]), [0])
    assert driver.arena.awaited == [2]


@pytest.mark.parametrize(
    ("named", "awaited"),
    [([[0], [1]], []), ([[0], [0, 1, 2]], [2]), ([[1, 2], [0, 1]], [2]), ([[0], []], [2]), ([[1], [0]], [])],
)
def test_the_seats_wait_for_all_that_any_of_them_names_and_one_that_names_none_names_all(
    named: list[list[int]], awaited: list[int]
) -> None:
    driver = Driver(Arena(Drill(1)))
    for seat in (1, 0):
        driver.arena.propose(seat, collect(battles=1, seats=named[seat]))
    assert driver.arena.awaited == awaited
    driver.gather(collect(battles=1, seats=[2]), awaited)
    assert isinstance(driver.last(0), Tick)


def test_an_unnamed_seat_joins_and_is_awaited_while_it_plays() -> None:
    phase = collect(battles=4, seats=[0, 1])
    driver = drilled_by([0, 1], phase, 2, 4, 2, 2)
    driver.gather(phase, [2])
    driver.answer(0, 1)
    driver.answer(0, 1)
    assert driver.arena.awaited == [2]
    driver.answer(2)
    driver.answer()
    end = driver.play_out()
    assert (driver.last_end(2).missed, end.missed, end.battles) == (2, 0, 4)
    assert [i for i in driver.ids(2)[-1] if i] == [battle_id(phase, 3)]


def test_a_seat_named_only_by_itself_delays_no_other_after_it_leaves() -> None:
    phase = collect(battles=2, seats=[0, 1])
    driver = drilled_by([0, 1], phase, 3, 3)
    driver.gather(replace(phase, seats=frozenset([0, 1, 2])), [2])
    driver.answer(0, 1)
    driver.answer(0, 1)
    assert driver.arena.awaited == [2]
    driver.arena.leave(2)
    driver.go_on()
    assert [tick.tick for tick in driver.ticks(0)] == [1, 2, 3]
    assert driver.play_out(0, 1).battles == 2


def test_a_named_seat_that_leaves_is_awaited_until_it_is_held() -> None:
    driver = drilled_by([0, 1], collect(battles=2, seats=[0, 1]), 3, 3)
    driver.arena.leave(1)
    driver.answer(0)
    assert driver.arena.hold_silent() == [1]
    driver.go_on()
    assert driver.play_out(0).battles == 2


def test_a_seat_that_names_only_itself_starts_and_the_others_can_join() -> None:
    phase, hostile = collect(battles=4), collect(battles=4, seats=[1])
    driver = drilled_by([1], hostile, 2, 4, 2, 2)
    driver.gather(phase, [0, 2])
    driver.answer(1)
    driver.answer()
    end = driver.play_out()
    assert [driver.last_end(seat).missed for seat in driver.seats] == [2, 0, 2]
    driver.gather(replace(hostile, standing=end.standing), [1])  # first again, but they are here
    assert driver.arena.awaited == [0, 2]


def test_whom_a_newer_round_names_the_older_one_does_not_wait_for() -> None:
    driver = drilled_by([0, 1], collect(battles=2, seats=[0, 1]), 3, 3)
    driver.arena.propose(0, collect(battles=1, round_=2))
    driver.answer(1)
    assert [tick.tick for tick in driver.ticks(1)] == [1, 2]
    driver.play_out(1)
    assert driver.arena.awaited == [1, 2]


def test_a_newer_round_begins_when_the_last_seat_of_the_older_one_has_left() -> None:
    driver = drilled(collect(battles=2), 3, 3)
    drill_of(driver)._length_of = lambda _: 2
    newer = collect(battles=1, round_=2, seats=[0, 2])
    driver.gather(newer, [0, 2])
    assert driver.arena.awaited == [1]
    driver.arena.leave(1)
    driver.go_on()
    assert driver.play_out(0, 2).battles == 1


# --- rounds ---------------------------------------------------------------------------------------------------


def test_a_round_that_others_have_left_behind_is_refused() -> None:
    driver = Driver(Arena(Drill(1)))
    driver.gather(collect(battles=1, round_=5))
    driver.arena.leave(2)
    with pytest.raises(StaleRoundError, match="plays round 5"):
        driver.arena.propose(2, collect(battles=1, round_=4))
    driver.answer(0, 1)
    assert driver.arena.awaited == [2]


def test_a_newer_round_ends_the_wait_of_seats_that_want_an_older_one() -> None:
    driver = Driver(Arena(Drill(1)))
    driver.gather(collect(battles=1, round_=4), [1])
    driver.gather(collect(battles=1, round_=5), [0])
    driver.arena.propose(2, collect(battles=1, round_=5))  # now most want it
    with pytest.raises(StaleRoundError, match="plays round 5"):
        driver.arena.next_event(1)
    driver.gather(collect(battles=1, round_=5), [1])
    seated = driver.heard[0][0]
    assert isinstance(seated, Seated)
    assert seated.phase.round == 5


def test_of_two_seats_that_want_different_rounds_the_newer_is_played() -> None:
    driver = Driver(Arena(Drill(1)))
    driver.gather(collect(battles=1, round_=4, seats=[0, 1]), [0])
    driver.arena.propose(1, collect(battles=1, round_=5, seats=[0, 1]))
    while driver.arena.ready:
        driver.arena.advance()
    seated = driver.arena.next_event(1)
    assert isinstance(seated, Seated)
    assert seated.phase.round == 5
    with pytest.raises(StaleRoundError, match="plays round 5"):
        driver.arena.next_event(0)


def test_an_older_round_may_be_repeated_when_no_newer_one_is_played() -> None:
    driver = Driver(Arena(Drill(1)))
    driver.gather(collect(battles=1, round_=5))
    driver.play_out()
    driver.gather(collect(battles=1, round_=3))
    assert driver.play_out().battles == 1


def test_a_seat_that_waits_for_a_newer_round_neither_delays_nor_is_delayed() -> None:
    phase = collect(battles=2)
    driver = drilled(phase, 3, 3)
    newer = collect(battles=1, round_=2)
    driver.arena.propose(0, newer)
    driver.answer(1, 2)
    assert [tick.tick for tick in driver.ticks(1)] == [1, 2]
    assert driver.arena.awaited == [1, 2]
    driver.play_out(1, 2)
    drill_of(driver)._length_of = lambda _: 2
    driver.gather(newer, [1])
    assert driver.arena.hold_silent() == [2]
    driver.go_on()
    assert driver.heard[0][-2:] == [Seated(newer), driver.last(0)]
    assert driver.play_out(0, 1).battles == 1


def test_a_newer_round_begins_when_all_seats_of_the_older_one_are_silent() -> None:
    driver = drilled(collect(battles=2), 3, 3)
    drill_of(driver)._length_of = lambda _: 2
    driver.arena.propose(0, collect(battles=1, round_=2))
    assert driver.arena.hold_silent() == [1, 2]
    while driver.arena.ready:
        driver.arena.advance()
    assert driver.arena.next_event(0) == Seated(collect(battles=1, round_=2))
    with pytest.raises(GivenUpError):
        driver.arena.next_event(1)


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (collect(), "needs a bound"),
        (collect(battles=MAX_PHASE_BATTLES + 1), f"battles {MAX_PHASE_BATTLES + 1}; expected 0..{MAX_PHASE_BATTLES}"),
        (collect(battles=-1), "battles -1"),
        (collect(steps=2**48), "steps"),
        (collect(battles=1, round_=2**32), "round"),
        (replace(collect(battles=1), seed=2**64), "seed"),
        (replace(collect(battles=1), seed=-1), "seed -1; expected 0"),
        (collect(battles=1, standing=Standing(index=4096)), "standing.index 4096; expected 0..4095"),
        (collect(battles=1, standing=Standing(battles=2**32 - 1)), "standing.battles"),
        (collect(battles=1, standing=Standing(steps=2**64 - 1)), "standing.steps"),
        (collect(battles=1, standing=Standing(evaluations=2**64 - 1)), "standing.evaluations"),
        (collect(battles=1, seats=[0, 3]), r"names seat 3; expected 0\.\.2"),
        (collect(battles=1, seats=[-1, 0]), "names seat -1"),
        (collect(battles=1, seats=range(10**5)), "names seat 99999; expected"),
    ],
)
def test_an_impossible_phase_is_refused(phase: Phase, message: str) -> None:
    arena = Arena(Drill(1))
    with pytest.raises(SeatError, match=message):
        arena.propose(0, phase)
    assert arena.awaited == []


def test_the_furthest_possible_phase_can_be_played() -> None:
    standing = Standing(2**12 - 1, 2**31 - 1, 2**48 - 1, 2**48 - 1)
    phase = Phase(2**64 - 1, 2**32 - 1, PhaseKind.COLLECT, 2, 0, standing)
    driver = drilled(phase, 1, 1)
    assert driver.play_out().standing == Standing(2**12, 2**31 + 1, 2**48 + 1, 2**48 - 1)


REFUSED = [
    (1, [1, 7], "action 7 is not available in slot 1 .*; available: 1, 2"),
    (1, [0, 1], r"action 0 is not available in slot 0 \(battle 4294967297, tick 1\); available: 1, 2"),
    (1, [1, 255], "action 255 is not available in slot 1"),
    (1, [1], "1 actions; expected one uint8 for each of 2 battles"),
    (1, [1, 1, 1], "3 actions; expected one uint8 for each of 2 battles"),
    (2, [1, 1], "an answer to tick 2; expected one to tick 1"),
    (0, [1, 1], "an answer to tick 0; expected one to tick 1"),
]


@pytest.mark.parametrize(("tick", "actions", "message"), REFUSED)
def test_a_wrong_answer_is_refused_and_changes_nothing(tick: int, actions: list[int], message: str) -> None:
    driver = drilled(collect(battles=2), 3, 3)
    with pytest.raises(SeatError, match=message):
        driver.arena.act(1, tick, np.array(actions, np.uint8))
    driver.answer(0, 2)
    assert driver.arena.awaited == [1]
    driver.answer(1)
    assert [float(tick.rewards[0]) for tick in driver.ticks(0)] == [0, 3 * SALUTE]
    assert driver.play_out().missed == 0


def test_a_second_answer_to_a_tick_that_is_over_is_refused() -> None:
    driver = drilled(collect(battles=2), 3, 3)
    driver.answer()
    with pytest.raises(SeatError, match="an answer to tick 1; expected one to tick 2"):
        driver.arena.act(1, 1, np.array([1, 1], np.uint8))
    driver.answer(0, 2)
    assert driver.arena.awaited == [1]


def test_a_dead_unit_may_only_do_nothing() -> None:
    driver = drilled(collect(battles=2), 4, 4)
    driver.answer()
    with pytest.raises(SeatError, match=r"available: 0$"):
        driver.arena.act(0, 2, np.array([0, 1], np.uint8))


def test_a_seat_without_a_phase_cannot_answer() -> None:
    driver = Driver(Arena(Drill(2)))
    with pytest.raises(SeatError, match="propose one first"):
        driver.arena.act(0, 1, np.array([1, 1], np.uint8))
    driver.gather(collect(battles=2), [0])
    with pytest.raises(SeatError, match="propose one first"):
        driver.arena.act(0, 1, np.array([1, 1], np.uint8))


def test_closing_an_arena_closes_its_backend() -> None:
    drill = Drill(1)
    Arena(drill).close()
    assert drill.closed == 1


def test_whole_battles_of_skirmish_with_a_seat_that_comes_and_goes() -> None:
    driver = Driver(Arena(create_backend("skirmish", "3m", 3)), drawn)
    phase = collect(battles=6)
    driver.gather(phase)
    for number in range(400):
        if not isinstance(driver.last(0), Tick):
            break
        if number % 40 == 20:
            driver.arena.leave(2)
            driver.answer(0, 1)
            driver.arena.propose(2, phase)
            driver.go_on()
        else:
            driver.answer()
    end, other = driver.last_end(0), driver.last_end(2)
    assert (end.battles, end.missed) == (6, 0)
    ends = [int(i) for tick in driver.ticks(2) for i in tick.battles[tick.ended != 0]]
    assert len(ends) == len(set(ends)) == 6 - other.missed
    assert other.missed > 0


# --- any order of events --------------------------------------------------------------------------------------


class Player:
    """One seat as it is seen from outside. It counts the battles that it saw the end of."""

    def __init__(self, phase: Phase) -> None:
        self.present = False
        self.tick: Tick | None = None  # to be answered
        self.phase = phase  # to be proposed
        self.play: PhaseTotals | None = None  # what the battles in `ended` belong to
        self.ended: list[int] = []

    @property
    def waits(self) -> bool:
        return self.present and self.tick is None


class Bustle:
    """An arena among seats that come, go, answer in time or late, and propose as they please."""

    def __init__(self, seats: int, phase: Phase) -> None:
        self.arena = Arena(Drill(2, seats))
        self.players = [Player(phase) for _ in range(seats)]
        self.ends = 0

    def speak(self, seat: int) -> None:
        """Answer the tick if there is one, else come and propose."""
        player = self.players[seat]
        if player.tick is not None:
            tick, player.tick = player.tick, None
            self.arena.act(seat, tick.tick, np.where(tick.available[:, SALUTE], SALUTE, ACTION_NO_OP).astype(np.uint8))
        elif not player.present:
            self.propose(seat)

    def all_speak(self, _: int) -> None:
        for seat in range(len(self.players)):
            self.speak(seat)

    def propose(self, seat: int) -> None:
        player = self.players[seat]
        try:
            self.arena.propose(seat, player.phase)
        except StaleRoundError:
            player.phase = replace(player.phase, round=player.phase.round + 1, standing=Standing())
            return
        player.present, player.tick = True, None
        on, ended = self.arena._loop, self.arena._admission.ended_without(player.phase)
        joined = on.totals if on is not None and on.phase.round == player.phase.round else None
        if ended is not None:
            joined = ended.totals
        if joined is None or joined is not player.play:  # else it comes back to the same phase
            player.ended = []
        player.play = joined

    def want_newer_round(self, seat: int) -> None:
        phase = self.players[seat].phase
        self.players[seat].phase = replace(phase, round=phase.round + 1, standing=Standing())
        self.propose(seat)

    def name_itself_alone(self, seat: int) -> None:
        self.players[seat].phase = replace(self.players[seat].phase, seats=frozenset([seat]))

    def name_all(self, seat: int) -> None:
        self.players[seat].phase = replace(self.players[seat].phase, seats=frozenset())

    def leave(self, seat: int) -> None:
        self.arena.leave(seat)
        self.players[seat].present, self.players[seat].tick = False, None

    def hold(self, _: int) -> None:
        awaited = self.arena.awaited
        assert self.arena.hold_silent() == awaited
        assert not set(self.arena.awaited) & set(awaited)
        assert awaited or not self.arena.ready

    def blunder(self, seat: int) -> None:
        if not self.players[seat].present:
            with pytest.raises(SeatError):
                self.arena.act(seat, 10**6, np.zeros(2, np.uint8))
        with pytest.raises(SeatError):
            self.arena.propose(seat, collect())

    def settle(self) -> None:
        """Do what whoever drives an arena does after every word; then look at what must always hold."""
        arena = self.arena
        while arena.ready:
            arena.advance()
        for seat, player in enumerate(self.players):
            try:
                while player.waits and (event := arena.next_event(seat)) is not None:
                    self.hear(player, event)
            except (StaleRoundError, GivenUpError):
                self.leave(seat)
                self.settle()
                return
        waiting = {seat for seat, player in enumerate(self.players) if player.waits}
        assert not waiting & set(arena.awaited)
        assert bool(waiting) == bool(arena.awaited)  # who waits, waits for somebody who may still speak or be held
        if (loop := arena._loop) is not None:
            assert loop.totals.begun == loop.totals.battles + loop.battles_on

    def hear(self, player: Player, event: ArenaEvent) -> None:
        if isinstance(event, Seated):
            if player.play is None:
                assert self.arena._loop is not None
                player.play = self.arena._loop.totals
            assert player.play.phase == event.phase
        elif isinstance(event, Tick):
            player.tick = event
            player.ended += [int(i) for i in event.battles[event.ended != 0]]
        else:
            assert isinstance(event, PhaseEnd)
            assert len(set(player.ended)) == len(player.ended) == event.battles - event.missed
            player.phase = replace(player.phase, standing=event.standing)
            player.present = False  # it has nothing to wait for until it proposes
            self.ends += 1


WORDS = [Bustle.all_speak] * 4 + [Bustle.speak] * 4 + [Bustle.hold] * 2
WORDS += [Bustle.leave, Bustle.propose, Bustle.want_newer_round, Bustle.blunder]
WORDS += [Bustle.name_itself_alone] * 2 + [Bustle.name_all]


@settings(max_examples=200)
@given(
    seats=st.integers(1, 3),
    bound=st.sampled_from([(1, 0), (3, 0), (0, 5), (4, 6)]),
    order=st.sampled_from([0, 9]),
    words=st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 2)), max_size=50),
)
def test_after_any_order_of_events_play_continues_and_every_battle_is_counted(
    seats: int, bound: tuple[int, int], order: int, words: list[tuple[Callable[[Bustle, int], object], int]]
) -> None:
    bustle = Bustle(seats, replace(collect(*bound), order=order))
    for word, seat in words:
        word(bustle, seat % seats)
        bustle.settle()
    for _ in range(200):  # now all play fair
        for seat in range(seats):
            bustle.speak(seat)
            bustle.settle()
        if bustle.ends:
            return
    raise AssertionError("no phase came to its end")
