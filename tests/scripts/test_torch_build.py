"""Which build of PyTorch the set-up takes, with small wheels and package indexes on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.torch_build import CONSTRAINTS, CPU_INDEX, pinned_version, unreachable

ROOT = Path(__file__).parents[2]
PIN = pinned_version(CONSTRAINTS.read_text())
PROGRAM = """
import sys
from pathlib import Path
from torch_build import main
sys.exit(main(sys.argv[1], Path(sys.argv[2])))
"""

SetUp = Callable[..., str]


def make_wheel(folder: Path, name: str, version: str, size: int = 0, requires: str = "") -> None:
    """Write a wheel with one file of `size` bytes into an index (a folder with a folder for each package)."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    wheel = folder / name / f"{module}-{version}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {requires}\n" if requires else ""
    )
    files = {
        f"{module}/data.bin": b"\0" * size,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    ]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has pip alone."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a package index, an index of CPU builds, and an index without the pinned version."""
    root = tmp_path_factory.mktemp("indexes")
    make_wheel(root / "packages", "torch", PIN, 60_000_000, requires="nvidia-cublas")
    make_wheel(root / "packages", "nvidia-cublas", "13.0", 120_000_000)
    make_wheel(root / "cpu", "torch", f"{PIN}+cpu", 60_000_000)
    make_wheel(root / "old", "torch", "1.0+cpu")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def set_up(python: Path, indexes: str, tmp_path: Path) -> SetUp:
    """Runs the set-up of PyTorch on a machine with the devices in `tmp_path`/root; returns what it prints."""

    def run(cpu_index: str, **variables: str) -> str:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("PIP_") and name != "TORCH_INDEX"
        }
        environment = {
            **kept,
            "PATH": str(tmp_path),  # without nvidia-smi
            "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(tmp_path / "site")]),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{indexes}/packages",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_TARGET": str(tmp_path / "site"),
            **variables,
        }
        command = [str(python), "-c", PROGRAM, cpu_index, str(tmp_path / "root")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def closed() -> str:
    """The address of an index where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/cpu"


def test_without_a_gpu_the_cpu_build_is_installed_once(set_up: SetUp, indexes: str) -> None:
    said = set_up(f"{indexes}/cpu")
    assert said == (
        f"PyTorch {PIN}+cpu, 0.1 GB: from {indexes}/cpu; no NVIDIA GPU was found (TORCH_INDEX overrides this)\n"
    )
    assert set_up(f"{indexes}/cpu") == f"PyTorch {PIN}+cpu, 0.1 GB: already installed\n"


def test_with_a_gpu_the_build_of_the_package_index_is_installed(set_up: SetUp, indexes: str, tmp_path: Path) -> None:
    (tmp_path / "root" / "proc" / "driver" / "nvidia").mkdir(parents=True)
    said = set_up(f"{indexes}/cpu")
    assert said == f"PyTorch {PIN}, 0.2 GB: from the package index; this machine has an NVIDIA GPU\n"


def test_an_index_that_cannot_be_reached_is_replaced_by_the_package_index(set_up: SetUp, closed: str) -> None:
    said = set_up(closed)
    assert said.startswith(f"PyTorch {PIN}, 0.2 GB: from the package index; no NVIDIA GPU was found, but {closed} ")
    assert said.endswith("cannot be reached ([Errno 111] Connection refused)\n")


def test_an_index_without_the_pinned_version_is_replaced_by_the_package_index(set_up: SetUp, indexes: str) -> None:
    said = set_up(f"{indexes}/old")
    assert said == (
        f"PyTorch {PIN}, 0.2 GB: from the package index; pip found no PyTorch {PIN} that it could install from "
        f"{indexes}/old\n"
    )


def test_torch_index_overrides_the_choice(set_up: SetUp, indexes: str, closed: str) -> None:
    said = set_up(closed, TORCH_INDEX=f"{indexes}/cpu")
    assert said == f"PyTorch {PIN}+cpu, 0.1 GB: from {indexes}/cpu; TORCH_INDEX names it\n"


def test_an_empty_torch_index_names_the_package_index(set_up: SetUp, indexes: str) -> None:
    said = set_up(f"{indexes}/cpu", TORCH_INDEX="")
    assert said == f"PyTorch {PIN}, 0.2 GB: from the package index; TORCH_INDEX names it\n"


def test_an_index_that_never_answers_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        problem = unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}", limit=0.5)
    assert problem in ("no answer within 0.5 s", "timed out")


def test_an_index_that_has_no_pytorch_is_unreachable(indexes: str) -> None:
    assert unreachable(f"{indexes}/nothing") == "HTTP status 404"


def test_image_and_set_up_take_the_same_cpu_index() -> None:
    assert f"ARG TORCH_INDEX={CPU_INDEX}\n" in (ROOT / "Dockerfile").read_text()
