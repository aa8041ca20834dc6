"""HOST:PORT as a user writes it."""

from __future__ import annotations

import pytest

from operations.addresses import check_address, host_and_port


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("battle.host.:9000", ("battle.host.", 9000)),
    ],
)
def test_an_address_has_a_host_and_a_port(address: str, parts: tuple[str, int]) -> None:
    check_address("listen", address)
    assert host_and_port(address) == parts


@pytest.mark.parametrize("address", ["localhost", ":http", "a..b:1", "host:65536", f"{'a' * 64}:1", "[::1]"])
def test_what_is_not_an_address_names_the_flag(address: str) -> None:
    with pytest.raises(ValueError, match=r"^listen: expected HOST:PORT, found "):
        check_address("listen", address)
