"""Install the build of PyTorch that this machine needs, into the environment of the Python that runs this.

On Linux, the package index has the build for CUDA, which brings several GB. Where no NVIDIA GPU is found, this script
takes the CPU build from PyTorch's own index, or the package index where PyTorch's index does not answer. The
environment variable TORCH_INDEX names another index, as for CUDA 12.6 or ROCm; empty, it names the package index.

Prints one line: which build is installed, from where and why, and its size. Uses only the standard library and pip.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"

_LIMIT = 5.0  # seconds that the CPU index has to answer
_BROUGHT = re.compile(r"torch|triton|(nvidia|cuda)-.+")  # what is of no use without PyTorch


@dataclass(frozen=True)
class Choice:
    """An index that has PyTorch (None: the package index, with what pip is configured to use) and the reason for it."""

    index: str | None
    reason: str


def main(cpu_index: str = CPU_INDEX, root: Path = Path("/")) -> int:
    """Install PyTorch unless it is installed; return pip's exit code. `root` has the devices of this machine."""
    pin = pinned_version(CONSTRAINTS.read_text(encoding="utf-8"))
    installed = _installed_version()
    if installed is not None and installed.partition("+")[0] == pin:
        print(f"PyTorch {installed}, {_gigabytes()} GB: already installed")
        return 0
    named = os.environ.get("TORCH_INDEX")
    choice = choose(named, nvidia_gpu=has_nvidia_gpu(root), cpu_index=cpu_index)
    code = _install(pin, choice.index)
    if code != 0 and choice.index is not None and named is None:
        choice = Choice(None, f"pip found no PyTorch {pin} that it could install from {cpu_index}")
        code = _install(pin, None)
    if code == 0:
        where = choice.index or "the package index"
        print(f"PyTorch {_installed_version()}, {_gigabytes()} GB: from {where}; {choice.reason}")
    return code


def pinned_version(constraints: str) -> str:
    """Return the version of PyTorch in the text of constraints.txt, as "2.13.0"."""
    (version,) = re.findall(r"^torch==(\S+)$", constraints, re.MULTILINE)
    return str(version)


def choose(named: str | None, *, nvidia_gpu: bool, cpu_index: str) -> Choice:
    """Return where PyTorch comes from. `named` is the value of TORCH_INDEX, None if it is not set."""
    if named is not None:
        return Choice(named or None, "TORCH_INDEX names it")
    if nvidia_gpu:
        return Choice(None, "this machine has an NVIDIA GPU")
    if sys.platform != "linux":
        return Choice(None, "its build for this system needs no CUDA")
    problem = unreachable(cpu_index)
    if problem is not None:
        return Choice(None, f"no NVIDIA GPU was found, but {cpu_index} cannot be reached ({problem})")
    return Choice(cpu_index, "no NVIDIA GPU was found (TORCH_INDEX overrides this)")


def has_nvidia_gpu(root: Path) -> bool:
    """Return whether this machine has NVIDIA's driver: its device, its folder in /proc, or nvidia-smi."""
    return (
        (root / "dev/nvidia0").exists()
        or (root / "proc/driver/nvidia").exists()
        or shutil.which("nvidia-smi") is not None
    )


def unreachable(index: str, limit: float = _LIMIT) -> str | None:
    """Return why an index does not answer within `limit` seconds, None if it does.

    Uses the proxy variables of the environment and, as pip does, the certificates that PIP_CERT names.
    """
    problems: list[str] = [f"no answer within {limit:g} s"]

    def ask() -> None:
        try:
            context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
            urllib.request.urlopen(f"{index.rstrip('/')}/torch/", timeout=limit, context=context).close()
            problems.clear()
        except urllib.error.HTTPError as error:
            problems[:] = [f"HTTP status {error.code}"]
        except (OSError, ValueError) as error:  # URLError is an OSError
            problems[:] = [str(getattr(error, "reason", error))]

    # A thread, because the time-out of a socket does not bound the look-up of a name.
    question = threading.Thread(target=ask, daemon=True)
    question.start()
    question.join(limit)
    return problems[0] if problems else None


def _install(version: str, index: str | None) -> int:
    """Install PyTorch with pip and return pip's exit code.

    An index of PyTorch's provides PyTorch only. Its requirements come from the package index later, as constraints.txt
    pins them.
    """
    source = ["-c", str(CONSTRAINTS)] if index is None else ["--no-deps", "--index-url", index]
    return _pip("install", "--quiet", "--disable-pip-version-check", *source, f"torch=={version}")


def _pip(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pip", *arguments], check=False).returncode


def _installed_version() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _gigabytes() -> str:
    """Return the size of PyTorch and of what only PyTorch needs, as installed, in GB."""
    sizes = (_bytes(each.files or ()) for each in metadata.distributions() if _BROUGHT.fullmatch(each.name))
    return f"{sum(sizes) / 1e9:.1f}"


def _bytes(files: Sequence[metadata.PackagePath]) -> int:
    return sum(file.size or 0 for file in files)


if __name__ == "__main__":
    sys.exit(main())
