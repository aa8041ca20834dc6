"""What `python -m envproxy` and `pps-qmix envproxy` do: read flags, make the arenas, serve them until stopped."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence

from envproxy import metrics_endpoint
from envproxy.arena import Arena
from envproxy.arena_status import shared_statuses
from envproxy.attestation import keep_key
from envproxy.backend import check_map_named, create_backend
from envproxy.certificates import ServerCertificate, credentials_of
from envproxy.hosting import HostedArena
from envproxy.metrics import ArenaMetrics
from envproxy.mixer_store import MIXERS
from envproxy.processes import EnvProxyProcesses
from envproxy.rules import Rules
from envproxy.server import EnvProxyServer
from envproxy.tokens import keep_tokens
from envproxy.transport import DEFAULT_ADDRESS, is_loopback
from operations import logs
from operations.addresses import check_address, host_and_port
from operations.defaults import default_config
from operations.home import made_home, pps_home
from operations.limits import ARENA_NAME, LONGEST_WAIT, MOST_AT_ONCE
from operations.listening import Reservation
from operations.open_files import allow_open_files
from operations.paths import user_path

log = logging.getLogger("envproxy")

_GRACE = 1.0  # seconds for streams to end by themselves
_CHECK_EVERY = 0.2  # seconds between two checks of signals and processes

_MOST_PROCESSES = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = default_config()
    parser.add_argument(
        "--map", help=f"map of every arena that names no other (default: {defaults['map']}, where the backend has it)"
    )
    parser.add_argument(
        "--arena",
        action="append",
        metavar="NAME[=MAP]",
        help=f"an arena to serve; may be given several times (default: {defaults['arena']})",
    )
    parser.add_argument("--battles", type=int, help=f"battles in parallel, E (default: {defaults['battles']})")
    parser.add_argument("--backend", default=str(defaults["backend"]), help="what plays the battles (%(default)s)")
    parser.add_argument(
        "--backend-options",
        default=str(defaults["backend-options"]),
        metavar="'NAME=VALUE, ...'",
        help="how the backend runs on this machine: docs/starcraft.md (default: none)",
    )
    parser.add_argument(
        "--rules",
        default=str(defaults["rules"]),
        metavar="'NAME=VALUE, ...'",
        help="options that differ from SMAC's, of every arena: docs/smac-rules.md (default: none)",
    )
    parser.add_argument("--listen", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="(default: %(default)s)")
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="processes that share the arenas, at most one an arena (default: one a core)",
    )
    parser.add_argument(
        "--certificate", type=user_path, metavar="FILE", help="serve TLS with it (pps-qmix certs makes one)"
    )
    parser.add_argument("--private-key", type=user_path, metavar="FILE", help="the certificate's private key")
    parser.add_argument(
        "--insecure", action="store_true", help="let other machines connect in plaintext, and send their tokens so"
    )
    parser.add_argument(
        "--tokens", type=user_path, help="folder of the seats' tokens, made if absent (default: $PPS_HOME/tokens)"
    )
    parser.add_argument(
        "--attest-key",
        type=user_path,
        metavar="FILE",
        help="sign what agents earn with the key in this file, made if absent, for runs with the setting attest-key",
    )
    parser.add_argument(
        "--seat-timeout",
        type=float,
        default=defaults["seat-timeout"],
        help="seconds until the others play on without a silent seat (default: %(default)s)",
    )
    parser.add_argument(
        "--seat-budget",
        type=float,
        default=defaults["seat-budget"],
        help="seconds for which one seat may make the others wait in a round; 0: without end (default: %(default)s)",
    )
    metrics_endpoint.add_arguments(parser)
    logs.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the certificate again. Return the exit code.

    Raises ValueError for wrong flags, BackendFailedError if a backend cannot play here, OSError if it cannot listen or
    write tokens, HomeError if $PPS_HOME cannot be used, ProcessEndedError if one of its processes ends.
    """
    logs.choose(options.log_format)
    logs.set_up()
    if options.battles is None:
        options.battles = default_config()["battles"]
    maps = _check(options)
    certificate = ServerCertificate(options.certificate, options.private_key) if options.certificate else None
    allow_open_files()
    with Reservation(*host_and_port(options.listen)) as reserved:
        return _serve(_host(options, maps), reserved, certificate, options)


def _host(options: argparse.Namespace, maps: Mapping[str, str]) -> list[HostedArena]:
    """Return the arenas, ready to be played."""
    rules = Rules.parse(options.rules)
    key = keep_key(options.attest_key) if options.attest_key else None
    tokens = options.tokens or made_home() / "tokens"
    arenas = []
    for (name, map_name), status in zip(maps.items(), shared_statuses(len(maps)), strict=True):
        backend = create_backend(options.backend, map_name, options.battles, rules, options.backend_options)
        backend.prepare()
        arena = Arena(backend, pps_home() / MIXERS)
        seats = keep_tokens(tokens, name, arena.spec.n_agents)
        times = (options.seat_timeout, options.seat_budget)
        arenas.append(HostedArena(name, options.backend, arena, seats, *times, rules, key, status))
        log.info(
            "arena %s: %s, %d seats, %d battles, tokens in %s",
            *(name, map_name, arena.spec.n_agents, arena.battles, tokens / name),
            extra={"arena": name},
        )
    return arenas


def _serve(
    arenas: Sequence[HostedArena],
    reserved: Reservation,
    certificate: ServerCertificate | None,
    options: argparse.Namespace,
) -> int:
    stop, reload = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: reload.set())
    count = min(options.processes or len(os.sched_getaffinity(0)), len(arenas))
    server: EnvProxyServer | EnvProxyProcesses
    if count > 1:
        server = EnvProxyProcesses(arenas, reserved.addresses, certificate, count)
    else:
        server = EnvProxyServer(arenas, reserved.addresses, credentials_of(certificate))
    for address in reserved.addresses:
        log.info("listening on %s, %s", address, "over TLS" if certificate else "in plaintext")
    try:
        with metrics_endpoint.served(options.metrics_listen, ArenaMetrics(server.counters), certificate):
            while not stop.wait(_CHECK_EVERY):
                server.check()
                if reload.is_set() and certificate is not None:
                    certificate.reload(at_once=True)
                    server.reload()
                reload.clear()
    finally:
        log.info("stopping")
        server.stop(_GRACE)  # a thread of an arena may be starting a game, which closing ends
        for hosted in arenas:
            hosted.close()
    return 0


def _check(options: argparse.Namespace) -> dict[str, str]:
    """Return the map of every arena. Raises ValueError for a flag that has a wrong value."""
    if not 1 <= options.battles <= MOST_AT_ONCE:
        raise ValueError(f"battles: expected 1..{MOST_AT_ONCE}, found {options.battles}")
    if options.processes is not None and not 1 <= options.processes <= _MOST_PROCESSES:
        raise ValueError(f"processes: expected 1..{_MOST_PROCESSES}, found {options.processes}")
    if not 0 < options.seat_timeout <= LONGEST_WAIT:
        raise ValueError(
            f"seat-timeout: expected more than 0 seconds, at most {LONGEST_WAIT:.0f}, found {options.seat_timeout:g}"
        )
    if not 0 <= options.seat_budget <= LONGEST_WAIT:
        raise ValueError(
            f"seat-budget: expected 0 to {LONGEST_WAIT:.0f} seconds, found {options.seat_budget:g}; 0 is without end"
        )
    check_address("listen", options.listen)
    if (options.certificate is None) != (options.private_key is None):
        raise ValueError("certificate: --certificate and --private-key go together")
    if options.insecure and options.certificate is not None:
        raise ValueError("insecure: with --certificate nothing is in plaintext; omit one of the two")
    if options.certificate is None and not options.insecure and not is_loopback(options.listen):
        raise ValueError(
            f"listen: other machines reach {options.listen}, and tokens would travel in plaintext; give --certificate "
            "and --private-key (pps-qmix certs makes them), or --insecure on a network that you trust"
        )
    metrics_endpoint.check(options.metrics_listen, insecure=options.insecure, certificate=options.certificate)
    arenas: dict[str, str] = {}
    for wanted in options.arena or [str(default_config()["arena"])]:
        name, named, map_name = wanted.partition("=")
        if not re.fullmatch(ARENA_NAME, name) or (named and not map_name):
            raise ValueError(f"arena: expected NAME or NAME=MAP, a name of letters, digits and ._-, found {wanted!r}")
        if name in arenas:
            raise ValueError(f"arena: {name!r} is given twice")
        arenas[name] = map_name or _map_of_all(options)
    return arenas


def _map_of_all(options: argparse.Namespace) -> str:
    """Return the map of arenas that name no other. Raises UnknownNameError if the backend lacks the default map."""
    if options.map is None:
        check_map_named(options.backend)
        return str(default_config()["map"])
    return str(options.map)
