"""`pps-qmix train` as its user sees it: interrupted, resumed, with a part that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from operations.paths import shown
from server.run_directory import is_held
from tests.system.conftest import agents, processes, rounds
from tests.waiting import WAIT_LIMIT, wait_for

Train = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.long(45)
def test_an_interrupt_ends_everything_and_the_run_can_be_resumed(
    train: Train, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In folders of any name, with the longest name that a run may have, and where proxies lead nowhere."""
    for variable in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("PPS_HOME", str(home / "a #?%b, [c] \"'\\ é😀"))
    runs, name = tmp_path / "runs [old] a[" / "b] :cat: #?%\t\"'\\", "r" * 100
    run = runs / name
    process = train(name, "--runs", str(runs), total_steps=50_000, seed=3)
    wait_for(lambda: rounds(run), "a round")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 130, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert f"; run {shown(run)}\n" in output
    assert not processes(f"{run}/flower")
    assert not agents(tmp_path)

    before = rounds(run)
    total = before[-1]["steps"] + 300
    resumed = subprocess.run(
        [sys.executable, "-m", "cli.main", "train", "--resume", str(run), "--total-steps", str(total)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert resumed.returncode == 0, resumed.stderr
    after = rounds(run)
    assert after[: len(before)] == before
    assert [row["round"] for row in after] == list(range(1, len(after) + 1))
    assert after[-1]["steps"] >= total
    # the agents went on with the buffers they had
    assert after[len(before)]["seats"]["0"]["buffered"] > before[-1]["seats"]["0"]["buffered"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_command_that_is_killed_leaves_nothing_behind(
    train: Train, tmp_path: Path, home: Path, number: signal.Signals
) -> None:
    run = number.name.lower()  # both may be played at the same time
    process = train(run, total_steps=50_000)
    wait_for(lambda: rounds(tmp_path / run), "a round")
    left = descendants(process.pid, home)
    started = "\n".join(" ".join(each.cmdline()) for each in left)  # names are pythons' where a path has a space
    for each in ("flower-superlink", "flower-supernode", "flower-superexec", "flwr-serverapp"):
        assert each in started
    assert len(agents(tmp_path)) == 3
    process.send_signal(number)
    assert process.wait(WAIT_LIMIT) == {signal.SIGKILL: -signal.SIGKILL, signal.SIGHUP: 130}[number]
    wait_for(lambda: not descendants(process.pid, home), "the end of all that it has started")
    assert not is_held(tmp_path / run)


def descendants(command: int, home: Path) -> list[psutil.Process]:
    """Return what a command has started and those have: they have its PPS_HOME, also when their parent has ended."""
    return [
        process
        for process in psutil.process_iter(["environ", "status"])
        if (process.info["environ"] or {}).get("PPS_HOME") == str(home)
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and process.pid not in (command, os.getpid())
    ]


def test_a_command_under_nohup_continues_after_its_terminal_closes(train: Train, tmp_path: Path, home: Path) -> None:
    hung_up = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = train("alone", "--runtime", "in-process", total_steps=500_000)
    finally:
        signal.signal(signal.SIGHUP, hung_up)
    wait_for(lambda: rounds(tmp_path / "alone"), "a round")
    process.send_signal(signal.SIGHUP)
    before = len(rounds(tmp_path / "alone"))
    wait_for(lambda: len(rounds(tmp_path / "alone")) > before, "another round")


def test_without_retries_a_killed_part_ends_the_run_and_its_last_lines_are_shown(
    train: Train, tmp_path: Path, home: Path
) -> None:
    process = train("dead", "--retries", "0", total_steps=50_000)
    wait_for(lambda: agents(tmp_path), "an agent")
    (superlink,) = [
        each for each in psutil.Process(process.pid).children() if "flower-superlink" in " ".join(each.cmdline())
    ]
    superlink.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 1
    assert "pps-qmix: the SuperLink ended (exit code -9)" in output
    assert "POST /v1/" in output  # its last words
    assert "Traceback" not in output
    assert not processes(f"{tmp_path}/dead/flower")
    assert not agents(tmp_path)


def test_the_in_process_runtime_is_interrupted_like_the_other(train: Train, tmp_path: Path, home: Path) -> None:
    process = train("short", "--runtime", "in-process", total_steps=500_000)
    wait_for(lambda: rounds(tmp_path / "short"), "a round")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 130, output
    assert "Traceback" not in output
