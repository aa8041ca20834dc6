"""Both ends of a message use the same names: the keys of a report are declared once, and checked as they come in."""

from __future__ import annotations

from strategies import figures
from strategies.messages import Report

TEXTS = {"attested"}  # checked by `strategies.attestation`


def test_every_number_of_a_report_is_checked() -> None:
    checked = {*figures.COUNTS, *figures.NUMBERS, *figures.LEARNING, *figures.EVALUATIONS, *figures.REWARDS}
    assert Report.__annotations__.keys() - TEXTS == checked


def test_what_may_be_absent() -> None:
    optional = {name for name, kind in Report.__annotations__.items() if "NotRequired" in str(kind)}
    assert optional == {*figures.LEARNING, *figures.EVALUATIONS, *TEXTS}
