"""`pps-qmix submit`: what it refuses before it calls anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.main import main
from pps_qmix import training
from server.failure import NeedsYouError, what_needs_you
from server.run_directory import RunDirectory, open_run
from server.settings import Settings, check_settings
from tests.server.squad import defaults


@pytest.fixture(autouse=True)
def _here(surroundings: None) -> None:
    pass


def begun(tmp_path: Path) -> Settings:
    """The settings of a run that has begun."""
    settings = check_settings({**defaults(), "runs": str(tmp_path / "runs"), "run": "begun"})
    RunDirectory.create(settings)
    return settings


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--superlink coordinator", "superlink: expected HOST:PORT, found 'coordinator'"),
        ("--superlink there:8000", "superlink: there:8000 is another machine; give --root-certificates for TLS, or"),
        ("--superlink there:8000 --root-certificates ca", "root-certificates: the file ca does not exist"),
        ("--superlink there:8000 --root-certificates ca --insecure", "insecure: with --root-certificates nothing is"),
        ("--superlink 127.0.0.1:1 --centralised true", "centralised: expected false"),
        ("--superlink 127.0.0.1:1 --map 3mm", "the backend 'skirmish' has no map '3mm'"),
        ("--superlink 127.0.0.1:1 --resume nothing", "nothing is not a run directory"),
        ("--superlink 127.0.0.1:1 --retries -1", "argument --retries: expected 0, 1, 2, ..., found '-1'"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(capsys: pytest.CaptureFixture[str], arguments: str, said: str) -> None:
    try:
        code = main(["submit", *arguments.split()])
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


@pytest.mark.parametrize(
    "command", [("train",), ("train", "--runtime", "in-process"), ("submit", "--superlink", "[::1]:1")]
)
def test_a_run_that_is_being_played_is_not_resumed_beside(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    settings = begun(tmp_path)
    with open_run(settings.model_copy(update={"resume": True}), {}) as directory:
        assert main([*command, "--resume", str(directory.path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == f"pps-qmix: {directory.path}: another process writes this run; wait for its end, or end it"


def test_an_env_proxy_that_does_not_serve_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_SERVES_WITHIN", 0.5)
    assert main(["submit", "--superlink", "127.0.0.1:1", "--envproxy", "127.0.0.1:1"]) == 1
    said = capsys.readouterr()
    missing = "no env proxy serves the run's arena at 127.0.0.1:1"
    assert said.out.splitlines()[1:] == [f"waiting: {missing} yet"]
    assert said.err == f"pps-qmix: {missing} after 0 s; its log says why\n"


def test_flower_hands_on_what_needs_the_user() -> None:
    """Flower's words around an exception's text, as `flwr list` has them."""
    passed_on = f"ServerApp failed with exception: {NeedsYouError('map: expected 3m')}"
    assert what_needs_you(passed_on) == "map: expected 3m"
    assert what_needs_you("No heartbeat received from the task") is None
