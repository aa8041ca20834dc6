"""Says what a worker needs and what of it an interpreter and a machine have: a program of its own, like `worker`.

    python probe.py < WANTED     WANTED is a `Wanted` as JSON; it prints `examine`'s answer as JSON

It needs the standard library and Python 3.8 or later. It starts no game.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NamedTuple, NoReturn

REQUIREMENTS = "deploy/starcraft/requirements.txt"
_INSTALL = f"pip install --no-deps -r {REQUIREMENTS}"
_SMACV2 = "git+https://github.com/oxwhirl/smacv2.git@577ab5a2cff2391f8df582da5731ea9cd6adf3c6"
_INSTALL_SMACV2 = f"pip install --no-deps {_SMACV2}"
_UNPACK = "unpack StarCraft II (for Linux, 4.10) and name its folder in SC2PATH"
_MAPS = {
    "smac": "copy the folder smac/env/starcraft2/maps/SMAC_Maps of SMAC's repository to that place",
    "smacv2": "copy smacv2/env/starcraft2/maps/SMAC_Maps/32x32_flat.SC2Map of SMACv2's repository to that place",
}


class _WrongError(Exception):
    """A check has failed; the message says what was found and what to do."""


class Wanted(NamedTuple):
    """What is to be played."""

    map: str  # our name of it
    package: str  # that plays it, smac or smacv2
    registered: str  # its name in the package's registry
    file: str  # the map file's, without its ending
    game_version: str  # as "4.10.0"; "" is the newest that is installed
    other_files: Sequence[str]  # of other maps, which are not needed


def examine(wanted: Wanted) -> dict[str, Any]:
    """Return {"found": [{what, is_right, says, is_needed}, ...], "provenance": {what: text}}.

    It ends with the first thing that is needed and not right.
    """
    found: list[dict[str, Any]] = []
    provenance: dict[str, str] = {}
    checks: list[tuple[str, bool, Callable[[], str]]] = [
        ("worker's python", True, lambda: f"{platform.python_version()}, {sys.executable}"),
        (wanted.package, True, lambda: _check_package(wanted, provenance)),
        ("protocol", True, lambda: _check_protocol(provenance)),
        ("pysc2", True, lambda: _check_pysc2(wanted.package, provenance)),
        ("StarCraft II", True, lambda: _check_game(wanted.game_version, provenance)),
        (f"map {wanted.map}", True, lambda: _check_map(wanted, provenance)),
    ]
    if wanted.other_files:
        checks.append(("other maps", False, lambda: _check_other_maps(wanted)))
    for what, is_needed, check in checks:
        is_right = True
        try:
            says = check()
        except _WrongError as wrong:
            is_right, says = False, str(wrong)
        found.append({"what": what, "is_right": is_right, "says": says, "is_needed": is_needed})
        if is_needed and not is_right:
            break
    return {"found": found, "provenance": provenance}


# --- packages ---------------------------------------------------------------------------------------------------------


def other_smac() -> str:
    """Return a line on the package smac of this interpreter if it is not SMAC; "" if it is, or if there is none."""
    folder = _package_folder("smac")
    if folder is None or os.path.isfile(_smac_source(folder)):
        return ""
    whose = "AutoML's SMAC" if os.path.isdir(os.path.join(folder, "facade")) else "another program"
    return (
        f"{folder} is {' '.join([whose, _version('smac')]).strip()}, which has the same name, and not the StarCraft "
        f"Multi-Agent Challenge; pip uninstall smac there, then {_INSTALL}"
    )


def _check_package(wanted: Wanted, provenance: dict[str, str]) -> str:
    return _check_smac(provenance) if wanted.package == "smac" else _check_smacv2(wanted, provenance)


def _check_smacv2(wanted: Wanted, provenance: dict[str, str]) -> str:
    folder = _package_folder("smacv2")
    if folder is None or not os.path.isfile(_smac_source(folder)):
        raise _WrongError(
            f"{sys.executable} has no SMACv2, which plays {wanted.map}; {_INSTALL_SMACV2} there, beside {REQUIREMENTS}"
        )
    commit = _commit("smacv2", folder)
    provenance["smacv2"] = commit or f"sha256 of starcraft2.py: {_sha256(_smac_source(folder))}"
    return f"{f'commit {commit[:12]}' if commit else 'of unknown commit'}, in {folder}"


def _check_smac(provenance: dict[str, str]) -> str:
    folder = _package_folder("smac")
    if folder is None:
        raise _WrongError(
            f"{sys.executable} has no SMAC; make an environment with {_INSTALL} and name its python in PPS_SMAC_PYTHON "
            "(the package smac of the package index is another program)"
        )
    if says := other_smac():
        raise _WrongError(says)
    commit = _commit("smac", folder)
    provenance["smac"] = commit or f"sha256 of starcraft2.py: {_sha256(_smac_source(folder))}"
    return f"{f'commit {commit[:12]}' if commit else 'of unknown commit'}, in {folder}"


def _check_protocol(provenance: dict[str, str]) -> str:
    protobuf = _import("google.protobuf")
    for part in ("common", "raw", "debug", "sc2api"):
        try:
            __import__(f"s2clientprotocol.{part}_pb2")
        except ModuleNotFoundError as error:
            _lacks(error)
        except Exception as error:  # what generated code raises under a protobuf that it was not made for
            raise _WrongError(
                f"s2clientprotocol {_version('s2clientprotocol')} does not load under protobuf {protobuf.__version__} "
                f"({_short(error)}); pip uninstall s2clientprotocol pys2clientprotocol, then {_INSTALL}"
            ) from None
    name = "pys2clientprotocol" if _version("pys2clientprotocol") else "s2clientprotocol"
    provenance["protocol"] = f"{name} {_version(name)}, protobuf {protobuf.__version__}"
    return provenance["protocol"]


def _check_pysc2(package: str, provenance: dict[str, str]) -> str:
    source = f"{package}.env.starcraft2.starcraft2"
    for module in ("pysc2", "pysc2.maps", "pysc2.run_configs", "pysc2.lib.protocol", source):
        _import(module)
    provenance["pysc2"] = _version("pysc2") or "of unknown version"
    return provenance["pysc2"]


def _import(module: str) -> Any:
    """Return a module. Raises _WrongError."""
    try:
        __import__(module)
    except ModuleNotFoundError as error:
        _lacks(error)
    except Exception as error:  # code for another Python, say
        raise _WrongError(f"{module} does not load under {sys.executable} ({_short(error)}); {_INSTALL}") from None
    return sys.modules[module]


def _lacks(error: ModuleNotFoundError) -> NoReturn:
    raise _WrongError(f"{sys.executable} has no package {error.name}; {_INSTALL}") from None


def _short(error: Exception) -> str:
    said = str(error).strip() or "nothing said"
    return f"{type(error).__name__}: {said.splitlines()[0][:200]}"


def _package_folder(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or not spec.submodule_search_locations:  # without origin: any folder
        return None
    return str(next(iter(spec.submodule_search_locations)))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _smac_source(folder: str) -> str:
    return os.path.join(folder, "env", "starcraft2", "starcraft2.py")


def _commit(package: str, folder: str) -> str | None:
    """The commit that pip installed, or that of the checkout around the package."""
    try:
        direct = metadata.distribution(package).read_text("direct_url.json")
        return str(json.loads(direct or "")["vcs_info"]["commit_id"])
    except (metadata.PackageNotFoundError, ValueError, KeyError):  # not from git, but from a folder or a wheel
        pass
    git = os.path.join(os.path.dirname(folder), ".git")
    with contextlib.suppress(OSError):
        with open(os.path.join(git, "HEAD"), encoding="ascii") as file:
            head = file.read().strip()
        if not head.startswith("ref: "):
            return head
        with open(os.path.join(git, *head[5:].split("/")), encoding="ascii") as file:
            return file.read().strip()
    return None


# --- the game ---------------------------------------------------------------------------------------------------------


def _check_game(game_version: str, provenance: dict[str, str]) -> str:
    known = sys.modules["pysc2.run_configs"].lib.VERSIONS
    folder = _game_folder()
    if not folder:
        raise _WrongError(f"SC2PATH is empty; {_UNPACK}")
    if "Versions" not in _names(folder, _UNPACK if "SC2PATH" in os.environ else f"SC2PATH is not set; {_UNPACK}"):
        raise _WrongError(f"{folder} has no folder Versions, so it is not StarCraft II's; {_UNPACK}")
    versions = os.path.join(folder, "Versions")
    builds = sorted(int(name[4:]) for name in _names(versions, _UNPACK) if re.match(r"Base\d+$", name))
    if not builds:
        raise _WrongError(f"{versions} has no folder Base*, expected one for each version; {_UNPACK}")
    installed = sorted({v.game_version for v in known.values() if v.build_version in builds}, key=_by_number)
    build, name = builds[-1], ""
    if game_version:
        wanted = known.get(game_version)
        if wanted is None or wanted.build_version not in builds:
            why = "pysc2 does not know it" if wanted is None else f"Base{wanted.build_version:05d} is not in {versions}"
            raise _WrongError(
                f"game-version {game_version}: {why}; expected {' or '.join(installed) or 'one that pysc2 knows'}, or "
                "no game-version for the newest that is installed"
            )
        build, name = wanted.build_version, game_version
    _check_program(os.path.join(versions, f"Base{build:05d}", "SC2_x64"))
    names = [name] if name else [v for v in installed if known[v].build_version == build]
    provenance["game"] = f"StarCraft II {names[-1] if names else 'of unknown version'} (Base{build:05d})"
    return f"{provenance['game']} in {folder}"


def _game_folder() -> str:
    return os.path.expanduser(os.environ.get("SC2PATH", "~/StarCraftII"))  # as pysc2 does


def _check_program(program: str) -> None:
    folder, name = os.path.split(program)
    if name not in _names(folder, _UNPACK):
        raise _WrongError(f"{program} is not there; {_UNPACK}")
    if not os.access(program, os.X_OK):
        raise _WrongError(f"{program} may not be run by user {os.getuid()}; chmod a+rx it, on a disk without noexec")
    asked = {tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", _read(program))}
    if not asked:
        return
    needed = max(asked)
    try:
        here = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        here = ""
    has = re.match(r"glibc (\d+)\.(\d+)", here)
    if has is None or (int(has.group(1)), int(has.group(2))) < needed:
        raise _WrongError(
            f"{program} needs GLIBC {needed[0]}.{needed[1]}, this machine has {here or 'another C library'}; "
            "use a newer Linux, or an older version of the game"
        )


def _maps_folder() -> str:
    return os.path.join(_game_folder(), "Maps", "SMAC_Maps")


def _check_map(wanted: Wanted, provenance: dict[str, str]) -> str:
    folder, remedy = _maps_folder(), _MAPS[wanted.package]
    if f"{wanted.file}.SC2Map" not in _names(folder, remedy):
        raise _WrongError(f"{folder} has no {wanted.file}.SC2Map; {remedy}")
    registry = sys.modules[f"{wanted.package}.env.starcraft2.maps.smac_maps"].get_smac_map_registry()
    if wanted.registered not in registry:
        install = _INSTALL if wanted.package == "smac" else _INSTALL_SMACV2
        which = "SMAC" if wanted.package == "smac" else "SMACv2"
        raise _WrongError(f"this {which} has no map {wanted.registered}, but {', '.join(sorted(registry))}; {install}")
    provenance["map-sha256"] = _sha256(os.path.join(folder, f"{wanted.file}.SC2Map"))
    return f"{wanted.file} in {folder}"


def _check_other_maps(wanted: Wanted) -> str:
    folder, remedy, others = _maps_folder(), _MAPS[wanted.package], wanted.other_files
    names = _names(folder, remedy)
    missing = [name for name in others if f"{name}.SC2Map" not in names]
    if missing:
        raise _WrongError(f"{folder} lacks {len(missing)} of {len(others)}: {', '.join(missing)}; {remedy}")
    return f"all {len(others)} in {folder}"


# --- files ------------------------------------------------------------------------------------------------------------


def _names(folder: str, remedy: str) -> list[str]:
    """Return the names in a folder. Raises _WrongError, with the remedy if it is not there."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        raise _WrongError(f"{folder} is not there; {remedy}") from None
    except NotADirectoryError:
        raise _WrongError(f"{folder} is not a folder; {remedy}") from None
    except OSError as error:
        raise _unreadable(folder, error) from None


def _read(path: str) -> bytes:
    """Return a file's content. Raises _WrongError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> _WrongError:
    return _WrongError(
        f"user {os.getuid()} cannot read {path} ({error.strerror}); chmod -R a+rX it, and a+x the folders above it"
    )


def _sha256(path: str) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> None:
    """Examine what stdin names."""
    wanted = json.load(sys.stdin)
    said, sys.stdout = sys.stdout, sys.stderr  # what packages print when they are imported is no answer
    json.dump(examine(Wanted(**wanted)), said)


if __name__ == "__main__":
    _here = os.path.dirname(os.path.abspath(__file__))  # its modules are not meant for other programs
    sys.path[:] = [_path for _path in sys.path if os.path.abspath(_path or ".") != _here]
    main()
