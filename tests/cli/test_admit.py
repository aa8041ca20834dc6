"""`pps-qmix admit`: what it says of each key. A script takes the place of Flower's command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pps_qmix.runtime.superlink
from cli.main import main

# Answers with what is in a key's file.
SCRIPT = '#!/bin/sh\n[ "$1 $2 $4" = "supernode register here" ] && cat "$3"\n'


@pytest.fixture(autouse=True)
def _flwr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "flwr"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    monkeypatch.setattr(pps_qmix.runtime.superlink, "flower_command", lambda _: str(script))


def admit(folder: Path, **answers: str) -> int:
    keys = []
    for name, answer in answers.items():
        keys.append(folder / f"{name}.pub")
        keys[-1].write_text(answer)
    return main(["admit", "--superlink", "127.0.0.1:1", *map(str, keys)])


def error(message: str) -> str:
    return json.dumps({"success": False, "error-message": message})


def test_a_key_is_admitted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = error("Public key already in use. [code: 23]")
    assert admit(tmp_path, new=json.dumps({"success": True, "node-id": "7"}), old=known) == 0
    assert capsys.readouterr().out.splitlines() == ["new.pub: admitted", "old.pub: was admitted already"]


def test_a_key_that_is_not_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert admit(tmp_path, bad=error("Error: 'bad.pub' does not contain a valid\npublic key")) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("pps-qmix: the SuperLink at 127.0.0.1:1 has not taken ")
    assert said.endswith("bad.pub: Error: 'bad.pub' does not contain a valid public key")


def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert admit(tmp_path, key="") == 1
    assert capsys.readouterr().err == "pps-qmix: the SuperLink at 127.0.0.1:1 does not answer\n"


def test_a_key_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admit", "--superlink", "127.0.0.1:1", "no.pub"]) == 2
    assert capsys.readouterr().err == "pps-qmix: keys: the file no.pub does not exist\n"
