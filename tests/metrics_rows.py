"""Rows of metrics.jsonl for tests of what is made of them."""

from __future__ import annotations

from typing import Any


def evaluation_row(steps: int, won: int, round_: int = 1) -> dict[str, Any]:
    """Return the row of an evaluation of 32 battles."""
    share = {"battles": 32, "won": won, "win-rate": won / 32, "return": won / 2, "length": 21.5}
    return {"kind": "evaluation", "round": round_, "steps": steps, **share}
