"""What the product uses of Flower beyond its documented modules `flwr.app`, `flwr.clientapp` and `flwr.serverapp`.

A release of Flower may change any of it without notice. No other module imports Flower's internals;
`tests/server/test_flower_internals.py` checks that, lists what is here and compares it with the installed release.

It is in `server` because the ServerApp needs it: a ServerApp has only the packages of `fab-include`. Flower is imported
inside the functions: the commands that need the names alone do not spend two CPU-seconds on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flwr.app import Message, UserConfigValue
    from flwr.supercore.run import Run as Run  # noqa: PLC0414 - mypy takes it for exported

# What `flwr ... --format json` says in `error-message`: members of flwr.supercore.error.ApiErrorCode
RUN_ID_NOT_FOUND: Final = "[code: 16]"
PUBLIC_KEY_ALREADY_IN_USE: Final = "[code: 23]"
INTERNAL_ERROR: Final = "500 Internal Server Error"  # in a run's details: an exception in the SuperLink

UNKNOWN_ERROR: Final = 0  # flwr.common.constant.ErrorCode.UNKNOWN, of a message that carries an error

# Seconds until a ServerApp has ended whose run was stopped. Its next heartbeat tells it: they are up to 22.5 s apart.
STOPPED_WITHIN: Final = 60.0

TASK_POLL_INTERVAL: Final = "FLWR_SUPEREXEC_TASK_POLL_INTERVAL"  # seconds between two looks for a process to start

# What runs on a device: the SuperNode starts the SuperExec by this name, which starts the ClientApps by theirs.
DEVICE_COMMANDS: Final = ("flower-supernode", "flower-superexec", "flwr-clientapp")
# What these commands import as late as they can.
LATE_IMPORTS: Final = (
    *("flwr.supernode.main", "httpcore", "h11", "uvicorn.loops.auto", "uvicorn.lifespan.on"),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
)

_STARTED = re.compile(r"started run (\d+)")
_WRAPPED = re.compile(r"<class '[^']+'>:<'(.*)'>", re.DOTALL)


def started_run(said: str) -> str | None:
    """Return the id of the run that `flwr run` says it has started; None if it does not say so."""
    found = _STARTED.search(said)
    return found.group(1) if found else None


def exception_text(reason: str) -> str:
    """Return the text of a ClientApp's exception, without what Flower wraps around it in a message's error."""
    wrapped = _WRAPPED.fullmatch(reason)
    return wrapped.group(1) if wrapped else reason


def make_run(run_id: int, override_config: Mapping[str, UserConfigValue] | None = None) -> Run:
    """Return a run that no SuperLink knows, for a Grid of our own."""
    from flwr.supercore.run import Run  # noqa: PLC0415 - see above

    run = Run.create_empty(run_id)
    run.override_config = dict(override_config or {})
    return run


def identify_process(run_id: int) -> None:
    """Make this process one of a run's, which Flower's `Message` reads when it is made. Flower does so in its own."""
    from flwr.supercore.task_identity import TaskIdentity  # noqa: PLC0415 - see above

    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = run_id, 0, 0


def set_message_id(message: Message, message_id: str) -> None:
    """Give a message its id, as a SuperLink does. Flower's `Metadata` has no setter."""
    message.metadata.__dict__["_message_id"] = message_id


def set_source(message: Message, node: int) -> None:
    """Say which node an answer is from, where it is not the one that was asked. `Metadata` has no setter."""
    message.metadata.__dict__["_src_node_id"] = node


def call_at_exit(function: Callable[[], None]) -> None:
    """Have Flower call a function when it ends this process: after it has printed the stack trace and the exit code."""
    from flwr.supercore.exit import add_exit_handler  # noqa: PLC0415 - see above

    add_exit_handler(function, run_before_force_exit=True)
