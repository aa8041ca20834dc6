"""What is told of an installation of SMAC and StarCraft II before a game is started: one line, with what to do.

Stubs take the place of the packages, and the stand-in's layout that of the game; nothing is launched.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import main
from envproxy.backend import BackendFailedError, create_backend
from envproxy.backends.smac.installation import Found, find_installation
from envproxy.backends.smac.options import GameOptions
from envproxy.options import OptionsError
from envproxy.rules import Rules
from tests.starcraft.installation import PROGRAM, make_installation

STUBS = {
    "smac/__init__.py": "",
    "smac/env/__init__.py": "",
    "smac/env/starcraft2/__init__.py": "",
    "smac/env/starcraft2/starcraft2.py": "from smac.env.starcraft2.maps import smac_maps\nprint('hello')\n",
    "smac/env/starcraft2/maps/__init__.py": "",
    "smac/env/starcraft2/maps/smac_maps.py": "def get_smac_map_registry(): return {'3m': {}, '8m': {}}\n",
    "smac-1.0.0.dist-info/METADATA": "Name: SMAC\nVersion: 1.0.0\n",
    "pysc2/__init__.py": "",
    "pysc2/maps.py": "",
    "pysc2/lib/__init__.py": "",
    "pysc2/lib/protocol.py": "",
    "pysc2/run_configs/__init__.py": "from pysc2.run_configs import lib\n",
    "pysc2/run_configs/lib.py": (
        "from collections import namedtuple\n"
        "Version = namedtuple('Version', 'game_version build_version')\n"
        "VERSIONS = {name: Version(name, build) for name, build in [('4.10.0', 75689), ('4.9.3', 75025)]}\n"
    ),
    "pysc2-4.0.0.dist-info/METADATA": "Name: pysc2\nVersion: 4.0.0\n",
    "pys2clientprotocol-1.0.2.dist-info/METADATA": "Name: pys2clientprotocol\nVersion: 1.0.2\n",
    "s2clientprotocol/__init__.py": "",
    **{f"s2clientprotocol/{part}_pb2.py": "" for part in ("common", "raw", "debug", "sc2api")},
}
PYTHON = shlex.quote(sys.executable)
INSTALL = "pip install --no-deps -r deploy/starcraft/requirements.txt"
UNPACK = "unpack StarCraft II (for Linux, 4.10) and name its folder in SC2PATH"
COPY_MAPS = "copy the folder smac/env/starcraft2/maps/SMAC_Maps of SMAC's repository to that place"


@dataclass(frozen=True)
class Machine:
    """Where packages and the game are, to be spoilt."""

    packages: Path
    game: Path

    @property
    def program(self) -> Path:
        return self.game / PROGRAM

    @property
    def maps(self) -> Path:
        return self.game / "Maps" / "SMAC_Maps"

    def write(self, path: str, text: str) -> None:
        (self.packages / path).parent.mkdir(parents=True, exist_ok=True)
        (self.packages / path).write_text(text)

    def remove(self, name: str) -> None:
        shutil.rmtree(self.packages / name)

    def interpreter(self, *commands: str) -> Path:
        """Make one, by a path with a space: the test's, after these commands of a shell."""
        path = self.packages.parent / "an interpreter" / "python"
        path.parent.mkdir()
        path.write_text("\n".join(["#!/bin/sh", *commands, f'exec {PYTHON} "$@"']))
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that has what two maps need."""
    made = Machine(tmp_path / "packages", make_installation(tmp_path / "Star Craft II", ["3m", "8m"]))
    for path, text in STUBS.items():
        made.write(path, text)
    monkeypatch.setenv("PYTHONPATH", str(made.packages))
    monkeypatch.setenv("PPS_SMAC_PYTHON", sys.executable)
    monkeypatch.setenv("SC2PATH", str(made.game))
    return made


def refusal(rules: str = "", options: str = "", map_name: str = "3m") -> str:
    """Return why no battle can be played here."""
    with pytest.raises(BackendFailedError) as refused:
        create_backend("smac", map_name, 1, Rules.parse(rules), options).prepare()
    said = str(refused.value)
    assert "\n" not in said
    assert "Traceback" not in said
    return said


def provenance(rules: str = "") -> dict[str, str]:
    battles = create_backend("smac", "3m", 1, Rules.parse(rules))
    battles.prepare()
    return dict(battles.provenance)


# --- what is right --------------------------------------------------------------------------------------------


def test_a_machine_that_has_all_tells_what_is_played_on(machine: Machine) -> None:
    found = find_installation(GameOptions(), "3m", "", ["3m", "8m"]).found
    assert all(each.is_right and each.is_needed for each in found[:-1])
    assert [each.what for each in found] == [
        *("worker's python", "smac", "protocol", "pysc2", "StarCraft II", "map 3m", "other maps"),
    ]
    told = provenance()
    assert sorted(told) == ["game", "map-sha256", "protocol", "pysc2", "smac"]
    assert told["game"] == "StarCraft II 4.10.0 (Base75689)"
    assert told["protocol"].startswith("pys2clientprotocol 1.0.2, protobuf ")
    assert told["pysc2"] == "4.0.0"
    assert provenance("game-version=4.10") == told


def test_the_newest_version_is_played_unless_one_is_named(machine: Machine) -> None:
    for build in ("Base75025", "Base99999"):
        shutil.copytree(machine.program.parent, machine.game / "Versions" / build)
    assert provenance()["game"] == "StarCraft II of unknown version (Base99999)"
    assert provenance("game-version=4.9.3")["game"] == "StarCraft II 4.9.3 (Base75025)"


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"smac-1.0.0.dist-info/direct_url.json": json.dumps({"vcs_info": {"commit_id": "a" * 40}})}, "a" * 40),
        ({"smac-1.0.0.dist-info/direct_url.json": json.dumps({"url": "file:///x", "dir_info": {}})}, None),
        ({".git/HEAD": "b" * 40 + "\n"}, "b" * 40),
        ({".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "c" * 40 + "\n"}, "c" * 40),
        ({".git/HEAD": "ref: refs/heads/main\n"}, None),
    ],
)
def test_smac_is_known_by_its_commit_or_its_content(
    machine: Machine, files: dict[str, str], commit: str | None
) -> None:
    for path, text in files.items():
        machine.write(path, text)
    assert provenance()["smac"] == commit or provenance()["smac"].startswith("sha256 of starcraft2.py: ")


def test_maps_that_are_missing_are_counted_and_needed_only_where_they_are_played(machine: Machine) -> None:
    *_, others = find_installation(GameOptions(), "3m", "", ["3m", "8m", "2s3z", "MMM"]).found
    says = f"{machine.maps} lacks 2 of 3: 2s3z, MMM; {COPY_MAPS}"
    assert others == Found("other maps", False, says, is_needed=False)
    create_backend("smac", "3m", 1).prepare()
    assert refusal(map_name="MMM") == f"map MMM: {machine.maps} has no MMM.SC2Map; {COPY_MAPS}"


# --- packages -------------------------------------------------------------------------------------------------


def test_automls_smac_is_refused_by_its_name(machine: Machine) -> None:
    machine.remove("smac")
    machine.remove("smac-1.0.0.dist-info")
    machine.write("smac/__init__.py", "raise RuntimeError('it is not imported')")
    machine.write("smac/facade/__init__.py", "")
    machine.write("smac-2.4.1.dist-info/METADATA", "Name: smac\nVersion: 2.4.1\n")
    assert refusal() == (
        f"smac: {machine.packages / 'smac'} is AutoML's SMAC 2.4.1, which has the same name, and not the StarCraft "
        f"Multi-Agent Challenge; pip uninstall smac there, then {INSTALL}"
    )


def test_no_smac(machine: Machine) -> None:
    machine.remove("smac")
    (machine.packages / "smac").mkdir()  # any folder of that name
    assert refusal().startswith(f"smac: {sys.executable} has no SMAC; make an environment with {INSTALL} and name its ")


def test_a_protocol_that_does_not_load_under_its_protobuf(machine: Machine) -> None:
    machine.remove("pys2clientprotocol-1.0.2.dist-info")
    machine.write("s2clientprotocol-5.0.17.dist-info/METADATA", "Name: s2clientprotocol\nVersion: 5.0.17\n")
    machine.write("s2clientprotocol/raw_pb2.py", "raise TypeError('Descriptors cannot be created directly.\\nIf ...')")
    said = refusal()
    assert said.startswith("protocol: s2clientprotocol 5.0.17 does not load under protobuf ")
    assert " (TypeError: Descriptors cannot be created directly.); pip uninstall s2clientprotocol " in said
    assert said.endswith(f", then {INSTALL}")


@pytest.mark.parametrize(
    ("what", "module", "text", "says"),
    [
        ("protocol", "s2clientprotocol/common_pb2.py", "import no_such", "has no package no_such"),
        ("pysc2", "pysc2/lib/protocol.py", "import no_such.part", "has no package no_such"),
        ("pysc2", "smac/env/starcraft2/starcraft2.py", "import absl_", "has no package absl_"),
        ("pysc2", "pysc2/maps.py", "x = = 1", "pysc2.maps does not load under"),
        ("pysc2", "pysc2/run_configs/__init__.py", "raise OSError", "does not load under"),
    ],
)
def test_packages_that_lack_something_or_do_not_load(
    machine: Machine, what: str, module: str, text: str, says: str
) -> None:
    machine.write(module, text)
    said = refusal()
    assert said.startswith(f"{what}: ")
    assert says in said
    assert said.endswith(f"; {INSTALL}")


# --- the interpreter ------------------------------------------------------------------------------------------


def test_an_interpreter_is_named_with_spaces_or_a_tilde(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = machine.interpreter()
    monkeypatch.setenv("HOME", str(path.parents[1]))
    monkeypatch.setenv("PPS_SMAC_PYTHON", "~/an interpreter/python")
    create_backend("smac", "3m", 1).prepare()
    monkeypatch.setenv("PPS_SMAC_PYTHON", "/no/such/python")
    for named in (path, "~/an interpreter/python"):
        create_backend("smac", "3m", 1, options=f"python='{named}'").prepare()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot run {}: No such file or directory"),
        (lambda path: path.write_text("#!/bin/sh\n"), "cannot run {}: Permission denied"),
        (lambda path: path.mkdir(), "cannot run {}: it is a folder"),
        (lambda path: path.symlink_to("/bin/true"), "{} does not say what it has (exit code 0; last words: nothing)"),
        (lambda path: path.symlink_to("/bin/cat"), "{} does not say what it has (exit code 0; last words: nothing)"),
        (
            lambda path: (path.write_text("#!/bin/sh\necho >&2 SyntaxError: old\nexit 1\n"), path.chmod(0o755)),
            "{} does not say what it has (exit code 1; last words: SyntaxError: old)",
        ),
    ],
)
def test_an_interpreter_that_cannot_be_one(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "python")
    monkeypatch.setenv("PPS_SMAC_PYTHON", str(tmp_path / "python"))
    said = refusal()
    assert said.startswith(f"worker's python: {says.format(tmp_path / 'python')}; expected Python 3.8 or newer with ")
    assert said.endswith("; name it in PPS_SMAC_PYTHON, or as python=... in backend-options")


def test_enum34_on_the_path(machine: Machine) -> None:
    hides = machine.packages.parent / "hides"
    (hides / "enum").mkdir(parents=True)
    (hides / "enum" / "__init__.py").touch()
    python = machine.interpreter(f"export PYTHONPATH='{hides}'")
    said = refusal(options=f"python='{python}'")
    assert said.startswith(f"worker's python: {python} has enum34 on its path")
    assert "pip uninstall enum34" in said


# --- the game -------------------------------------------------------------------------------------------------


def is_a_file(machine: Machine) -> None:
    shutil.rmtree(machine.game)
    machine.game.touch()


def has_no_base(machine: Machine) -> None:
    shutil.rmtree(machine.program.parent)
    (machine.game / "Versions" / "Shared").mkdir()


def asks_for_glibc(machine: Machine) -> None:
    machine.program.write_text(f"{machine.program.read_text()}# GLIBC_2.4 GLIBCXX_9.1 GLIBC_2.99\n")


@pytest.mark.parametrize(
    ("spoil", "says", "remedy"),
    [
        (lambda at: shutil.rmtree(at.game), "{0.game} is not there", UNPACK),
        (is_a_file, "{0.game} is not a folder", UNPACK),
        (lambda at: shutil.rmtree(at.game / "Versions"), "{0.game} has no folder Versions", UNPACK),
        (has_no_base, "{0.game}/Versions has no folder Base*", UNPACK),
        (lambda at: at.program.unlink(), "{0.program} is not there", UNPACK),
        (lambda at: at.program.chmod(0o644), "{0.program} may not be run by user ", "chmod a+rx it"),
        (asks_for_glibc, "{0.program} needs GLIBC 2.99, this machine has ", "use a newer Linux"),
    ],
)
def test_a_game_that_cannot_be_started(
    machine: Machine, spoil: Callable[[Machine], object], says: str, remedy: str
) -> None:
    spoil(machine)
    said = refusal()
    assert said.startswith(f"StarCraft II: {says.format(machine)}")
    assert f"; {remedy}" in said


def test_sc2path_that_names_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SC2PATH", "")
    assert refusal() == f"StarCraft II: SC2PATH is empty; {UNPACK}"
    monkeypatch.delenv("SC2PATH")
    monkeypatch.setenv("HOME", str(machine.packages))
    missing = machine.packages / "StarCraftII"
    assert refusal() == f"StarCraft II: {missing} is not there; SC2PATH is not set; {UNPACK}"
    machine.game.rename(missing)
    create_backend("smac", "3m", 1).prepare()


def test_versions_that_cannot_be_played(machine: Machine) -> None:
    end = "; expected 4.10.0, or no game-version for the newest that is installed"
    assert refusal("game-version=4.99") == f"StarCraft II: game-version 4.99.0: pysc2 does not know it{end}"
    absent = f"Base75025 is not in {machine.game / 'Versions'}"
    assert refusal("game-version=4.9.3") == f"StarCraft II: game-version 4.9.3: {absent}{end}"


def test_maps_that_are_missing(machine: Machine) -> None:
    (machine.maps / "3m.SC2Map").unlink()
    assert refusal() == f"map 3m: {machine.maps} has no 3m.SC2Map; {COPY_MAPS}"
    shutil.rmtree(machine.maps)
    assert refusal() == f"map 3m: {machine.maps} is not there; {COPY_MAPS}"


def test_a_map_that_this_smac_does_not_know(machine: Machine) -> None:
    (machine.maps / "MMM.SC2Map").touch()
    assert refusal(map_name="MMM") == f"map MMM: this SMAC has no map MMM, but 3m, 8m; {INSTALL}"


@pytest.mark.parametrize(
    ("path", "what"),
    [("", "StarCraft II"), ("Versions", "StarCraft II"), ("Maps/SMAC_Maps", "map 3m"), ("3m.SC2Map", "map 3m")],
)
def test_folders_that_may_not_be_read(machine: Machine, path: str, what: str) -> None:
    sealed = machine.maps / path if path.endswith(".SC2Map") else machine.game / path
    options = ""
    if os.geteuid() == 0:  # root may read all, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root reads what nobody may read, and there is no setpriv to give that up with")
        less = "-dac_override,-dac_read_search"
        python = machine.interpreter(f'exec setpriv --bounding-set {less} {PYTHON} "$@"')
        options = f"python='{python}'"
    sealed.chmod(0)
    try:
        said = refusal(options=options)
    finally:
        sealed.chmod(0o755)
    assert said == (
        f"{what}: user {os.getuid()} cannot read {str(sealed).rstrip('/')} (Permission denied); chmod -R a+rX it, and "
        "a+x the folders above it"
    )


# --- options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("python", ["/opt/a = b/python", "/opt/it's/python", '/opt/a "b" it\'s/python', "/opt/a=b, c"])
def test_any_path_may_be_that_of_the_interpreter(python: str) -> None:
    text = GameOptions(python=python).text()
    assert GameOptions.parse(f"memory = 8, {text}") == GameOptions(python=python, memory=8)


def test_a_number_beyond_all_floats_is_refused_in_a_line() -> None:
    with pytest.raises(OptionsError, match=r"^backend-options: memory: expected a whole number, found"):
        GameOptions.parse(f"memory={'9' * 400}")


# --- the env proxy --------------------------------------------------------------------------------------------


def test_an_env_proxy_says_it_before_it_listens(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    shutil.rmtree(machine.maps)
    assert main(["envproxy", "--backend", "smac", "--listen", "127.0.0.1:0", "--tokens", str(tmp_path / "tokens")]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said == f"pps-qmix: map 3m: {machine.maps} is not there; {COPY_MAPS}"
    assert not (tmp_path / "tokens").exists()
