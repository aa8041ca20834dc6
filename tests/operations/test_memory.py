"""What the kernel shows of memory's bounds, in folders like its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from operations.memory import Memory, gigabytes, killed, memory

Write = Callable[[dict[str, str]], None]
MB = 1 << 20


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    (folder / "self").mkdir(parents=True)
    return folder


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


@pytest.fixture
def write(proc: Path, groups: Path) -> Write:
    """Write files, named by their paths below `proc` or `groups`."""

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            where, _, rest = name.partition("/")
            path = (proc if where == "proc" else groups) / rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_version_2_counts_every_group_above_and_not_what_can_be_dropped(write: Write, proc: Path, groups: Path) -> None:
    write(
        {
            "proc/self/cgroup": "0::/batch/job/task\n",
            "groups/batch/job/task/memory.max": "max\n",
            "groups/batch/job/task/memory.current": f"{50 * MB}\n",
            "groups/batch/job/memory.max": f"{100 * MB}\n",
            "groups/batch/job/memory.current": f"{70 * MB}\n",
            "groups/batch/job/memory.stat": f"anon 1\ninactive_file {5 * MB}\nactive_file {15 * MB}\n",
            "groups/batch/memory.max": f"{200 * MB}\n",
            "groups/batch/memory.current": f"{140 * MB}\n",
        }
    )
    assert memory(proc, groups) == Memory(50 * MB, 100 * MB, limited=True)  # 100 - (70 - 5 - 15), not 200 - 140


def test_a_group_above_may_leave_less_than_our_own(write: Write, proc: Path, groups: Path) -> None:
    write(
        {
            "proc/self/cgroup": "0::/a/b\n",
            "groups/a/b/memory.max": f"{100 * MB}\n",
            "groups/a/b/memory.current": f"{10 * MB}\n",
            "groups/a/memory.max": f"{300 * MB}\n",
            "groups/a/memory.current": f"{290 * MB}\n",
        }
    )
    assert memory(proc, groups) == Memory(10 * MB, 300 * MB, limited=True)


def test_version_1_has_its_own_names_and_a_container_its_limit_at_the_root(
    write: Write, proc: Path, groups: Path
) -> None:
    write(
        {
            "proc/self/cgroup": "5:devices:/x\n4:cpu,memory:/docker/0123\n0::/\n",  # a path of the host
            "groups/memory/memory.limit_in_bytes": f"{64 * MB}\n",
            "groups/memory/memory.usage_in_bytes": f"{90 * MB}\n",
            "groups/memory/memory.stat": f"active_file 1\ntotal_inactive_file {20 * MB}\ntotal_active_file {10 * MB}\n",
        }
    )
    assert memory(proc, groups) == Memory(4 * MB, 64 * MB, limited=True)
    write({"groups/memory/memory.usage_in_bytes": f"{200 * MB}\n"})
    assert memory(proc, groups).free == 0


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/\n"},
        {"proc/self/cgroup": "0::/a\n", "groups/a/memory.max": "max\n", "groups/a/memory.current": "1\n"},
        {"proc/self/cgroup": "4:memory:/\n", "groups/memory/memory.limit_in_bytes": "9223372036854771712\n"},
    ],
)
def test_without_a_limit_it_is_the_machines(write: Write, proc: Path, groups: Path, files: dict[str, str]) -> None:
    write(files)
    found = memory(proc, groups)
    assert not found.limited
    assert 0 < found.free <= found.total


def test_processes_that_were_ended_for_lack_of_memory_are_counted(write: Write, proc: Path, groups: Path) -> None:
    assert killed(proc, groups) == 0
    write({"proc/vmstat": "pgfault 7\noom_kill 5\n"})
    assert killed(proc, groups) == 5
    write({"proc/self/cgroup": "0::/a/b\n", "groups/a/b/memory.events": "oom 9\noom_kill 2\noom_group_kill 1\n"})
    assert killed(proc, groups) == 2
    write({"proc/self/cgroup": "4:memory:/c\n", "groups/memory/c/memory.oom_control": "under_oom 0\noom_kill 3\n"})
    assert killed(proc, groups) == 3


def test_it_is_told_whose_it_is() -> None:
    assert gigabytes(17_649_000_000) == "17.6 GB"
    assert str(Memory(8_100_000_000, 9_000_000_000, limited=True)) == (
        "8.1 GB of the limit of its control group (cgroup) 9.0 GB are free"
    )
