"""What a soak makes of its samples, and the whole thing: started, interrupted, nothing left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.soak.__main__ import FAILED, INTERRUPTED, main
from benchmarks.soak.census import AGENT, CLIENTAPP, ENV_PROXY, Reading, disk_use, look, members, role_of
from benchmarks.soak.faults import Fault, strike, whole_again
from benchmarks.soak.figures import Figures, Progress, fault_table, figures, growth, pace, problems, slope, table
from benchmarks.soak.record import Record
from tests.waiting import WAIT_LIMIT, wait_for

HOUR = 3600.0


def reading(seconds: float, memory: float = 100e6, **others: Any) -> Reading:
    values = {"role": AGENT, "part": "seat-0", "pid": 7, "started": 1.0, "files": 10, "threads": 3, "cpu": 0.0}
    return Reading(seconds=seconds, memory=int(memory), share=int(memory / 2), **{**values, **others})


def two_hours(megabytes_per_hour: float = 0.0, **others: Any) -> list[Reading]:
    """An agent that has 100 MB when it is warm."""
    minutes = [60.0 * minute for minute in range(121)]
    grown = [(second - 600) / HOUR * megabytes_per_hour * 1e6 for second in minutes]
    return [reading(second, 100e6 + more, **others) for second, more in zip(minutes, grown, strict=True)]


def only(found: list[Figures]) -> Figures:
    (one,) = found
    return one


def said(readings: list[Reading], length: float = 2 * HOUR) -> list[str]:
    return list(problems(figures(readings, length), length, memory_bound=10, files_bound=10))


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("pps-qmix train", "/v/bin/python -m cli.main train --map 3m --run envproxy"),
        ("env proxy", "/v/bin/python -P -m envproxy --listen 127.0.0.1:1 --arena train"),
        ("SuperLink", "/v/bin/python3 /v/bin/flower-superlink --insecure"),
        ("ServerApp", "/v/bin/python3 /v/bin/flwr-serverapp --token t"),
        ("SuperNode", "/v/bin/python3 /v/bin/flower-supernode --insecure"),
        ("SuperExec", "/v/bin/python3 /v/bin/flower-superexec --insecure --parent-pid 3"),
        ("SuperNode", "/v/bin/flower-supernode --insecure"),
        ("loaded", "/v/bin/python -P -m pps_qmix.runtime.preloaded.loaded /runs/r/flower/loaded/preloaded.sock 7"),
        ("ClientApp", "/v/bin/flwr-clientapp --token t"),
        ("passes on", "pass_on.py waits for 7"),
        ("agent", "/v/bin/python -P -m client.resident --run r --seat 0"),
        ("flwr", "/v/bin/python3 /v/bin/flwr run app here --stream"),
        ("other", "git rev-parse HEAD"),
    ],
)
def test_roles(role: str, command: str) -> None:
    assert role_of(command.split()) == role


def test_a_slope_is_not_moved_by_peaks() -> None:
    points = [(float(x), 2.0 * x) for x in range(50)]
    points[20] = (20.0, 1e6)
    points[-1] = (49.0, -1e6)
    assert slope(points) == pytest.approx(2.0, rel=0.05)
    assert slope(points[:1]) == 0.0


def test_growth_is_per_hour_from_the_median_of_the_first_minutes_to_that_of_the_last() -> None:
    found = growth([(60.0 * minute, 5.0 * minute) for minute in range(61)])
    assert found.per_hour == pytest.approx(300)
    assert found.start == 12.5
    assert found.end == 287.5


def test_a_leak_is_told_and_a_steady_process_is_not() -> None:
    assert said(two_hours(1.0)) == []
    assert said(two_hours(25.0)) == ["agent, seat-0: memory grew by 25.0 MB/h, expected at most 10"]
    leak = [each._replace(files=10 + int(each.seconds // 120)) for each in two_hours()]
    assert said(leak) == ["agent, seat-0: open files grew by 30.0/h, expected at most 10"]


def test_what_grows_while_it_warms_up_is_not_told() -> None:
    readings = two_hours()
    warming = [each._replace(memory=int(each.seconds * 1e5)) for each in readings[:10]]
    assert said([*warming, *readings[10:]]) == []


def test_a_short_soak_is_not_judged() -> None:
    readings = [each for each in two_hours(60.0) if each.seconds <= 20 * 60]
    assert said(readings, 20 * 60) == []
    assert only(figures(readings, 20 * 60)).memory.per_hour == pytest.approx(60.0)


def test_restarts_are_seen_and_cpu_is_counted_over_them() -> None:
    """1 CPU-second a minute; the second process of the part begins with none."""
    first = [each._replace(cpu=each.seconds / 60) for each in two_hours() if each.seconds < HOUR]
    second = [each._replace(pid=8, started=HOUR, cpu=(each.seconds - HOUR) / 60) for each in two_hours()]
    found = only(figures(first + [each for each in second if each.seconds >= HOUR], 2 * HOUR))
    assert found.starts == 2
    assert found.cpu == pytest.approx(60, rel=0.02)


def test_of_several_processes_at_once_the_largest_counts() -> None:
    larger = [each._replace(pid=8, memory=int(150e6)) for each in two_hours()]
    both = sorted([*two_hours(), *larger], key=lambda each: each.seconds)
    assert only(figures(both, 2 * HOUR)).memory.end == pytest.approx(150)


def test_the_table_has_every_part_and_the_run() -> None:
    progress = [
        Progress(60.0 * minute, minute, 6000 * minute, minute * 10**6, 0, 10**6, 2 * minute) for minute in range(121)
    ]
    found = figures([*two_hours(), *two_hours(role=ENV_PROXY, part="")], 2 * HOUR)
    lines = list(table(found, progress))
    assert lines[0].startswith("| process | seen | MB at 10 min | at 120 min |")
    assert "| agent, seat-0 | 1 | 100.0 | 100.0 | +0.0 | 50.0 | 10, 10 | 3, 3 | 0 |" in lines
    assert any(line.startswith("| env proxy |") for line in lines)
    assert "| rounds played | 10.0 | 120.0 | +60.0 |" in lines
    assert "| environment steps per second | 100 | 100 | |" in lines


def test_pace_of_nothing_is_nothing() -> None:
    assert pace([]) == pace([Progress(0.0, 0, 0, 0, 0, 0, 0)]) == 0.0


def test_samples_are_read_as_they_were_written_but_for_a_line_that_is_being_written(tmp_path: Path) -> None:
    record = Record(tmp_path)
    progress = Progress(60.0, 1, 15583, 10, 20, 30, 40)
    fault = Fault(61.5, ENV_PROXY, "", 1, 22.0)
    assert (record.readings(), record.progress(), record.faults()) == ([], [], [])
    record.add([reading(60.0), reading(60.0, pid=8, role="loaded"), progress])
    record.add([fault, progress])
    with open(tmp_path / "progress.csv", "a") as file:
        file.write("120.0,2,31")
    assert record.readings() == [reading(60.0), reading(60.0, pid=8, role="loaded")]
    assert record.progress() == [progress, progress]
    assert record.faults() == [fault]
    assert list(fault_table([fault]))[-1] == "| env proxy |  | 1.0 | 2 | 22 s |"
    assert list(fault_table([])) == []


@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        ([(3, {}, [])], False),  # it had ended before the fault
        ([(3, {}, []), (4, {}, [])], False),  # it was on: the seat may have replied before
        ([(4, {}, []), (5, {}, [1])], False),
        ([(4, {}, []), (5, {"1": "ClientApp stopped responding"}, [])], False),
        ([(4, {}, [1]), (5, {}, [1]), (6, {}, [])], True),
    ],
)
def test_a_team_is_whole_again_when_a_round_that_began_later_has_all_seats(
    rows: list[tuple[int, dict[str, str], list[int]]], whole: bool
) -> None:
    rounds = [{"round": number, "rejected": rejected, "missing": missing} for number, rejected, missing in rows]
    assert whole_again(rounds, 3) is whole


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a PPS_HOME and a FLWR_HOME, as an agent has."""
    environment = {**os.environ, "PPS_HOME": str(tmp_path), "FLWR_HOME": str(tmp_path / "flower" / "seat-2")}
    command = [sys.executable, "-c", "import time; time.sleep(600)", "-m", "client.resident"]
    with subprocess.Popen(command, env=environment) as process:
        yield process
        process.kill()


def test_a_federation_is_all_processes_with_its_home(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    found = look(tmp_path, 61.25)
    assert [(each.seconds, each.role, each.part, each.pid) for each in found] == [(61.2, AGENT, "seat-2", sleeper.pid)]
    assert found[0].memory > found[0].share > 1e6
    assert found[0].threads == 1
    assert not look(tmp_path / "another", 0.0)


def test_a_fault_kills_only_a_process_that_the_run_can_do_without(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    readings = [each._replace(seconds=90.0) for each in look(tmp_path, 0.0)]
    link = reading(90.0, role="SuperLink", pid=os.getpid(), started=psutil.Process().create_time())
    fault = strike([link, *readings], 4, random.Random(0))
    assert fault is not None
    assert fault[:4] == (90.0, AGENT, "seat-2", 4)
    assert sleeper.wait(WAIT_LIMIT) == -signal.SIGKILL
    assert strike([link], 4, random.Random(0)) is None


def test_a_process_that_has_the_pid_of_one_that_ended_is_not_killed(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (found,) = look(tmp_path, 0.0)
    strike([found._replace(role=CLIENTAPP, started=found.started - 100)], 4, random.Random(0))
    assert sleeper.poll() is None


def test_disk_use_is_that_of_all_files_below(tmp_path: Path) -> None:
    before = disk_use(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 100_000)
    assert 100_000 <= disk_use(tmp_path) - before <= 200_000
    assert disk_use(tmp_path / "none") == 0


def soak(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.soak", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.system
def test_a_run_that_fails_fails_the_soak_with_its_last_words(tmp_path: Path) -> None:
    with soak("--out", str(tmp_path / "soak"), "--map", "4m") as process:
        _, told = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == FAILED
    assert "pps-qmix train ended (exit code 2)" in told
    assert "4m" in told


@pytest.mark.system
def test_an_interrupted_soak_prints_its_table_and_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "soak"
    with soak("--out", str(folder)) as process:

        def superlink_runs() -> bool:
            assert process.poll() is None
            return any(reading.role == "SuperLink" for reading in look(folder / "home", 0.0))

        wait_for(superlink_runs, "the SuperLink")
        process.terminate()
        told, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == INTERRUPTED
    assert "| SuperLink | 1 |" in told
    assert not list(members(folder / "home"))
    assert main(["--table", str(folder)]) == 0


@pytest.mark.parametrize("flags", [["--table", "{}/none"], ["--out", "{}"]])
def test_a_folder_that_cannot_be_used_is_one_line(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([flag.format(tmp_path) for flag in flags])
    assert ended.value.code == 2
    assert f"error: {flags[0]}: " in capsys.readouterr().err
