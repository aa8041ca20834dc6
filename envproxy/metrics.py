"""An env proxy's arenas for Prometheus. Collected on request; docs/operations.md names every metric."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from envproxy.counters import WAIT_BOUNDS, WaitHistogram
from envproxy.refusals import REASONS
from envproxy.server import ProxyCounters

_BOUNDS = [*map(str, WAIT_BOUNDS), "+Inf"]


class ArenaMetrics(Collector):
    """What an env proxy says of itself."""

    def __init__(self, counters: Callable[[], ProxyCounters]) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        arena, seat = ["arena"], ["arena", "seat"]
        ticks = CounterMetricFamily("pps_qmix_arena_ticks", "Joint environment steps", labels=arena)
        battles = CounterMetricFamily("pps_qmix_arena_battles", "Battles ended", labels=[*arena, "outcome"])
        restarts = CounterMetricFamily(
            "pps_qmix_arena_game_restarts", "Games that failed and were replaced", labels=arena
        )
        mixing = CounterMetricFamily("pps_qmix_arena_mixing_steps", "Joint training steps", labels=arena)
        round_ = GaugeMetricFamily("pps_qmix_arena_round", "The newest round", labels=arena)
        steps = GaugeMetricFamily("pps_qmix_arena_round_steps", "Environment steps collected in it", labels=arena)
        waits = HistogramMetricFamily("pps_qmix_arena_seat_wait_seconds", "Wait for the last seat", labels=arena)
        taken = GaugeMetricFamily("pps_qmix_seat_taken", "Whether a client plays the seat", labels=seat)
        held = CounterMetricFamily("pps_qmix_seat_held", "Silent for too long: the others played on", labels=seat)
        messages = CounterMetricFamily("pps_qmix_seat_messages", "Messages", labels=[*seat, "direction"])
        bytes_ = CounterMetricFamily("pps_qmix_seat_bytes", "Bytes of messages", labels=[*seat, "direction"])
        refused = CounterMetricFamily("pps_qmix_refused", "Calls that were refused", labels=["reason"])
        proxy = self._counters()
        for reason in REASONS:
            refused.add_metric([reason], proxy.refused[reason])
        for now in proxy.arenas:
            played, name = now.played, now.arena
            ticks.add_metric([name], played.ticks)
            for outcome in ("won", "lost", "cut", "void"):
                battles.add_metric([name, outcome], getattr(played, outcome))
            restarts.add_metric([name], now.restarts)
            mixing.add_metric([name], played.mixing_steps)
            round_.add_metric([name], now.round)
            steps.add_metric([name], now.steps)
            waits.add_metric([name], _buckets(now.waits), now.waits.total)
            for number, traffic in enumerate(now.traffic):
                labels = [name, str(number)]
                taken.add_metric(labels, number in now.taken)
                held.add_metric(labels, now.held[number])
                messages.add_metric([*labels, "in"], traffic.messages_in)
                messages.add_metric([*labels, "out"], traffic.messages_out)
                bytes_.add_metric([*labels, "in"], traffic.bytes_in)
                bytes_.add_metric([*labels, "out"], traffic.bytes_out)
        yield from (ticks, battles, restarts, mixing, round_, steps, waits, taken, held, messages, bytes_, refused)


def _buckets(waits: WaitHistogram) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, itertools.accumulate(waits.counts), strict=True))
