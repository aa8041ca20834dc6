"""Says what a worker needs and what of it an interpreter and a machine have: a program of its own, like `worker`.

    python probe.py < {"map": "3m", "game_version": ""}     prints `examine`'s answer as JSON

It needs the standard library and Python 3.8 or later. It starts no game.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

SMAC_SOURCE = "git+https://github.com/oxwhirl/smac.git"  # what PyPI calls smac is another program
PYSC2 = "'pysc2==4.0.0' --no-deps"
PROTOCOL = "'pys2clientprotocol==1.0.2'"
REQUIREMENTS = "deploy/starcraft/requirements.txt"


class _WrongError(Exception):
    """A check has failed; the message says what was found and what to do."""


def examine(map_name: str, game_version: str) -> dict[str, Any]:
    """Return {"findings": [[what, is right, a line], ...], "provenance": {what: text}}, up to the first wrong one.

    `game_version` is as "4.10.0"; "" is the newest that is installed.
    """
    findings: list[list[Any]] = []
    provenance: dict[str, str] = {}
    steps: dict[str, Callable[[], str]] = {
        "smac": lambda: _check_smac(provenance),
        "protocol": lambda: _check_protocol(provenance),
        "pysc2": lambda: _check_pysc2(provenance),
        "StarCraft II": lambda: _check_game(game_version, provenance),
        "SMAC's maps": lambda: _check_map(map_name, provenance),
    }
    for what, step in steps.items():
        try:
            findings.append([what, True, step()])
        except _WrongError as wrong:
            findings.append([what, False, str(wrong)])
            break
    return {"findings": findings, "provenance": provenance}


def _check_smac(provenance: dict[str, str]) -> str:
    folder = _package_folder("smac")
    if folder is None:
        raise _WrongError(
            f"{sys.executable} has no SMAC; make an environment with pip install --no-deps -r {REQUIREMENTS} and name "
            "its python in PPS_SMAC_PYTHON (the package smac on PyPI is another program)"
        )
    source = os.path.join(folder, "env", "starcraft2", "starcraft2.py")
    if not os.path.isfile(source):
        raise _WrongError(
            f"{folder} is AutoML's SMAC {_version('smac')}, not the StarCraft Multi-Agent Challenge; "
            f"pip uninstall smac, then pip install --no-deps '{SMAC_SOURCE}'"
        )
    provenance["smac"] = _smac_commit(folder) or f"sha256 of starcraft2.py: {_sha256(source)}"
    return f"{provenance['smac'][:12]} in {folder}"


def _check_protocol(provenance: dict[str, str]) -> str:
    protobuf = _import("google.protobuf", "pip install protobuf")
    for part in ("common", "raw", "debug", "sc2api"):
        try:
            __import__(f"s2clientprotocol.{part}_pb2")
        except ModuleNotFoundError as error:
            raise _WrongError(f"{sys.executable}: {error}; pip install {PROTOCOL}") from None
        except Exception as error:  # what generated code raises under a protobuf that it was not made for
            raise _WrongError(
                f"s2clientprotocol does not load under protobuf {protobuf.__version__} ({_short(error)}); "
                f"pip uninstall s2clientprotocol, then pip install {PROTOCOL}; or pip install 'protobuf<3.21'"
            ) from None
    name = "pys2clientprotocol" if _version("pys2clientprotocol") else "s2clientprotocol"
    provenance["protocol"] = f"{name} {_version(name)}, protobuf {protobuf.__version__}"
    return provenance["protocol"]


def _check_pysc2(provenance: dict[str, str]) -> str:
    for module in ("pysc2", "pysc2.maps", "pysc2.run_configs", "pysc2.lib.protocol"):
        _import(module, f"pip install {PYSC2}")
    _import("smac.env.starcraft2.starcraft2", f"pip install --no-deps -r {REQUIREMENTS}")
    provenance["pysc2"] = _version("pysc2") or "of unknown version"
    return provenance["pysc2"]


def _check_game(game_version: str, provenance: dict[str, str]) -> str:
    lib = sys.modules["pysc2.run_configs"].lib

    folder = os.path.expanduser(os.environ.get("SC2PATH", "~/StarCraftII"))
    remedy = "install StarCraft II (Linux: 4.10) and name its folder in SC2PATH"
    if not os.path.isdir(folder):
        raise _WrongError(f"{folder} is not there; {remedy}")
    try:
        found = os.listdir(os.path.join(folder, "Versions"))
    except OSError:
        raise _WrongError(f"{folder} has no folder Versions; {remedy}") from None
    builds = sorted(int(name[4:]) for name in found if re.match(r"Base\d+$", name))
    if not builds:
        raise _WrongError(f"{os.path.join(folder, 'Versions')} has no Base*; {remedy}")
    installed = sorted({v.game_version for v in lib.VERSIONS.values() if v.build_version in builds}, key=_by_number)
    build, name = builds[-1], ""
    if game_version:
        wanted = lib.VERSIONS.get(game_version)
        if wanted is None or wanted.build_version not in builds:
            why = "pysc2 does not know it" if wanted is None else f"Base{wanted.build_version:05d} is not there"
            raise _WrongError(
                f"game-version {game_version}: {why}; installed are {', '.join(installed) or 'none that it knows'}; "
                f"without game-version the newest in {folder} is played"
            )
        build, name = wanted.build_version, game_version
    program = os.path.join(folder, "Versions", f"Base{build:05d}", "SC2_x64")
    if not os.path.isfile(program):
        raise _WrongError(f"{program} is not there; {remedy}")
    if not os.access(program, os.X_OK):
        raise _WrongError(f"{program} may not be run; chmod +x it")
    _check_glibc(program)
    names = [name] if name else [v for v in installed if lib.VERSIONS[v].build_version == build]
    provenance["game"] = f"StarCraft II {names[-1] if names else 'of unknown version'} (Base{build:05d})"
    return f"{provenance['game']} in {folder}"


def _check_glibc(program: str) -> None:
    """Compare the newest GLIBC symbol that the program asks for with this machine's."""
    with open(program, "rb") as file:
        asked = {tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", file.read())}
    if not asked:
        return
    needed = max(asked)
    try:
        here = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        here = ""
    found = re.match(r"glibc (\d+)\.(\d+)", here)
    if found is None or (int(found.group(1)), int(found.group(2))) < needed:
        raise _WrongError(
            f"{program} needs GLIBC {needed[0]}.{needed[1]}, this machine has {here or 'another C library'}; "
            "use a newer Linux, or an older version of the game"
        )


def _check_map(map_name: str, provenance: dict[str, str]) -> str:
    folder = os.path.join(os.path.expanduser(os.environ.get("SC2PATH", "~/StarCraftII")), "Maps", "SMAC_Maps")
    remedy = "copy the folder smac/env/starcraft2/maps/SMAC_Maps of SMAC's repository to that place"
    if not os.path.isdir(folder):
        raise _WrongError(f"{folder} is not there; {remedy}")
    path = os.path.join(folder, f"{map_name}.SC2Map")
    if not os.path.isfile(path):
        raise _WrongError(f"{path} is not there; {remedy}")
    registry = sys.modules["smac.env.starcraft2.maps.smac_maps"].get_smac_map_registry()
    if map_name not in registry:
        raise _WrongError(f"this SMAC has no map {map_name}; it has {', '.join(sorted(registry))}")
    provenance["map-sha256"] = _sha256(path)
    return f"{map_name} in {folder}"


def _import(module: str, remedy: str) -> Any:
    """Return a module. Raises _WrongError."""
    try:
        __import__(module)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != module.partition(".")[0]:
            remedy = f"pip install --no-deps -r {REQUIREMENTS}"
        raise _WrongError(f"{sys.executable}: {error}; {remedy}") from None
    except Exception as error:  # code for another Python, say
        raise _WrongError(f"{module} does not load under {sys.executable} ({_short(error)}); {remedy}") from None
    return sys.modules[module]


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _package_folder(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return str(next(iter(spec.submodule_search_locations)))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _smac_commit(folder: str) -> str | None:
    """The commit that pip installed, or that of the checkout around the package."""
    try:
        direct = metadata.distribution("smac").read_text("direct_url.json")
        return str(json.loads(direct or "")["vcs_info"]["commit_id"])
    except (metadata.PackageNotFoundError, ValueError, KeyError):
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


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> None:
    """Examine what stdin names."""
    wanted = json.load(sys.stdin)
    said, sys.stdout = sys.stdout, sys.stderr  # what packages print when they are imported is no answer
    json.dump(examine(wanted["map"], wanted["game_version"]), said)


if __name__ == "__main__":
    _here = os.path.dirname(os.path.abspath(__file__))  # its modules are not meant for other programs
    sys.path[:] = [_path for _path in sys.path if os.path.abspath(_path or ".") != _here]
    main()
