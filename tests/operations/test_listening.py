"""Addresses to listen on: all of a name, or an error that says which one cannot be had."""

from __future__ import annotations

import socket

import pytest

from operations.listening import Reservation


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name, `both`, that has an IPv6 and an IPv4 address, as localhost has on many machines."""
    with socket.socket(socket.AF_INET6) as trial:
        try:
            trial.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    genuine = socket.getaddrinfo

    def found(host: object, *arguments: object, **named: object) -> object:
        if host != "both":
            return genuine(host, *arguments, **named)  # type: ignore[arg-type]
        return [each for address in ("::1", "127.0.0.1") for each in genuine(address, *arguments, **named)]  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.usefixtures("both")
def test_every_address_of_a_name_is_bound_to_one_port() -> None:
    with Reservation("both", 0) as reserved:
        port = reserved.port
        assert [str(address) for address in reserved.addresses] == [f"[::1]:{port}", f"127.0.0.1:{port}"]


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_address_of_a_name_in_use_is_an_error(address: str) -> None:
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
        port = other.getsockname()[1]
        shown = f"[{address}]" if ":" in address else address
        with pytest.raises(OSError, match="another program uses this port; end it, or choose another") as refused:
            Reservation("both", port)
        assert f"cannot listen on {shown}:{port}" in str(refused.value)
    with Reservation("both", port):  # and nothing of the refused one is left
        pass


def test_what_is_reserved_cannot_be_reserved_again_but_servers_share_it() -> None:
    with Reservation("127.0.0.1", 0) as reserved:
        servers = [
            socket.create_server(("127.0.0.1", reserved.port), reuse_port=True, family=socket.AF_INET) for _ in range(2)
        ]
        with pytest.raises(OSError, match="another program uses this port"):
            Reservation("127.0.0.1", reserved.port)
        for server in servers:
            server.close()


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-host.invalid", r"cannot listen on no-such-host\.invalid: it has no address \(.*\); name a host of"),
        ("192.0.2.1", r"cannot listen on 192\.0\.2\.1:0: this machine does not have the address 192\.0\.2\.1"),
    ],
)
def test_a_host_that_is_wrong_is_not_told_as_a_port_in_use(host: str, words: str) -> None:
    with pytest.raises(OSError, match=words) as refused:
        Reservation(host, 0)
    assert "another program" not in str(refused.value)


def test_an_address_that_the_machine_lacks_is_omitted_where_a_name_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda _, *more, **named: [each for a in ("192.0.2.1", "127.0.0.1") for each in genuine(a, *more, **named)],
    )
    with Reservation("half", 0) as reserved:
        assert [address.host for address in reserved.addresses] == ["127.0.0.1"]
