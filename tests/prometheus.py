"""What Prometheus would read of a collector."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_ONE = ("arena", "run")  # of which there is one


def shown(collector: Collector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def samples(text: str) -> dict[str, float]:
    """`name label="value" ...`, labels in alphabetical order, without the run's and the arena's, -> value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = [f" {name}={value}" for name, value in sorted(sample.labels.items()) if name not in _ONE]
            found["".join([sample.name.removeprefix("pps_qmix_"), *labels])] = sample.value
    return found
