"""What a run takes, against what there is: refused before it starts, and told when the kernel has ended a part."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

import pps_qmix.doctor.machine
import pps_qmix.runtime.memory
from cli.main import main
from envproxy.backend import MapSpec
from operations.memory import Memory
from pps_qmix import training
from pps_qmix.configuration import default_config
from pps_qmix.doctor.finding import Level
from pps_qmix.doctor.machine import check_memory
from pps_qmix.runtime.memory import (
    DEVICE,
    FEDERATION,
    MEMBER,
    ONE_DEVICE,
    PROCESS,
    SEAT,
    TooLittleMemoryError,
    check_side_by_side,
    in_process,
    one_device,
    over_flower,
    training_step,
)
from pps_qmix.runtime.processes import PartFailedError
from server.settings import Settings, check_settings
from tests.cli.conftest import surroundings
from tests.memory_groups import little_memory

__all__ = ["surroundings"]

GB = 10**9
# Inputs of an agent: 10 + 6 + 2 = 18 numbers. A step of a battle: 5 * 18 + 18 * 8 = 234 numbers, 936 bytes.
SMALL = MapSpec("small", n_agents=2, n_actions=6, obs_size=10, state_size=100, episode_limit=99)


def settings(**changed: Any) -> Settings:
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    return check_settings({**default_config(), "batch-size": 50, "hidden": 8, "buffer-size": 1000, **named})


def there(monkeypatch: pytest.MonkeyPatch, free: float, total: float = 32 * GB, *, limited: bool = False) -> None:
    """Let this machine have so much memory."""
    for module in (pps_qmix.runtime.memory, pps_qmix.doctor.machine):
        monkeypatch.setattr(module, "memory", lambda: Memory(int(free), int(total), limited))


def test_a_run_is_its_fixed_parts_and_for_each_device_its_processes_and_a_training_step() -> None:
    step = 4_680_000  # 50 battles of 100 observations, 936 bytes each
    assert training_step(SMALL, 50, 8) == step
    assert over_flower(SMALL, settings()) == FEDERATION + 2 * (DEVICE + step)
    assert one_device(SMALL, settings()) == ONE_DEVICE + step


def test_every_member_of_a_device_takes_a_training_step() -> None:
    step = 4_680_000
    assert over_flower(SMALL, settings(teams=10, devices=4)) == FEDERATION + 4 * DEVICE + 16 * MEMBER + 20 * step


@pytest.mark.parametrize(
    ("agents", "batch_size", "measured"),
    [(30, 8, 2.43), (300, 8, 4.19), (1002, 8, 7.07), (30, 96, 3.30), (120, 96, 6.49)],  # GB, docs/teams.md
)
def test_many_agents_are_estimated_near_what_they_took(agents: int, batch_size: int, measured: float) -> None:
    spec = MapSpec("3m", n_agents=3, n_actions=9, obs_size=30, state_size=48, episode_limit=60)
    estimate = over_flower(spec, settings(teams=agents // 3, batch_size=batch_size, hidden=64)) / GB
    assert 0.95 * measured < estimate < 1.3 * measured


def test_in_one_process_as_many_learn_at_once_as_there_are_threads() -> None:
    assert in_process(SMALL, settings(), 1) == PROCESS + 2 * SEAT + 4_680_000
    assert in_process(SMALL, settings(), 8) == PROCESS + 2 * SEAT + 2 * 4_680_000


def test_joint_qmix_keeps_states_besides() -> None:
    kept = 1000 * 50 * 100 * 4  # buffer-size, steps of a battle of half the limit, state, bytes
    joint = settings(mixing="joint", base="qmix")
    assert over_flower(SMALL, joint) - over_flower(SMALL, settings()) == kept
    assert in_process(SMALL, joint, 1) - in_process(SMALL, settings(), 1) == kept
    assert over_flower(SMALL, settings(mixing="joint", base="vdn")) == over_flower(SMALL, settings())


def test_as_many_runs_as_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    there(monkeypatch, 3.5 * GB)
    check_side_by_side([GB, 2 * GB, GB], 2)
    with pytest.raises(
        TooLittleMemoryError,
        match=r"^3 processes at once need about 4.0 GB of memory, but 3.5 GB of the machine's 32.0 GB are free; "
        "--jobs 2 fits; --no-memory-check starts them all the same$",
    ):
        check_side_by_side([GB, 2 * GB, GB], 3)
    with pytest.raises(
        TooLittleMemoryError, match=r"1 processes at once need about 5.0 GB .* not even one of them fits"
    ):
        check_side_by_side([5 * GB], 2)


def test_train_refuses_in_one_line_and_goes_ahead_if_told_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], surroundings: None, tmp_path: Path
) -> None:
    there(monkeypatch, 4 * GB, 9 * GB, limited=True)
    command = ["train", "--map", "27m_vs_30m", "--preset", "quick"]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pps-qmix: 27 devices on 27m_vs_30m need about 7.0 GB ")
    assert "but 4.0 GB of the limit of its control group (cgroup) 9.0 GB are free; play it with --runtime in-p" in line
    assert line.endswith(" or start it all the same with --no-memory-check")
    assert not (tmp_path / "runs").exists()

    def started(*_: object) -> NoReturn:
        raise PartFailedError("the run is started")

    monkeypatch.setattr(training, "FlowerRun", started)  # what comes after the look at the memory
    assert main([*command, "--no-memory-check"]) == 1
    assert "the run is started" in capsys.readouterr().err


def test_an_experiment_refuses_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], surroundings: None, tmp_path: Path
) -> None:
    there(monkeypatch, GB)
    (tmp_path / "e.toml").write_text(
        'name = "e"\nseeds = [1, 2]\nmaps = ["3m"]\n[[methods]]\nname = "A"\nstrategy = "a-pps"\nbase = "vdn"\n'
    )
    assert main(["experiment", "e.toml", "--jobs", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pps-qmix: 2 processes at once need about 1.2 GB of memory, but 1.0 GB ")
    assert "; --jobs 1 fits; " in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("free", "level", "says"),
    [
        (0.5, Level.FAILED, "a device on small takes about 0.6 GB: use a machine with more"),
        (1.2, Level.WARNING, "a run with all of them here has not: 2 devices on small need about 1.4 GB of memory"),
        (2.0, Level.OK, "takes about 0.6 GB, a run with all 2 of them on this machine about 1.4 GB"),
    ],
)
def test_doctor_says_it_of_a_device_and_of_a_run(
    monkeypatch: pytest.MonkeyPatch, free: float, level: Level, says: str
) -> None:
    there(monkeypatch, free * GB)
    finding = check_memory(SMALL, settings())
    assert (finding.check, finding.level) == ("memory", level)
    assert says in finding.says
    assert f"{free:.1f} GB of the machine's 32.0 GB are free" in finding.says


def test_a_limit_of_a_control_group_is_kept_to(tmp_path: Path) -> None:
    with little_memory(f"pps-{tmp_path.name[-40:]}", 1500) as run:
        done = run("-m", "cli.main", "train", "--map", "10m_vs_11m", "--runs", str(tmp_path), "--run", "r")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "10 devices on 10m_vs_11m need about " in line
    assert " of the limit of its control group (cgroup) 1.6 GB are free; " in line


def test_a_part_that_the_kernel_ended_for_lack_of_memory_is_told_as_that(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pps_qmix.runtime.processes import Part\n"
        "for code in ('x = bytearray(1 << 30)', 'import os; os.kill(os.getpid(), 9)'):\n"
        "    part = Part('it', [sys.executable, '-c', code], Path(sys.argv[1]))\n"
        "    part.wait()\n"
        "    print(part.ending)\n"
    )
    with little_memory(f"pps-{tmp_path.name[-40:]}", 200) as run:
        done = run("-c", program, str(tmp_path / "log"))
    short, other = done.stdout.splitlines()
    assert short == "exit code -9; memory has probably run out: the kernel has ended a process for that"
    assert other == "exit code -9"
