"""Nothing of ours measures a duration or waits by the clock that people and NTP set."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("learning", "strategies", "envproxy", "client", "server", "operations", "pps_qmix", "cli")

# Who asks what time it is, and why it must be that clock.
ASKS_THE_TIME = {
    "cli/certs.py": "certificates have dates",
    "pps_qmix/doctor/examination.py": "certificates have dates",
    "pps_qmix/doctor/network.py": "compares this clock with the SuperLink's",
    "pps_qmix/comparison/page.py": "says when the page was written",
    "pps_qmix/status.py": "says how old a file is, by the file system's time stamps",
    "client/counters.py": "when the last round ended, for Prometheus, which has times of that clock",
    "envproxy/certificates.py": "certificates have dates",
    "envproxy/transport.py": "certificates have dates",
    "server/tensorboard_writer.py": "TensorBoard's time stamps",
    "server/run_directory.py": "when a run began: its name, and run.json",
}


def readings(source: str) -> list[str]:
    """Return what in a module reads the clock of the day, or imports its reading by name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func)
            if name in ("time.time", "time.time_ns") or name.endswith((".now", ".utcnow", ".today")):
                found.append(name)
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"time.{alias.name}" for alias in node.names if alias.name in ("time", "time_ns")]
    return found


def test_the_clock_of_the_day_is_read_only_where_a_date_is_wanted() -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(modules) > 100
    found = {path.relative_to(ROOT).as_posix() for path in modules if readings(path.read_text())}
    assert found == ASKS_THE_TIME.keys()


def test_what_counts_as_a_reading_of_that_clock() -> None:
    source = "time.monotonic(); time.time(); datetime.datetime.now(datetime.UTC); datetime.now(); time.perf_counter()"
    assert readings(source) == ["time.time", "datetime.datetime.now", "datetime.now"]
    assert readings("from time import monotonic, time") == ["time.time"]
