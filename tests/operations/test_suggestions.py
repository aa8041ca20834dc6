"""What a user probably meant."""

from __future__ import annotations

import pytest

from operations.suggestions import did_you_mean

MAPS = ["3m", "8m", "MMM2", "10m_vs_11m", "corridor"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("corrider", "corridor"), ("mmm2", "MMM2"), ("10m_vs_11", "10m_vs_11m"), ("3mm", "3m"), ("3n", "3m")],
)
def test_the_most_similar_name_is_suggested(name: str, meant: str) -> None:
    assert did_you_mean(name, MAPS) == f'. Did you mean "{meant}"?'


@pytest.mark.parametrize("name", ["chess", "", 7, None])
def test_a_name_that_resembles_none_gets_no_suggestion(name: object) -> None:
    assert did_you_mean(name, MAPS) == ""
