"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.files import create_file, replace_file, replacing, replacing_folder


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_name_may_be_as_long_as_the_system_has_any(tmp_path: Path) -> None:
    for name in ("x" * 255, "😀" * 63, "-", "#?%[b]\n", os.fsdecode(b"\xff" * 255)):
        replace_file(tmp_path / name, b"content")
        assert names(tmp_path) == [name]
        assert (tmp_path / name).read_bytes() == b"content"
        (tmp_path / name).unlink()


# --- files ----------------------------------------------------------------------------------------------------


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    assert path.read_bytes() == b"old"
    with replacing(path) as file:
        file.write(b"ne")
        file.write(b"w")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == []
    path.write_bytes(b"old")
    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, fails, full if fails == "fsync" else lambda *_: full(0))
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_what_is_in_a_files_place_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def noted_replace(old: Path, new: Path) -> None:
        done.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    replace_file(tmp_path / "file", b"new")
    written, *rest = done
    assert written.startswith(".file.")
    assert rest == ["replace", tmp_path.name]


def test_two_writers_of_a_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"the second")
    assert path.read_bytes() == b"first"  # whose block ended last
    assert names(tmp_path) == ["file"]


@pytest.mark.usefixtures("umask")
def test_a_files_mode_is_its_own_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"for all")
    assert mode(path) == 0o644
    with replacing(path, 0o600) as file:
        file.write(b"for one")
        (beside,) = [each for each in tmp_path.iterdir() if each != path]
        assert mode(beside) == 0o600
    assert mode(path) == 0o600
    create_file(tmp_path / "other", b"for one", 0o600)
    assert mode(tmp_path / "other") == 0o600


def test_only_files_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="what is there is no file"):
        replace_file(tmp_path / "pipe", b"x")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("pipe")
    replace_file(tmp_path / "link", b"x")  # the link's name, not what it leads to
    assert (tmp_path / "link").read_bytes() == b"x"
    assert names(tmp_path) == ["link", "pipe"]


def test_where_no_file_can_be_made_that_is_said_at_once(tmp_path: Path) -> None:
    begun = False
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "nowhere" / "file"):
        begun = True
    assert not begun


def test_a_file_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    create_file(tmp_path / "file", b"old")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(("number", "matters"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_folders_is_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, matters: bool
) -> None:
    sync = os.fsync

    def folders_fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", folders_fail)
    if matters:
        with pytest.raises(OSError, match=os.strerror(number)):
            replace_file(tmp_path / "file", b"new")
    else:
        replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


# --- folders --------------------------------------------------------------------------------------------------


def test_a_folder_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("old", "new"):
        with replacing_folder(path) as folder:
            (folder / name).write_text(name)
            assert names(path) == ["old"] if path.exists() else name == "old"
    assert names(path) == ["new"]
    assert names(tmp_path) == ["folder"]


def test_what_a_killed_writer_left_of_a_folder_is_not_in_the_next(tmp_path: Path) -> None:
    (tmp_path / "folder.tmp").mkdir()
    (tmp_path / "folder.tmp" / "half").touch()
    with replacing_folder(tmp_path / "folder") as folder:
        (folder / "whole").touch()
    assert names(tmp_path / "folder") == ["whole"]
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path = tmp_path / "folder"
    if there:
        path.mkdir()
        (path / "old").touch()

    def write() -> None:
        with replacing_folder(path) as folder:
            (folder / "new").touch()

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write()
    assert names(tmp_path) == (["folder"] if there else [])
    if there:
        assert names(path) == ["old"]
    write()
    assert names(path) == ["new"]
