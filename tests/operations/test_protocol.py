"""The protocol number as messages show it."""

from __future__ import annotations

from importlib.metadata import version

from operations.protocol import PROTOCOL, own, spoken


def test_a_part_shows_its_protocol_number_and_its_package_version() -> None:
    assert own() == f"protocol {PROTOCOL} (pps-qmix {version('pps-qmix')})"


def test_what_another_part_claims_is_shown_on_one_short_line() -> None:
    assert spoken(0, "") == "protocol unknown"
    assert spoken(2, "1.0\n\x1b[31m") == r"protocol 2 (pps-qmix 1.0\n\x1b[31m)"
    assert len(spoken(2, "9" * 1000)) < 120
