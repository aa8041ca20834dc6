"""The program `SC2_x64`: a WebSocket server that one client plays a game with.

It ends on `quit`, on SIGTERM, and when its client has gone.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

from tests.starcraft.faults import LAUNCH, Fault, read_faults
from tests.starcraft.launches import record_launch, requests_log

if TYPE_CHECKING:
    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection

PATH: Final = "/sc2api"
LONGEST_LIFE: Final = 1800  # seconds: a game that its test has lost ends by itself


def main() -> None:
    """Play a game as the arguments and the installation's faults say."""
    signal.alarm(LONGEST_LIFE)
    options = _parser().parse_args()
    launch = record_launch(options.data_dir, sys.argv[1:])
    faults = read_faults(options.data_dir, launch.number)
    for fault in faults:
        if fault.what == "exit-at-start":
            print(fault.words, file=sys.stderr, flush=True)
            sys.exit(1)
        if fault.what == "ignores-sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if fault.what == "never-listens":
            _wait_for_ever()
        if fault.comes_at(LAUNCH, fault.number, ""):
            _come_about(fault)
    _serve(options.listen, options.port, faults, requests_log(launch))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("-listen", required=True, help="address to listen on")
    parser.add_argument("-port", type=int, required=True)
    parser.add_argument("-dataDir", dest="data_dir", type=Path, required=True, help="folder of the installation")
    parser.add_argument("-tempDir", dest="temp_dir", type=Path, required=True, help="folder for temporary files")
    parser.add_argument("-dataVersion", dest="data_version", default="")
    return parser


def _serve(host: str, port: int, faults: Sequence[Fault], log: IO[bytes]) -> None:
    """Serve one client; end the process when it has gone."""
    # These take most of the start's time, and faults at the launch do without them.
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415
    from websockets.sync.server import serve  # noqa: PLC0415

    from tests.starcraft.api import Game  # noqa: PLC0415

    game = Game(faults, received=lambda name: _write(log, name), come_about=_come_about)
    has_client = threading.Event()

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        if request.path != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, f"there is only {PATH}\n")
        if has_client.is_set():
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the game has a client\n")
        has_client.set()
        return None

    def play(connection: ServerConnection) -> None:
        status = 1
        try:
            # pysc2 sends bytes in TEXT frames, though they are not UTF-8.
            while (answer := game.answer(connection.recv(decode=False))) is not None:
                connection.send(answer)
            status = 0
        except ConnectionClosed:
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)  # the server would wait for its threads, and this is one

    with serve(play, host, port, compression=None, ping_interval=None, max_size=None, process_request=admit) as server:
        server.serve_forever()


def _write(log: IO[bytes], name: str) -> None:
    log.write(f"{name}\n".encode())


def _come_about(fault: Fault) -> None:
    """Let a fault happen that the game does not survive, or that takes time."""
    if fault.what == "slow":
        time.sleep(fault.seconds)
    elif fault.what == "hang":
        _wait_for_ever()
    elif fault.what == "crash":
        print(fault.words, file=sys.stderr, flush=True)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()


def _wait_for_ever() -> NoReturn:
    while True:
        time.sleep(3600.0)


if __name__ == "__main__":
    main()
