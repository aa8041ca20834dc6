"""The Flower ClientApp of a device. Flower starts one for every message, so it does not import PyTorch: it passes the
message to the resident agent process of its seat and returns the answer of that process.

Node config (`flower-supernode --node-config '...'`):
    seat=0                        the seat this device holds (required)
    envproxy="HOST:PORT"          default 127.0.0.1:50551
    token="FILE"                  default $PPS_HOME/tokens/<arena>/seat-<i>.token
    root-certificates="FILE"      CA certificate that the env proxy's is verified with; without it, plaintext
    insecure=true                 plaintext also to an env proxy that is not on the loopback
"""

from __future__ import annotations

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.flower import config_of, message_from_answer, pack_request
from client.launch import Address, HostAddress, SeatAddress, ask
from envproxy.tokens import token_path
from envproxy.transport import DEFAULT_ADDRESS, Transport, TransportError
from operations.home import pps_home
from operations.members import Member
from operations.paths import user_path
from strategies.messages import DESCRIBE, TRAIN, WEIGHTS

app = ClientApp()

NodeConfig = dict[str, bool | float | int | str]


class NodeConfigError(ValueError):
    """The SuperNode was started with a node config that does not say which seat it is."""


@app.query(DESCRIBE)
def describe(message: Message, context: Context) -> Message:
    """Say which seat this device holds and what its arena plays."""
    return _pass_on(DESCRIBE, message, context)


@app.query(WEIGHTS)
def weights(message: Message, context: Context) -> Message:
    """Return the agent's tensors."""
    return _pass_on(WEIGHTS, message, context)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Play one round: take over tensors, collect and learn, report."""
    return _pass_on(TRAIN, message, context)


def _pass_on(kind: str, message: Message, context: Context) -> Message:
    config = config_of(message)
    run, run_id = str(config["run"]), str(config["run-id"])
    address = address_of(context.node_config, str(config["arena"]))
    directory = address.directory(pps_home(), run, run_id)
    return message_from_answer(ask(directory, run, address, pack_request(kind, message)), message)


def address_of(node_config: NodeConfig, arena: str) -> Address:
    """Read the node config of a device, of one seat or of several members. Raises NodeConfigError."""
    return host_address(node_config) if "device" in node_config else seat_address(node_config, arena)


def host_address(node_config: NodeConfig) -> HostAddress:
    """Read the node config of a device that holds several members. Raises NodeConfigError, saying what to write."""
    device, capacity = node_config["device"], node_config.get("capacity", 0)
    if not all(
        isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in (device, capacity)
    ):
        raise NodeConfigError(f"device and capacity are {device!r} and {capacity!r}; expected whole numbers")
    try:
        members = tuple(Member.parse(text) for text in str(node_config.get("members", "")).split(",") if text)
    except ValueError as error:
        raise NodeConfigError(f"members: {error}") from None
    if bool(members) == bool(capacity):
        raise NodeConfigError("expected either members or capacity in the node config of a device with a number")
    tokens = user_path(str(node_config.get("tokens", pps_home() / "tokens"))).absolute()
    envproxy = _envproxy(node_config, f"device={device}")
    return HostAddress(int(device), members, int(capacity), envproxy, tokens, _transport(node_config))


def seat_address(node_config: NodeConfig, arena: str) -> SeatAddress:
    """Read the node config. Raises NodeConfigError, saying what to write."""
    seat = node_config.get("seat")
    if not isinstance(seat, int) or isinstance(seat, bool) or seat < 0:
        raise NodeConfigError(
            f"the node config names no seat (found {dict(node_config)}); "
            "start the SuperNode with --node-config 'seat=0' (0, 1, 2, ...: one per device)"
        )
    envproxy = _envproxy(node_config, f"seat={seat}")
    token = node_config.get("token") or token_path(pps_home() / "tokens", arena, seat)
    return SeatAddress(seat, envproxy, user_path(str(token)).absolute(), _transport(node_config))


def _envproxy(node_config: NodeConfig, who: str) -> str:
    envproxy = str(node_config.get("envproxy", DEFAULT_ADDRESS))
    host, _, port = envproxy.rpartition(":")
    if not host or not port.isdecimal():
        raise NodeConfigError(
            f"envproxy is {envproxy!r}; start the SuperNode with --node-config '{who} envproxy=\"HOST:PORT\"', "
            "the address where `pps-qmix envproxy` listens"
        )
    return envproxy


def _transport(node_config: NodeConfig) -> Transport:
    insecure, root_certificates = node_config.get("insecure", False), node_config.get("root-certificates")
    if not isinstance(insecure, bool):
        raise NodeConfigError(f"insecure is {insecure!r} in the node config; write insecure=true, or omit it")
    try:
        return Transport(None if root_certificates is None else user_path(str(root_certificates)).absolute(), insecure)
    except TransportError as error:
        raise NodeConfigError(f"node config: {error}") from None
