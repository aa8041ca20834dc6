"""The programs that run under the workers' interpreter, which has neither this project nor a Python as new as ours."""

import ast
import sys
from pathlib import Path

import pytest

from envproxy.backends import smac

FOLDER = Path(smac.__file__).parent
WITH_SMAC = {"numpy", "absl", "smac", "pysc2"}  # what an environment that plays has


@pytest.mark.parametrize("program", ["worker.py", "probe.py"])
def test_a_program_needs_no_more_than_the_standard_library_and_smac(program: str) -> None:
    tree = ast.parse((FOLDER / program).read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names | WITH_SMAC


def test_a_keeper_loads_little() -> None:
    """There is one for every battle: numpy and SMAC are the player's alone."""
    tree = ast.parse((FOLDER / "worker.py").read_text(encoding="utf-8"))
    at_start = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert at_start
    assert not at_start & WITH_SMAC
