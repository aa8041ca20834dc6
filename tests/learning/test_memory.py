"""Freed memory is used again."""

import platform
import subprocess
import sys

import pytest

# 50 times 16 MiB: given back, 50 times 4096 pages would be asked of the system again.
PROGRAM = """
import resource, torch
from learning.memory import keep_freed_memory
keep_freed_memory()
def step():
    parts = [torch.zeros(1 << 20) for _ in range(4)]
    return sum(float(part[0]) for part in parts)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_pages_are_not_asked_of_the_system_again() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 10 * 4096
