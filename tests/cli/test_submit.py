"""`pps-qmix submit`: what it refuses before anything is sent; tests/system submits for real."""

from __future__ import annotations

import pytest

from cli.main import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--superlink", "link"], "superlink: expected HOST:PORT, found 'link'"),
        (["--superlink", "link.example:8000"], "give --root-certificates FILE, or --insecure"),
        (["--superlink", "127.0.0.1:1", "--battles", "x"], "battles: expected a whole number, found 'x'"),
        (["--superlink", "127.0.0.1:1", "--centralised", "true", "--base", "qmix"], "nothing to federate"),
    ],
)
def test_wrong_flags_are_said(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(["submit", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line
