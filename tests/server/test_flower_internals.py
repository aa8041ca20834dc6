"""What the product uses of Flower beyond its documented modules: one module has it, the installed release has it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from flwr.app import Error, Message, RecordDict
from flwr.common.constant import HEARTBEAT_DEFAULT_INTERVAL, ErrorCode
from flwr.supercore.error import ApiErrorCode
from flwr.supercore.superexec import run_superexec
from flwr.supercore.task_identity import TaskIdentity

from server import flower_internals
from server.flower_internals import (
    DEVICE_COMMANDS,
    LATE_IMPORTS,
    PUBLIC_KEY_ALREADY_IN_USE,
    RUN_ID_NOT_FOUND,
    STOPPED_WITHIN,
    TASK_POLL_INTERVAL,
    UNKNOWN_ERROR,
    exception_text,
    make_run,
    set_message_id,
    set_source,
    started_run,
)

ROOT = Path(__file__).parents[2]
PACKAGES = ("learning", "strategies", "envproxy", "client", "server", "operations", "pps_qmix", "cli", "benchmarks")
ADAPTER = "server/flower_internals.py"

DOCUMENTED = ("flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.serverapp.strategy")
PRIVATE = {
    "flwr.supercore.exit.add_exit_handler",
    "flwr.supercore.run.Run",
    "flwr.supercore.task_identity.TaskIdentity",
    "flwr.supernode.main",
}
PRIVATE_ATTRIBUTES = {"_message_id", "_src_node_id"}  # of flwr.app.Metadata


def names_of_flower(source: str) -> Iterator[str]:
    """Yield what a module imports of Flower, and the modules of Flower that it names in strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "flwr")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flwr":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [node.value] if re.fullmatch(r"flwr(\.\w+)+", node.value) else []


def is_documented(name: str) -> bool:
    module, _, member = name.rpartition(".")
    return name in DOCUMENTED or (module in DOCUMENTED and member in importlib.import_module(module).__all__)


def test_one_module_uses_what_flower_does_not_document() -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(modules) > 100
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in modules
        for name in names_of_flower(path.read_text())
        if not is_documented(name)
    }
    assert found == {(ADAPTER, name) for name in PRIVATE}


def test_one_module_sets_what_flower_s_records_keep_to_themselves() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r"""__dict__\[["'](_\w+)["']\]""", path.read_text())
    }
    assert found == {(ADAPTER, name) for name in PRIVATE_ATTRIBUTES}


def test_what_counts_as_a_name_of_flower() -> None:
    source = (
        "import flwr.common.config\nfrom flwr.supercore.run import Run as R\nimport_module('flwr.supernode.main')\n"
        "from flower import flwr\ncommand = ['flwr', 'flwr run . --stream']\n"
    )
    found = list(names_of_flower(source))
    assert sorted(found) == ["flwr.common.config", "flwr.supercore.run.Run", "flwr.supernode.main"]
    assert not any(map(is_documented, [*found, "flwr.serverapp.strategy.krum.Krum"]))
    assert all(map(is_documented, ["flwr.app.Message", "flwr.serverapp.strategy.Krum", "flwr.serverapp"]))


def test_codes_and_names_are_those_of_the_installed_release() -> None:
    assert f"[code: {ApiErrorCode.RUN_ID_NOT_FOUND.value}]" == RUN_ID_NOT_FOUND
    assert f"[code: {ApiErrorCode.PUBLIC_KEY_ALREADY_IN_USE.value}]" == PUBLIC_KEY_ALREADY_IN_USE
    assert ErrorCode.UNKNOWN == UNKNOWN_ERROR
    assert run_superexec._TASK_POLL_INTERVAL_ENV == TASK_POLL_INTERVAL
    assert STOPPED_WITHIN >= 2 * HEARTBEAT_DEFAULT_INTERVAL  # a stopped ServerApp learns it from its next heartbeat
    commands = {each.name: each for each in entry_points(group="console_scripts") if each.name in DEVICE_COMMANDS}
    assert sorted(commands) == sorted(DEVICE_COMMANDS)
    assert {path.name for path in (ROOT / "pps_qmix/runtime/preloaded/bin").iterdir()} == set(DEVICE_COMMANDS)


@pytest.mark.parametrize("module", LATE_IMPORTS)
def test_what_flower_imports_late_can_be_imported(module: str) -> None:
    importlib.import_module(module)


def test_the_id_of_a_started_run_is_read_from_what_flower_says() -> None:
    assert started_run("Loading\n🎊 Successfully started run 7421993 in 'here'\n") == "7421993"
    assert started_run("Loading\nFailed to start a run\n") is None


@pytest.mark.usefixtures("flower_identity")
def test_a_message_has_the_id_that_it_is_given_and_a_run_what_it_is_made_of() -> None:
    message = Message(RecordDict(), dst_node_id=5, message_type="train")
    set_message_id(message, "17")
    assert message.metadata.message_id == "17"
    error = Message(Error(UNKNOWN_ERROR, "no"), reply_to=message)
    assert (error.metadata.reply_to_message_id, error.error.reason) == ("17", "no")
    set_source(error, 1)
    assert error.metadata.src_node_id == 1
    run = make_run(3, {"map": "3m"})
    assert (run.run_id, run.override_config) == (3, {"map": "3m"})


def test_a_process_is_of_the_run_that_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, None)
    flower_internals.identify_process(9)
    assert Message(RecordDict(), dst_node_id=5, message_type="train").metadata.run_id == 9


def test_an_exception_s_text_is_read_from_what_flower_wraps_around_it() -> None:
    assert exception_text("<class 'client.launch.AgentError'>:<'no\nmemory'>") == "no\nmemory"
    assert exception_text("Message Unavailable") == "Message Unavailable"
