"""What Prometheus reads of a real env proxy that is played."""

from __future__ import annotations

from collections.abc import Callable

from envproxy.metrics import ArenaMetrics
from envproxy.protocol import Tick
from tests.envproxy.conftest import Proxy, play_out, play_tick
from tests.envproxy.drill import eager
from tests.prometheus import samples, shown


def test_an_arena_that_is_played(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    collector = ArenaMetrics(proxy.server.counters)
    team = proxy.team()
    play_tick(team)
    during = samples(shown(collector))
    assert during["arena_ticks_total"] == 2  # the first is there from the beginning
    assert during["seat_taken seat=2"] == 1
    play_out(team)
    after = samples(shown(collector))
    ticks = sum(isinstance(event, Tick) for event in team[0].heard)
    assert after["arena_ticks_total"] == ticks > 3  # of every battle
    outcomes = {o: after[f"arena_battles_total outcome={o}"] for o in ("won", "lost", "cut")}
    heard = team[0].heard[-1]
    assert sum(outcomes.values()) == heard.battles == 4  # type: ignore[union-attr]
    assert outcomes["won"] == heard.won  # type: ignore[union-attr]
    assert after["arena_round"] == 1
    assert after["arena_round_steps"] == heard.steps  # type: ignore[union-attr]
    # Every tick was waited for, and the phase's beginning was.
    waits = after["arena_seat_wait_seconds_count"]
    assert waits == after["arena_seat_wait_seconds_bucket le=+Inf"] == ticks + 1
    assert after["arena_mixing_steps_total"] == 0
    for client in team:
        assert after[f"seat_messages_total direction=out seat={client.seat}"] == len(client.heard)
        assert after[f"seat_messages_total direction=in seat={client.seat}"] == 1 + ticks
        assert after[f"seat_bytes_total direction=out seat={client.seat}"] > 0


def test_bytes_are_those_of_the_messages(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    client = proxy.client(0).join()
    proxy.until_awaited(1, 2)
    joined = proxy.hosted[0].counters().traffic[0]
    assert (joined.messages_in, joined.messages_out, joined.bytes_out) == (1, 0, 0)
    assert 10 < joined.bytes_in < 200
    client.close()


def test_a_seat_that_is_silent_is_counted(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    team = proxy.team()
    for client in team[:2]:
        client.act(eager(client.tick, client.seat))
    proxy.hold(2)
    found = samples(shown(ArenaMetrics(proxy.server.counters)))
    assert [found[f"seat_held_total seat={seat}"] for seat in range(3)] == [0, 0, 1]
