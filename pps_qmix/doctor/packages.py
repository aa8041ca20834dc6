"""Python and the packages: what pyproject.toml asks for against what is installed."""

from __future__ import annotations

import os
import platform
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pps_qmix.configuration import app_directory
from pps_qmix.doctor.finding import Finding, failed, ok, warning
from pps_qmix.surroundings import PACKAGES, modules_with_our_names

_SHOWN = ("pps-qmix", "flwr", "torch", "numba", "numpy", "grpcio")


def check_packages() -> Iterator[Finding]:
    """Compare this Python and its packages with the project's requirements."""
    document = tomllib.loads((app_directory() / "pyproject.toml").read_text(encoding="utf-8"))
    yield check_python(document["project"]["requires-python"])
    yield from check_requirements(document["project"]["dependencies"])
    yield check_torch()
    yield from check_modules([os.getcwd(), *sys.path])


def check_python(required: str) -> Finding:
    """`required` is a specifier, as ">=3.11"."""
    found = platform.python_version()
    if found in SpecifierSet(required, prereleases=True):
        return ok("python", f"{found}, {platform.machine()}")
    return failed("python", f"expected {required}, found {found}; make the virtual environment with another Python")


def check_requirements(requirements: Sequence[str]) -> Iterator[Finding]:
    """A line for each package that is missing or of a wrong version; one for all if there is none."""
    wrong = False
    for each in map(Requirement, requirements):
        found = _installed(each.name)
        if found is None or not each.specifier.contains(found, prereleases=True):
            wrong = True
            yield failed("packages", f"expected {each}, found {found or 'none'}; pip install '{each}'")
    if not wrong:
        shown = ", ".join(f"{name} {found}" for name in _SHOWN if (found := _installed(name)))
        yield ok("packages", f"{len(requirements)} as required: {shown}")


def check_modules(folders: Sequence[str]) -> Iterator[Finding]:
    """A line for each module in `folders` that has the name of one of our packages; one line if no module has.

    A module that shadows ours in this process ends the command before its first check (`pps_qmix.surroundings`). These
    are the modules that a program with another path, such as a script in the working directory, imports in their place.
    """
    others = list(modules_with_our_names(folders))
    for name, file in others:
        yield warning(
            "modules",
            f"{file} has the name of our package {name}: a program that has its folder first on the path, such as a "
            "script in that folder, imports it in the place of ours; rename it, or start the program elsewhere",
        )
    if not others:
        yield ok("modules", f"no other module is called {', '.join(PACKAGES[:-1])} or {PACKAGES[-1]}")


def check_torch() -> Finding:
    """Say what PyTorch computes on."""
    try:
        import torch  # noqa: PLC0415 - it takes seconds, and may be what is wrong
    except (ImportError, OSError) as error:
        return failed("torch", f"cannot be imported ({error}); install it again")
    if torch.cuda.is_available():
        return ok("torch", f"{torch.__version__}, CPU and {torch.cuda.get_device_name(0)}")
    return ok("torch", f"{torch.__version__}, CPU (device = cuda finds none)")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
