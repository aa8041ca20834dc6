"""Compiled code that is kept: what makes it stale, and a folder that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disks import small_disk

ROOT = Path(__file__).parents[2]
PROGRAM = """
import logging
logging.basicConfig(format="%(message)s")
from small import twice
assert twice(3) == 6
stats = twice.stats
print("compiled" if stats.cache_misses else "loaded", stats.cache_path)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of what compiles, beside a program's function."""
    operations = tmp_path / "app" / "operations"
    operations.mkdir(parents=True)
    shutil.copy(ROOT / "operations" / "compiled.py", operations)
    (tmp_path / "app" / "part.py").write_text("")
    source = "from operations.compiled import entry\n@entry\ndef twice(x): return 2 * x\n"
    (tmp_path / "app" / "small.py").write_text(source)
    return tmp_path / "app"


def play(package: Path, cache: Path, where: str = "") -> str:
    """Run the program; return what it did and said."""
    command = [sys.executable, "-B", "-c", PROGRAM]
    environment = {"PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(cache), "PATH": os.environ["PATH"]}
    if where:
        command = ["unshare", "--mount", "sh", "-ec", f'mount -o remount,ro,bind "{where}"; exec "$@"', "-", *command]
    done = subprocess.run(command, env=environment, check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_code_compiled_before_an_edit_is_compiled_again(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert play(package, cache).startswith("compiled")
    for path in package.rglob("*.py"):  # as a copy of an image, or a checkout, may have it
        os.utime(path, (2**31, 2**31))
    assert play(package, cache).startswith("loaded")
    (package / "part.py").write_text("edited = True\n")
    assert play(package, cache).startswith("compiled")


def test_compiled_code_is_loaded_from_a_folder_that_cannot_be_written(package: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        cache = disk / "cache"
        play(package, cache)
        assert play(package, cache, where=str(disk)) == f"loaded {next(cache.iterdir())}\n"
        (package / "part.py").write_text("edited = True\n")
        said = play(package, cache, where=str(disk))
        assert said.startswith("compiled")
        assert "compiled code cannot be kept in" in said
        assert "Read-only file system" in said
