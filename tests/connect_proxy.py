"""An HTTP proxy that opens tunnels and takes down who asked for what."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ConnectProxy:
    """Whatever host is asked for, a tunnel leads to `target`, a port of the loopback; without one it is refused."""

    def __init__(self, target: int | None = None) -> None:
        self.asked: list[str] = []  # first lines of requests
        self.headers: list[str] = []  # the rest of them
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                more = connection.recv(4096)
                if not more:
                    return
                request += more
            line, _, headers = request.decode().partition("\r\n")
            self.headers.append(headers)
            self.asked.append(line)
            if self._target is None or not line.startswith("CONNECT "):
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._target)) as onward:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
                back.start()
                _copy(connection, onward)
                back.join()


@contextmanager
def connect_proxy(target: int | None = None) -> Iterator[ConnectProxy]:
    proxy = ConnectProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
