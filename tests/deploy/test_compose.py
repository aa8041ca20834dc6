"""The compose files and what they include, as text; tests/containers runs compose.yaml and compose.secure.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from envproxy.backend import create_backend, map_names
from envproxy.backends.smac.probe import REQUIREMENTS

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
AGENTS = yaml.safe_load((ROOT / "deploy" / "agents.yaml").read_text())
SECURE = yaml.safe_load((ROOT / "compose.secure.yaml").read_text())
SECURE_AGENTS = yaml.safe_load((ROOT / "deploy" / "secure-agents.yaml").read_text())
STARCRAFT = yaml.safe_load((ROOT / "compose.starcraft.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = {**COMPOSE["services"], **AGENTS["services"]}
OVERRIDDEN = {name: service for name, service in SECURE["services"].items() if name in SERVICES}
ADDED: dict[str, dict[str, Any]] = {
    **{name: service for name, service in SECURE["services"].items() if name not in SERVICES},
    **SECURE_AGENTS["services"],
}
ONE_SHOT = ["experiment", "certs", "admission"]


def test_there_are_as_many_agents_as_seats() -> None:
    (included,) = COMPOSE["include"]
    assert included == {"path": "deploy/agents.yaml", "project_directory": "deploy/maps/${MAP:-3m}"}
    missing = ", ".join(sorted(map_names("skirmish")))  # what a MAP that does not exist is told
    replicas = AGENTS["services"]["agent"]["deploy"]["replicas"]
    assert replicas == f"${{SEATS:?unknown map ${{MAP:-3m}}; expected MAP to be one of {missing}}}"
    said = {path.name: (path / ".env").read_text() for path in (ROOT / "deploy" / "maps").iterdir()}
    seats = {}
    for name in map_names("skirmish"):
        backend = create_backend("skirmish", name, 1)
        seats[name] = backend.spec.n_agents
        backend.close()
    each = {n: "".join(f"SEAT_{i}=1\n" for i in range(n)) for n in seats.values()}  # for compose.secure.yaml
    assert said == {name: f"SEATS={n}\n{each[n]}" for name, n in seats.items()}
    assert [name for name in SECURE_AGENTS["services"] if name != "certs"] == [
        f"agent-{i}" for i in range(max(seats.values()))
    ]


@pytest.mark.parametrize("name", [*SERVICES, *ADDED])
def test_every_service_is_watched_and_has_no_more_rights_than_it_needs(name: str) -> None:
    service = {**SERVICES, **ADDED}[name]
    assert service["image"] == ("pps-qmix-nginx" if name == "nginx" else "pps-qmix")
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service  # or all who reach this host could call the APIs of devices and operators
    assert "privileged" not in service
    assert service["restart"] == ("no" if name in ONE_SHOT else "on-failure")
    if name not in [*ONE_SHOT, "coordinator"]:
        assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert (service["read_only"], service["tmpfs"]) == (True, ["/tmp"])
    for needed, how in service.get("depends_on", {}).items():
        assert how == {"condition": "service_completed_successfully" if needed in ONE_SHOT else condition(needed)}


def condition(needed: str) -> str:
    """With settings that cannot be the env proxy never serves: what needs it starts, and the run says what is wrong."""
    return "service_started" if needed.startswith(("agent", "envproxy")) else "service_healthy"


def test_an_override_takes_no_protection_away() -> None:
    for service in OVERRIDDEN.values():
        own = {"network_mode", "depends_on", "command", "working_dir", "volumes", "deploy", "healthcheck"}
        assert service.keys() <= own


def test_a_secure_experiment_waits_for_every_agent() -> None:
    needed = SECURE["services"]["experiment"]["depends_on"]
    assert [name for name in needed if name != "nginx"] == [
        name for name in SECURE_AGENTS["services"] if name != "certs"
    ]


def test_nothing_secure_speaks_plaintext_and_the_superlink_listens_where_no_device_is() -> None:
    commands = [service["command"] for service in [*OVERRIDDEN.values(), *ADDED.values()] if "command" in service]
    assert not any("--insecure" in command for command in commands)
    replaced = {name for name, service in SERVICES.items() if "--insecure" in service["command"]} - {"agent"}
    assert replaced <= {name for name, service in OVERRIDDEN.items() if "command" in service}
    assert SECURE["services"]["agent"] == {"deploy": {"replicas": 0}}
    assert "--host 127.0.0.1 " in SECURE["services"]["superlink"]["command"]
    neighbours = {name for name, service in SECURE["services"].items() if "network_mode" in service}
    assert neighbours == {"nginx", "superlink", "superexec", "admission", "experiment"}
    assert SECURE["networks"] == {"default": {"internal": True}}


def test_a_container_sees_its_own_part_of_the_credentials() -> None:
    seen = {
        name: [mount["volume"]["subpath"] for mount in service["volumes"] if mount["source"] == "federation"]
        for name, service in {**OVERRIDDEN, **ADDED}.items()
        if name not in ("agent", "coordinator", "certs")
    }
    authority, coordinator = ["public"], ["coordinator"]
    assert seen == {
        **{"superlink": coordinator, "nginx": coordinator, "admission": coordinator, "envproxy": ["battle-host"]},
        **{"superexec": [*authority, "attestation"], "experiment": authority},
        **{f"agent-{i}": [f"device-{i}"] for i in range(27)},
    }
    for i in range(27):
        agent = ADDED[f"agent-{i}"]
        assert len(agent["volumes"]) == 1
        assert agent["scale"] == f"${{SEAT_{i}:-0}}"


def test_on_starcraft_the_env_proxy_alone_is_another_image_and_sees_the_game_alone() -> None:
    assert list(STARCRAFT["services"]) == ["envproxy"]
    envproxy = STARCRAFT["services"]["envproxy"]
    assert envproxy.keys() == {"image", "pull_policy", "build", "volumes", "stop_grace_period"}
    assert (envproxy["image"], envproxy["build"]["target"]) == ("pps-qmix-starcraft", "starcraft")
    (game,) = envproxy["volumes"]
    assert game["source"].startswith("${SC2_DIR:?")
    assert (game["target"], game["read_only"], game["bind"]) == ("/StarCraftII", True, {"create_host_path": False})
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"SC2PATH={game['target']}\n" in dockerfile


@pytest.mark.parametrize("document", [COMPOSE, SECURE])
def test_sc2_dir_names_the_backend_to_env_proxy_and_run(document: dict[str, Any]) -> None:
    for name in ("envproxy", "experiment"):
        assert "${SC2_DIR:+--backend smac}" in document["services"][name]["command"]
    assert "--backend-options '${BACKEND_OPTIONS:-}'" in document["services"]["envproxy"]["command"]


def test_the_list_for_workers_is_pinned_and_what_the_backend_points_at() -> None:
    lines = [line for line in (ROOT / REQUIREMENTS).read_text().splitlines() if not line.startswith("#")]
    smac, *others = lines
    assert re.fullmatch(r"smac @ git\+https://github\.com/oxwhirl/smac\.git@[0-9a-f]{40}", smac)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in others)
    assert {"enum34", "s2clientprotocol"}.isdisjoint(line.partition("==")[0] for line in others)
    assert f"COPY {REQUIREMENTS} ." in (ROOT / "Dockerfile").read_text()


def test_nothing_runs_as_root_but_what_becomes_the_owner_of_the_results() -> None:
    writers = ["superexec", "experiment"]
    assert [name for name, service in SERVICES.items() if "user" in service] == writers
    assert all(SERVICES[name]["entrypoint"][0] == "as-owner" for name in writers)
    assert not any("user" in service for service in [*OVERRIDDEN.values(), *ADDED.values()])
    assert set(re.findall(r"^USER (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)) == {"pps-qmix"}


def test_every_named_volume_is_declared() -> None:
    for document in (COMPOSE, AGENTS, SECURE, SECURE_AGENTS):
        mounted = {
            mount["source"] if isinstance(mount, dict) else mount.partition(":")[0]
            for each in document["services"].values()
            for mount in each.get("volumes", [])
        }
        assert {name for name in mounted if name.isidentifier()} == set(document["volumes"])


def test_the_image_has_what_it_is_built_from_and_no_other_file() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    wanted = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    packages = {
        "learning",
        "strategies",
        "envproxy",
        "client",
        "server",
        "operations",
        "pps_qmix",
        "pps_qmix_command.py",
        "cli",
    }
    deployed = {REQUIREMENTS, *(f"deploy/{name}" for name in ("as-owner", "nginx.conf", "nginx-fleet.conf"))}
    assert wanted == packages | deployed | {
        "pps_qmix_command.py",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
    }


def test_the_dockerfile_needs_no_image_but_the_base() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "ARG BASE=python:3.11-slim" in lines
    assert not any(line.startswith("# syntax=") for line in lines)
    stages = {line.split(" AS ")[1] for line in lines if line.startswith("FROM ") and " AS " in line}
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} <= {"scratch", "${BASE}", *stages}
    assert [line for line in lines if line.startswith("FROM ")][-1] == "FROM pps-qmix"  # without SMAC, unless asked for
