"""The command line and the environment of a SuperNode."""

from __future__ import annotations

import sys
from pathlib import Path

from client.launch import Address, HostAddress
from operations.paths import is_utf8
from pps_qmix.runtime.preloaded.supernode import BIN, preloaded_environment
from pps_qmix.runtime.processes import TELEMETRY_OFF, flower_command
from pps_qmix.runtime.superlink import called_directly
from server.flower_internals import TASK_POLL_INTERVAL

_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in ('"', "\\", *map(chr, range(32)), "\x7f")}


def supernode_environment(
    superlink: str, home: Path, root_certificates: Path | None = None, loaded: Path | None = None
) -> dict[str, str]:
    """Return what a SuperNode's environment has beside ours. `home` is its folder, and no other Flower process's.

    `loaded` is the socket of the process that has loaded what devices need, where several share one.
    """
    return {
        "FLWR_HOME": str(home),
        # Seconds between two looks for a ClientApp to start, 4 ms of CPU each; Flower's default is 1.
        TASK_POLL_INTERVAL: "0.3",
        "OPENBLAS_NUM_THREADS": "1",  # a ClientApp imports numpy, and computes nothing
        **TELEMETRY_OFF,
        **called_directly(superlink, root_certificates),
        **(preloaded_environment(loaded) if loaded is not None else {}),
    }


def supernode_command(
    address: Address,
    superlink: str,
    port: int,
    home: Path,
    root_certificates: Path | None = None,
    key: Path | None = None,
    *,
    shares: bool = False,
) -> list[str]:
    """Return how the SuperNode of a device is started (`pps_qmix.runtime.preloaded`).

    It `shares` a process that has loaded what devices need, named in its environment, or starts one for itself.
    `port` is one of this machine for its ClientApps, `home` its folder, as for `supernode_environment`.
    With `root_certificates` it calls the SuperLink over TLS, else in plaintext; with `key` it proves who it is.
    Raises ValueError for a path that a node config cannot hold.
    """
    secured = ["--insecure"] if root_certificates is None else ["--root-certificates", str(root_certificates)]
    if key is not None:
        secured += ["--auth-supernode-private-key", str(key)]
    program = flower_command("flower-supernode")
    alone = [sys.executable, "-P", "-m", "pps_qmix.runtime.preloaded.supernode", str(home / "preloaded.sock"), program]
    return [
        *([str(BIN / "flower-supernode")] if shares else alone),
        *(*secured, "--superlink", superlink),
        *("--port", str(port), "--node-config", _node_config(address)),
    ]


def _node_config(address: Address) -> str:
    words = [*_who(address), f"envproxy={_node_config_text(address.envproxy)}"]
    own = {"tokens": address.tokens} if isinstance(address, HostAddress) else {"token": address.token}
    files = {**own, "root-certificates": address.transport.root_certificates}
    for name, path in files.items():
        if path is not None:
            if not is_utf8(path):
                raise ValueError(f"{name}: expected a path in UTF-8, found {str(path)!r}")
            words.append(f"{name}={_node_config_text(str(path))}")
    if address.transport.insecure:
        words.append("insecure=true")
    return " ".join(words)


def _who(address: Address) -> list[str]:
    """Return the words of a node config that say which members a device holds."""
    if not isinstance(address, HostAddress):
        return [f"seat={address.seat}"]
    if address.members:
        members = ",".join(map(str, address.members))
        return [f"device={address.device}", f"members={_node_config_text(members)}"]
    return [f"device={address.device}", f"capacity={address.capacity}"]


def _node_config_text(text: str) -> str:
    """Return a TOML string without a quotation mark in it: Flower looks for the next one before it reads TOML."""
    return f'"{text.translate(_ESCAPED)}"'
