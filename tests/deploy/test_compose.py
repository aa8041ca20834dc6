"""compose.yaml and what it includes, as text; tests/containers runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from envproxy.backend import create_backend, map_names

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
AGENTS = yaml.safe_load((ROOT / "deploy" / "agents.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = {**COMPOSE["services"], **AGENTS["services"]}


def test_there_are_as_many_agents_as_seats() -> None:
    (included,) = COMPOSE["include"]
    assert included == {"path": "deploy/agents.yaml", "env_file": "deploy/maps/${MAP:-3m}.env"}
    assert AGENTS["services"]["agent"]["deploy"]["replicas"] == "${SEATS}"
    said = {path.stem: path.read_text() for path in (ROOT / "deploy" / "maps").iterdir()}
    seats = {}
    for name in map_names("skirmish"):
        backend = create_backend("skirmish", name, 1)
        seats[name] = f"SEATS={backend.spec.n_agents}\n"
        backend.close()
    assert said == seats


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["image"] == "pps-qmix"
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service  # or devices' and operators' APIs would be open to whoever reaches this host
    assert "privileged" not in service
    if name == "experiment":
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "on-failure"
        assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    for needed, how in service.get("depends_on", {}).items():
        assert how == {"condition": "service_started" if needed == "agent" else "service_healthy"}


def test_nothing_runs_as_root_but_what_becomes_the_owner_of_the_results() -> None:
    writers = ["superexec", "experiment"]
    assert [name for name, service in SERVICES.items() if "user" in service] == writers
    assert all(SERVICES[name]["entrypoint"][0] == "as-owner" for name in writers)
    assert re.findall(r"^USER (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == ["pps-qmix"]


def test_every_named_volume_is_declared() -> None:
    for document in (COMPOSE, AGENTS):
        mounted = {
            mount.partition(":")[0] for each in document["services"].values() for mount in each.get("volumes", [])
        }
        assert {name for name in mounted if name.isidentifier()} == set(document["volumes"])


def test_the_image_has_what_it_is_built_from_and_no_other_file() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    wanted = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    packages = {"learning", "strategies", "envproxy", "client", "server", "operations", "cli"}
    assert wanted == packages | {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "deploy/as-owner"}


def test_the_dockerfile_needs_no_image_but_the_base() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "ARG BASE=python:3.11-slim" in lines
    assert not any(line.startswith("# syntax=") for line in lines)
    stages = {line.split(" AS ")[1] for line in lines if line.startswith("FROM ") and " AS " in line}
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} <= {"scratch", "${BASE}", *stages}
