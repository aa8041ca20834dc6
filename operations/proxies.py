"""HTTP proxies, as the environment names them: which connections go through one.

Over TLS to another machine: through `https_proxy`, else `all_proxy`, unless `no_proxy` names the machine. All else goes
directly: plaintext is for the loopback and for networks of one's own, where a proxy would read it. Each variable counts
in small and in capital letters.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ALL = "*"  # as no_proxy: every host
_PROXIES = ("http", "https", "all")  # _proxy


class ProxyError(ValueError):
    """The environment names a proxy that cannot be used; the message says which variable, and what to do."""


@dataclass(frozen=True)
class Proxy:
    """A proxy that opens tunnels (CONNECT). `variable` is what names it; `url` may have a password in it."""

    variable: str
    url: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.variable})"

    def tunnel(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a connection to `host` through this proxy. Raises OSError if the proxy does not answer or refuses."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.set_tunnel(host, port, self._credentials())
        try:
            connection.connect()
        except (http.client.HTTPException, UnicodeError) as error:
            raise OSError(f"it answers nothing of HTTP: {error}") from None
        return connection.sock

    def _credentials(self) -> dict[str, str]:
        address = urlsplit(self.url)
        if address.username is None:
            return {}
        named = f"{unquote(address.username)}:{unquote(address.password or '')}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(named.encode()).decode()}"}


def tls_proxy() -> Proxy | None:
    """Return the proxy that the environment names for TLS to other machines. Raises ProxyError."""
    found = getproxies_environment()
    name = "https" if found.get("https") else "all"
    if not found.get(name):
        return None
    address, variable = _address(found[name]), f"{name}_proxy"
    if address is None or address.hostname is None or address.scheme != "http":
        raise ProxyError(
            f"{variable}: expected http://HOST:PORT, found {_shown(found[name])}; unset it, or name in no_proxy the "
            "machines that can be reached without"
        )
    return Proxy(variable, address.geturl(), address.hostname, address.port or 80)


def proxy_to(host: str) -> Proxy | None:
    """Return the proxy of a TLS connection to another machine; None: it goes directly. Raises ProxyError."""
    return None if proxy_bypass(host) else tls_proxy()


def connected(host: str, port: int, proxy: Proxy | None, timeout: float) -> socket.socket:
    """Return a connection to a machine, through a proxy if there is one. Raises OSError."""
    return socket.create_connection((host, port), timeout) if proxy is None else proxy.tunnel(host, port, timeout)


def without_proxy(*hosts: str) -> dict[str, str]:
    """Return the variables with which a process calls the loopback and these hosts directly."""
    before = getproxies_environment().get("no", "")
    named = [name for each in before.split(",") if (name := each.strip())]
    wanted = _ALL if _ALL in named else ",".join(dict.fromkeys([*named, *_LOOPBACK, *hosts]))
    return {"no_proxy": wanted, "NO_PROXY": wanted}


def environment() -> dict[str, str]:
    """Return our environment for a process that we start: it calls the loopback directly.

    A proxy that Flower's HTTP client does not know (SOCKS, for one) is left out: with such a one it would not even
    start, whatever it calls.
    """
    unknown = {f"{name}_proxy" for name in _PROXIES if not _is_known(getproxies_environment().get(name))}
    return {name: value for name, value in os.environ.items() if name.lower() not in unknown} | without_proxy()


def variables() -> dict[str, str]:
    """Return what the environment says of proxies, by variable, without passwords."""
    found = getproxies_environment()
    named = {f"{name}_proxy": _shown(found[name]) for name in _PROXIES if found.get(name)}
    return named | ({"no_proxy": found["no"]} if found.get("no") else {})


def _is_known(url: str | None) -> bool:
    address = _address(url) if url else None
    return address is not None and address.scheme in ("http", "https")


def _address(url: str) -> SplitResult | None:
    """Return the parts of a proxy's URL, whose scheme may be left out; None if it is none."""
    try:
        address = urlsplit(url if "://" in url else f"http://{url}")
        return address if address.port != 0 else None
    except ValueError:
        return None


def _shown(url: str) -> str:
    """Return a proxy's URL without a user's name and password."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
