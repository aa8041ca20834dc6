"""A device for Prometheus, from what its agent process has written down. docs/operations.md names every metric."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from client.counters import DeviceCounters
from client.device import DeviceDirectory, device_directories


class AgentMetrics(Collector):
    """The run that a seat plays, or has played last."""

    def __init__(self, home: Path, seat: int) -> None:
        self._home = home
        self._seat = seat

    def collect(self) -> Iterator[Metric]:
        labels = ["run", "seat"]
        up = GaugeMetricFamily("pps_qmix_agent_up", "Whether the agent process answers", labels=labels)
        round_ = GaugeMetricFamily("pps_qmix_agent_round", "The last round it played", labels=labels)
        ended = GaugeMetricFamily("pps_qmix_agent_round_ended_timestamp_seconds", "When that ended", labels=labels)
        buffered = GaugeMetricFamily("pps_qmix_agent_buffered_battles", "Battles in its buffer", labels=labels)
        epsilon = GaugeMetricFamily("pps_qmix_agent_epsilon", "Share of random actions", labels=labels)
        loss = GaugeMetricFamily("pps_qmix_agent_loss", "Mean over the round's training steps", labels=labels)
        battles = CounterMetricFamily("pps_qmix_agent_battles", "Battles collected", labels=labels)
        missed = CounterMetricFamily("pps_qmix_agent_missed_battles", "Battles without it", labels=labels)
        training = CounterMetricFamily("pps_qmix_agent_training_steps", "Training steps", labels=labels)
        seconds = CounterMetricFamily("pps_qmix_agent_seconds", "Time spent", labels=[*labels, "activity"])
        found = self._newest()
        if found is not None:
            directory, counters = found
            names = [directory.run, str(self._seat)]
            up.add_metric(names, directory.answers())
            round_.add_metric(names, counters.round)
            ended.add_metric(names, counters.ended)
            buffered.add_metric(names, counters.buffered)
            epsilon.add_metric(names, counters.epsilon)
            if counters.loss is not None:
                loss.add_metric(names, counters.loss)
            battles.add_metric(names, counters.battles)
            missed.add_metric(names, counters.missed)
            training.add_metric(names, counters.training_steps)
            for activity in ("waiting", "acting", "learning"):
                seconds.add_metric([*names, activity], getattr(counters, activity))
        yield from (up, round_, ended, buffered, epsilon, loss, battles, missed, training, seconds)

    def _newest(self) -> tuple[DeviceDirectory, DeviceCounters] | None:
        found = []
        for directory in device_directories(self._home):
            counters = DeviceCounters.load(directory.counters) if directory.seat == self._seat else None
            if counters is not None:
                found.append((directory, counters))
        return max(found, key=lambda each: each[1].ended, default=None)
