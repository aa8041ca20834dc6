"""How a user calls the program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from operations.program import program


@pytest.mark.parametrize(
    ("called", "is_on_path", "name"),
    [
        (".venv/bin/pps-qmix", False, ".venv/bin/pps-qmix"),
        (".venv/bin/pps-qmix", True, "pps-qmix"),
        ("/somewhere/pytest", False, "pps-qmix"),
    ],
)
def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: str, is_on_path: bool, name: str
) -> None:
    if is_on_path:
        (tmp_path / "pps-qmix").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [called, "train"])
    assert program() == name
