"""Paths as users write them, and as they are shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.paths import is_utf8, real_path, shown, shown_lines, user_path
from tests.nasty import NOT_UTF8, names


def test_a_tilde_is_a_home_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert user_path("~") == Path("/home/me")
    assert user_path("~/x/") == Path("/home/me/x")
    assert user_path("~no such user/x") == Path("~no such user/x")
    assert user_path("a/~") == Path("a/~")
    assert user_path("./~/x") == Path("./~/x")


@given(folders=st.lists(names(NOT_UTF8), min_size=1, max_size=4))
def test_any_other_path_stays_as_it_is_written(folders: list[str]) -> None:
    path = Path(*folders)
    assert user_path(f"./{'/'.join(folders)}") == path
    assert user_path(Path("/") / path) == Path("/") / path


def test_a_mounted_folder_is_shown_as_it_is_named_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPS_HOST_PATHS", "/runs=./runs")
    for inside, outside in (
        ("/runs", "./runs"),
        ("cannot write /runs/a/run.json: full", "cannot write ./runs/a/run.json: full"),
        ("'/runs/a', /runs/b", "'./runs/a', ./runs/b"),
        ("/runs2/a and /x/runs/a and ./runs/a", "/runs2/a and /x/runs/a and ./runs/a"),
    ):
        assert shown(inside) == outside
        assert shown(shown(inside)) == outside
    monkeypatch.setenv("PPS_HOST_PATHS", "/runs=/runs/mine")
    assert shown(shown("/runs/a")) == "/runs/mine/a"


def test_a_path_leads_to_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "a run"
    (run / "checkpoints").mkdir(parents=True)
    (tmp_path / "link").symlink_to(run)
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(run)
    for written in (".", "./", "..//a run/", "checkpoints/..", "../../link", "../../link/.", str(tmp_path / "link")):
        assert real_path(Path(written)) == run, written
    assert real_path(tmp_path / "none" / ".." / "x") == tmp_path / "x"
    assert real_path(tmp_path / "loop") == tmp_path / "loop"


@given(text=st.text() | names(NOT_UTF8))
def test_what_is_shown_is_one_line_and_all_there(text: str) -> None:
    said = shown(text)
    assert len(said.splitlines()) <= 1
    assert said.encode().decode() == said
    assert not any(ord(sign) < 32 for sign in said)
    if text.isprintable():
        assert said == text
    assert shown_lines(f"{text}\n{text}").split("\n") == [shown(line) for line in f"{text}\n{text}".split("\n")]


def test_what_has_no_sign_is_shown_as_its_escape() -> None:
    assert shown("a\tb\nc\x1b[31m") == r"a\tb\nc\x1b[31m"
    assert shown(Path(os.fsdecode(b"/x\xff"))) == r"/x\udcff"
    assert shown("é 猫 😀 [old] :cat: %s {} \\") == "é 猫 😀 [old] :cat: %s {} \\"


def test_what_is_no_text() -> None:
    assert is_utf8(Path("é😀"))
    assert not is_utf8(Path(os.fsdecode(b"x\xff")))
