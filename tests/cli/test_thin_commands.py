"""A module of `cli` parses arguments, calls the packages below it, and prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CLI = Path(__file__).parents[2] / "cli"
MODULES = sorted(CLI.glob("*.py"))

# No processes, sockets, files, arrays, federation or learning: what needs them has its place in another package.
IMPORTS = {
    *("__future__", "argparse", "collections", "contextlib", "dataclasses", "datetime", "importlib", "io", "itertools"),
    *("json", "logging", "pathlib", "re", "shlex", "signal", "sys", "threading", "time", "types", "typing", "rich"),
    *("cli", "pps_qmix", "operations", "server", "strategies", "envproxy"),
}
LONGEST = 150  # lines


def imported(module: Path) -> set[str]:
    """The top-level names of what a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "cli").partition(".")[0])
    return found


def test_the_package_has_no_packages_of_its_own() -> None:
    assert len(MODULES) > 15
    assert [path.name for path in CLI.iterdir() if path.is_dir() and path.name != "__pycache__"] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_command_imports_only_what_parses_calls_and_prints(module: Path) -> None:
    assert imported(module) - IMPORTS == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_command_is_short(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST
