"""What an env proxy bears: ticks a second with few seats, with a thousand, and under attack. Markdown tables.

    python -m benchmarks.seats speed [--map 3m] [--battles 8] [--arenas 1] [--processes 1] [--seconds 5]
    python -m benchmarks.seats thousand [--arenas 334] [--processes 2]
    python -m benchmarks.seats attacks [--seconds 10]

The env proxy is `python -m envproxy` in processes of its own. Seats are clients that take the first action that is
available; they learn nothing, so what is measured is the env proxy. Attackers are processes of their own, too, on the
same cores and from the same address as the team.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.synchronize
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import psutil
import uvloop

from envproxy import battle_pb2 as pb
from envproxy import wire
from envproxy.calls import ELSEWHERE, SeatCall
from envproxy.protocol import Phase, PhaseKind, Standing
from envproxy.tokens import read_token, token_path
from pps_qmix.runtime.processes import free_ports

PLAY: Final = "/pps_qmix.battle.v1.BattleService/Play"
DESCRIBE: Final = "/pps_qmix.battle.v1.BattleService/Describe"
STEPS: Final = 10**12  # of a phase: no measurement sees its end
OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)
PATIENCE: Final = 120.0  # seconds


Channel = Any  # grpc.aio's: the stubs of gRPC have its methods with all arguments required


def open_channel(address: str) -> Channel:
    """Return a channel that has a connection of its own."""
    return grpc.aio.insecure_channel(address, OPTIONS)


# --- an env proxy -------------------------------------------------------------------------------------------------


class Proxy:
    """`python -m envproxy` of some arenas a0, a1, ... of one map."""

    def __init__(self, folder: Path, map_name: str, battles: int, arenas: int, processes: int) -> None:
        self.names = [f"a{number}" for number in range(arenas)]
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.tokens = folder / "tokens"
        command = [sys.executable, "-P", "-m", "envproxy", "--listen", self.address, "--map", map_name]
        command += ["--battles", str(battles), "--processes", str(processes), "--tokens", str(self.tokens)]
        command += [flag for name in self.names for flag in ("--arena", name)]
        self.log = folder / "envproxy.log"
        with self.log.open("wb") as log:
            environment = {**os.environ, "PPS_HOME": str(folder)}
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        began = time.monotonic()
        while f"listening on {self.address}" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() - began > PATIENCE:
                sys.exit(f"the env proxy did not start: {self.log.read_text()}")
            time.sleep(0.05)
        self.seats = asyncio.run(self._describe()).n_agents

    def calls(self) -> list[SeatCall]:
        """Return what each seat of each arena says of itself."""
        return [
            SeatCall(name, seat, read_token(token_path(self.tokens, name, seat)))
            for name in self.names
            for seat in range(self.seats)
        ]

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, all processes together."""
        return sum(sum(each.cpu_times()[:2]) for each in self._all())

    def memory(self) -> float:
        """Return its resident memory in MB, all processes together; what they share is counted for each."""
        return sum(each.memory_info().rss for each in self._all()) / 1e6

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()

    def _all(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    async def _describe(self) -> pb.ArenaDescription:
        async with open_channel(self.address) as channel:
            ask = channel.unary_unary(DESCRIBE, None, pb.ArenaDescription.FromString)
            description: pb.ArenaDescription = await ask(pb.DescribeRequest(arena=self.names[0]).SerializeToString())
            return description


@contextlib.contextmanager
def env_proxy(map_name: str, battles: int, arenas: int = 1, processes: int = 1) -> Iterator[Proxy]:
    with tempfile.TemporaryDirectory() as folder:
        proxy = Proxy(Path(folder), map_name, battles, arenas, processes)
        try:
            yield proxy
        finally:
            proxy.close()


# --- seats --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Counts:
    """What the seats of one process have seen."""

    ticks: int = 0  # of all seats
    playing: int = 0  # seats that have had a tick
    first: float = 0.0  # seconds until the last of them had its first
    connections: int = 0
    errors: Counter[str] = dataclasses.field(default_factory=Counter)


class Seat:
    """One seat that plays until it is cancelled."""

    def __init__(self, address: str, call: SeatCall, counts: Counts, began: float) -> None:
        self._address, self._call, self._counts, self._began = address, call, counts, began
        self._actions: dict[bytes, bytes] = {}  # by availability

    async def play(self) -> None:
        sizes = None
        while True:
            async with open_channel(self._address) as channel:
                self._counts.connections += 1
                try:
                    sizes = sizes or await self._describe(channel)
                    await self._converse(channel, sizes)
                except grpc.aio.AioRpcError as error:
                    trailing: Any = error.trailing_metadata()
                    if any(key == ELSEWHERE for key, _ in trailing):
                        continue
                    # INTERNAL: gRPC's asyncio client, where a refusal meets the first message on its way
                    self._counts.errors[f"{error.code().name}: {error.details()}"[:80]] += 1
                    await asyncio.sleep(0.05)

    async def _describe(self, channel: Channel) -> pb.ArenaDescription:
        ask = channel.unary_unary(DESCRIBE, None, pb.ArenaDescription.FromString)
        request = pb.DescribeRequest(arena=self._call.arena).SerializeToString()
        sizes: pb.ArenaDescription = await ask(request, metadata=self._call.metadata(), timeout=PATIENCE)
        return sizes

    async def _converse(self, channel: Channel, sizes: pb.ArenaDescription) -> None:
        stream = channel.stream_stream(PLAY)(metadata=self._call.metadata())
        phase = Phase(1, 1, PhaseKind.COLLECT, 0, STEPS, Standing())
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # it has ended: `read` says why
            await stream.write(pb.SeatMessage(join=pb.Join(phase=wire.phase_to(phase))).SerializeToString())
        first = True
        while content := await stream.read():  # EOF is false
            message = pb.ArenaMessage.FromString(content)
            if message.WhichOneof("message") != "tick":
                continue
            if first:
                first = False
                self._counts.playing += 1
                self._counts.first = max(self._counts.first, time.monotonic() - self._began)
            self._counts.ticks += 1
            actions = self._choose(message.tick.available, sizes)
            await stream.write(pb.SeatMessage(act=pb.Act(tick=message.tick.tick, actions=actions)).SerializeToString())

    def _choose(self, available: bytes, sizes: pb.ArenaDescription) -> bytes:
        """Return the last available move or stop, else the first action, of every battle."""
        if available not in self._actions:
            packed = np.frombuffer(available, np.uint8).reshape(sizes.battles, -1)
            bits = np.unpackbits(packed, axis=1, count=sizes.n_actions)
            self._actions[available] = bits.argmax(axis=1).astype(np.uint8).tobytes()
        return self._actions[available]


def play_seats(address: str, calls: list[SeatCall], seconds: float, warm: float, answer: Any) -> None:
    """Let seats play in this process; answer what they saw in `seconds` after the first `warm`."""

    async def play() -> None:
        counts, began = Counts(), time.monotonic()
        seats = [asyncio.create_task(Seat(address, call, counts, began).play()) for call in calls]
        await asyncio.sleep(warm)
        before, at = counts.ticks, time.monotonic()
        answer.send("warm")
        await asyncio.sleep(seconds)
        answer.send((dataclasses.replace(counts, ticks=counts.ticks - before), time.monotonic() - at))
        for seat in seats:
            seat.cancel()
        await asyncio.gather(*seats, return_exceptions=True)

    uvloop.run(play())


def measure(proxy: Proxy, calls: list[SeatCall], seconds: float, warm: float = 1.0, clients: int = 1) -> dict[str, Any]:
    """Let seats play in some client processes; return what was seen."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(clients):
        ours, theirs = context.Pipe(duplex=False)
        part = [call for index, call in enumerate(calls) if index // proxy.seats % clients == number]
        process = context.Process(target=play_seats, args=(proxy.address, part, seconds, warm, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    cpu = proxy.cpu_seconds()
    answers = [pipe.recv() for pipe in pipes]
    cpu = proxy.cpu_seconds() - cpu
    for process in processes:
        process.join(10.0)
        process.kill()
    seat_ticks = sum(counts.ticks for counts, _ in answers)
    wall = max(took for _, took in answers)
    return {
        "seat-ticks/s": seat_ticks / wall,
        "ticks/s": seat_ticks / wall / proxy.seats,
        "CPU us a seat-tick": 1e6 * cpu / max(1, seat_ticks),
        "cores of the env proxy": cpu / wall,
        "playing": sum(counts.playing for counts, _ in answers),
        "last first tick, s": max(counts.first for counts, _ in answers),
        "connections": sum(counts.connections for counts, _ in answers),
        "errors": dict(sum((counts.errors for counts, _ in answers), Counter())),
    }


# --- attacks ------------------------------------------------------------------------------------------------------

Attack = Callable[[str], Coroutine[Any, Any, None]]


async def _for_ever(call: Callable[[], Awaitable[Any]]) -> None:
    while True:
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError, OSError):
            await call()


async def _repeat(address: str, connections: int, each: int, call: Callable[[Channel], Awaitable[Any]]) -> None:
    channels = [open_channel(address) for _ in range(connections)]
    await asyncio.gather(*(_for_ever(partial(call, channel)) for channel in channels for _ in range(each)))


async def silent_streams(address: str) -> None:
    """400 streams over 8 connections that never send `Join`."""

    async def call(channel: Channel) -> None:
        stream = channel.stream_stream(PLAY)()
        await stream.read()
        await stream.code()

    await _repeat(address, 8, 50, call)


async def describe(address: str) -> None:
    """200 concurrent `Describe`."""
    request = pb.DescribeRequest(arena="a0").SerializeToString()

    async def call(channel: Channel) -> None:
        await channel.unary_unary(DESCRIBE)(request)

    await _repeat(address, 8, 25, call)


async def describe_in_haste(address: str) -> None:
    """200 concurrent `Describe` that are given up after 0.1 s."""
    request = pb.DescribeRequest(arena="a0").SerializeToString()

    async def call(channel: Channel) -> None:
        await channel.unary_unary(DESCRIBE)(request, timeout=0.1)

    await _repeat(address, 8, 25, call)


async def wrong_tokens(address: str) -> None:
    """200 concurrent streams with a wrong token."""
    metadata = SeatCall("a0", 0, "wrong").metadata()

    async def call(channel: Channel) -> None:
        await channel.stream_stream(PLAY)(metadata=metadata).read()

    await _repeat(address, 8, 25, call)


async def large_joins(address: str) -> None:
    """50 concurrent `Join`s of 4 MB without a token."""
    large = bytes(4 * 1024 * 1024 - 1024)

    async def call(channel: Channel) -> None:
        stream = channel.stream_stream(PLAY)()
        await stream.write(large)
        await stream.read()

    await _repeat(address, 8, 6, call)


async def new_connections(address: str) -> None:
    """50 at a time that connect, ask once and leave."""
    request = pb.DescribeRequest(arena="a0").SerializeToString()

    async def call() -> None:
        async with open_channel(address) as channel:
            await channel.unary_unary(DESCRIBE)(request, timeout=5.0)

    await asyncio.gather(*(_for_ever(call) for _ in range(50)))


async def idle_sockets(address: str) -> None:
    """2,000 connections that say nothing."""
    host, port = address.split(":")
    held = []
    for _ in range(2000):
        with contextlib.suppress(OSError):
            held.append(socket.create_connection((host, int(port)), 5.0))
        await asyncio.sleep(0)
    await asyncio.sleep(3600)


ATTACKS: Final[dict[str, Attack]] = {
    attack.__name__: attack
    for attack in (
        *(silent_streams, describe, describe_in_haste, wrong_tokens, large_joins, new_connections, idle_sockets),
    )
}


def attack(name: str, address: str) -> None:
    """Attack from this process until it is killed."""
    import resource  # noqa: PLC0415

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(ATTACKS[name](address))


@contextlib.contextmanager
def attacked(address: str, name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=attack, args=(name, address), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


# --- the tables ---------------------------------------------------------------------------------------------------


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(_shown, row.values())) + " |")


def _shown(figure: object) -> str:
    if not isinstance(figure, float):
        return str(figure)
    return f"{figure:.3g}" if figure < 100 else f"{figure:.0f}"


def speed(options: argparse.Namespace) -> None:
    with env_proxy(options.map, options.battles, options.arenas, options.processes) as proxy:
        print_table([measure(proxy, proxy.calls(), options.seconds, clients=options.clients)])


def thousand(options: argparse.Namespace) -> None:
    with env_proxy(options.map, options.battles, options.arenas, options.processes) as proxy:
        row = measure(proxy, proxy.calls(), options.seconds, warm=15.0, clients=options.clients)
        print_table([{"seats": len(proxy.calls()), **row, "MB": proxy.memory()}])


def attacks(options: argparse.Namespace) -> None:
    rows = []
    for name in [None, *options.only]:
        with env_proxy(options.map, options.battles) as proxy, attacked(proxy.address, name):
            if name is not None:
                time.sleep(3.0)  # the attack is on when the team comes
            row = measure(proxy, proxy.calls(), options.seconds, warm=2.5)
            rows.append(
                {
                    "attack": (name or "none").replace("_", " "),
                    **{key: row[key] for key in ("ticks/s", "last first tick, s", "playing", "errors")},
                    "MB": proxy.memory(),
                    "lines of log": proxy.log.read_text().count("\n"),
                }
            )
    print_table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, arenas, processes, seconds in (
        ("speed", speed, 1, 1, 5.0),
        ("thousand", thousand, 334, 2, 10.0),
        ("attacks", attacks, 1, 1, 10.0),
    ):
        command = commands.add_parser(name)
        command.add_argument("--map", default="3m")
        command.add_argument("--battles", type=int, default=8)
        command.add_argument("--arenas", type=int, default=arenas)
        command.add_argument("--processes", type=int, default=processes)
        command.add_argument("--seconds", type=float, default=seconds)
        if run is attacks:
            command.add_argument("--only", nargs="+", choices=ATTACKS, default=list(ATTACKS), help="(default: all)")
        command.add_argument("--clients", type=int, default=1, help="processes that the seats are in")
        command.set_defaults(run=run)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
