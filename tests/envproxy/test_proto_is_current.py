"""The checked-in gRPC code is what the .proto files and the installed grpcio-tools make."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOS = ["envproxy/battle.proto", "client/agent.proto"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what `make protos` makes."""
    out = tmp_path_factory.mktemp("protos")
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *PROTOS], cwd=ROOT, check=True)
    return out


@pytest.mark.parametrize("proto", PROTOS)
@pytest.mark.parametrize("ending", ["_pb2.py", "_pb2.pyi", "_pb2_grpc.py"])
def test_generated_code_is_current(made: Path, proto: str, ending: str) -> None:
    path = proto.removesuffix(".proto") + ending
    assert (ROOT / path).read_bytes() == (made / path).read_bytes(), f"{path} is out of date: run `make protos`"
