"""`python -m envproxy`: an env proxy without the `pps-qmix` command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envproxy.__main__ import main
from envproxy.tokens import token_path


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-P", "-m", "envproxy", "--listen", "127.0.0.1:0", "--battles", "1", "--arena", "a"]
    with log.open("wb") as said:
        process = subprocess.Popen(command, stderr=said, stdout=said, env={**os.environ, "PPS_HOME": str(tmp_path)})
    try:
        while "listening on 127.0.0.1:" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        assert token_path(tmp_path / "tokens", "a", 0).exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()


def test_it_needs_neither_flower_nor_the_other_parts() -> None:
    code = (
        "import sys, envproxy.command\n"
        "print(sorted({'cli', 'client', 'server', 'strategies', 'flwr', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("flags", "said", "code"),
    [
        (["--battles", "0"], "battles: expected 1..1024, found 0", 2),
        (["--map", "nowhere"], "the backend 'skirmish' has no map 'nowhere'; ", 2),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], said: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*flags, "--listen", "127.0.0.1:0"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m envproxy: {said}")


def test_a_home_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "file" / "home"))
    assert main(["--listen", "127.0.0.1:0", "--battles", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m envproxy: cannot make PPS_HOME ")
