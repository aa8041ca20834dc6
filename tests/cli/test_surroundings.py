"""Commands in surroundings that lack something: one line each, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points, files
from pathlib import Path

import pytest

import cli
from pps_qmix.runtime import processes as parts
from pps_qmix.runtime.processes import FLOWER_COMMANDS, Part, PartFailedError, flower_command
from pps_qmix.surroundings import PACKAGES, modules_with_our_names

CHECKOUT = str(Path(cli.__file__).parents[1])
# What begins with this has no home: neither HOME nor an entry of the user says where one is.
HOMELESS = """
import pwd, sys
def no_entry(*_):
    raise KeyError("uid not found")
pwd.getpwuid = pwd.getpwnam = no_entry
"""
MAIN = "import sys; from pps_qmix_command import main; sys.exit(main())"
EVERY = [
    ("maps",),
    ("train", "--runtime", "in-process"),
    ("train", "--runtime", "flower"),
    ("submit", "--superlink", "127.0.0.1:1"),
    ("watch", "random", "--map", "3m"),
]


def said(
    arguments: tuple[str, ...], folder: Path, changes: Mapping[str, str | None], program: str = MAIN
) -> tuple[int, str]:
    """Run a command in a folder, with another environment; return its exit code and what it says of errors."""
    environment = {**os.environ, "PPS_HOME": str(folder / "home"), **changes}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.fixture
def sealed() -> Path:
    """A folder in which no user can make anything, root neither."""
    return Path("/proc/self")


@pytest.mark.parametrize("name", PACKAGES)
def test_the_command_names_a_module_that_shadows_one_of_our_packages(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other" / f"{name}.py"
    other.parent.mkdir()
    other.touch()
    code, errors = said(("maps",), tmp_path, {"PYTHONPATH": f"{other.parent}{os.pathsep}{CHECKOUT}"})
    assert code == 1
    assert errors == (
        f"pps-qmix: {other} is imported in the place of the package {name} of pps-qmix; rename it, or take its folder "
        "out of PYTHONPATH\n"
    )


def test_a_folder_with_the_name_of_a_package_that_is_not_a_module_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "other" / "client").mkdir(parents=True)
    assert said(("strategies",), tmp_path, {"PYTHONPATH": f"{tmp_path / 'other'}"}) == (0, "")
    assert list(modules_with_our_names([str(tmp_path / "other")])) == []


def test_the_package_refuses_to_load_before_it_imports_a_module_that_shadows_ours(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").touch()
    program = (
        "import sys\ntry:\n    import pps_qmix\nexcept ImportError as error:\n    print(error, file=sys.stderr)\n"
        "print(*sys.modules.keys() & {'client', 'server', 'learning', 'operations', 'numpy', 'torch'}, file=sys.stderr)"
    )
    code, errors = said((), tmp_path, {"PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}"}, program)
    assert code == 0
    refused, imported = errors.split("\n")[:2]
    assert refused.startswith(
        f"{tmp_path / 'server' / '__init__.py'} is imported in the place of the package server of "
    )
    assert imported == ""


def test_the_console_script_starts_in_the_module_that_no_other_package_can_shadow() -> None:
    (script,) = entry_points(group="console_scripts", name="pps-qmix")
    assert script.value == "pps_qmix_command:main"


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_simulator_that_would_not_be_compiled_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, errors = said(arguments, tmp_path, {"NUMBA_DISABLE_JIT": "1"})
    assert code == (0 if arguments == ("maps",) else 1)  # the maps of the other backends are listed
    assert errors.startswith("pps-qmix: NUMBA_DISABLE_JIT is set: ")
    assert errors.endswith("; unset it\n")
    assert errors.count("\n") == 1


def test_the_working_directory_may_be_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    program = f"import os; os.rmdir(os.getcwd()); {MAIN}"
    for arguments in (("doctor",), ("status",), ("train", "--run", "x"), ("experiment", "x.toml")):
        (tmp_path / "gone").mkdir(exist_ok=True)
        code, errors = said(arguments, tmp_path / "gone", {}, program)
        assert code == 2
        assert errors == (
            "pps-qmix: the working directory cannot be used (No such file or directory); cd to a folder that is there\n"
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--runtime", "in-process"),
        ("train", "--runtime", "flower"),
        ("agent", "--seat", "0", "--superlink", "127.0.0.1:1", "--insecure"),
        ("envproxy", "--listen", "127.0.0.1:0"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("home", ["none", "sealed"])
def test_without_a_home_that_can_be_written_a_command_says_what_to_name(
    tmp_path: Path, sealed: Path, arguments: tuple[str, ...], home: str
) -> None:
    changes = {"PPS_HOME": None, "HOME": None if home == "none" else str(sealed), "NUMBA_CACHE_DIR": str(tmp_path)}
    code, errors = said(arguments, tmp_path, changes, (HOMELESS if home == "none" else "") + MAIN)
    assert code == 1
    (line,) = errors.splitlines()
    assert line.startswith(
        "pps-qmix: the home folder is unknown: HOME is not set"
        if home == "none"
        else f"pps-qmix: cannot make PPS_HOME {sealed}/.pps-qmix: "
    )
    assert line.endswith(" folder in PPS_HOME")
    assert not (tmp_path / "runs").exists()


def test_doctor_says_all_of_it(tmp_path: Path) -> None:
    changes = {"PPS_HOME": None, "FLWR_HOME": None, "HOME": None, "NUMBA_DISABLE_JIT": "1"}
    environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    call = [sys.executable, "-P", "-c", HOMELESS + MAIN, "doctor"]
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    failed = [
        line.split(": ")[0].split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("failed")
    ]
    assert failed == ["numba cache", "PPS_HOME", "FLWR_HOME"]


def test_flower_s_commands_need_not_be_beside_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install --user`."""
    where = {name: flower_command(name) for name in FLOWER_COMMANDS}
    interpreter = tmp_path / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setenv("PATH", os.defpath)
    found = {name: flower_command(name) for name in FLOWER_COMMANDS}
    assert {name: Path(path).resolve() for name, path in found.items()} == {
        name: Path(path).resolve() for name, path in where.items()
    }
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    part = Part("a search", ["sh", "-c", "command -v flower-superexec"], tmp_path / "log")
    part.wait()
    assert Path(part.said().strip()).resolve() == Path(where["flower-superexec"]).resolve()


def test_a_flower_without_its_commands_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files("flwr")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(parts, "files", lambda _: None)  # as a package of another kind
    with pytest.raises(PartFailedError, match=r"Flower's command flwr is not installed; pip install .*"):
        flower_command("flwr")
