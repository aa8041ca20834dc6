"""The test win rates that the paper reports, to be shown beside an experiment's."""

from __future__ import annotations

from typing import Final

from pps_qmix.experiment.spec import Method

_COLUMNS: Final = ("qmix", "vdn", "a-pps", "rs-pps", "pp-pps")

# Table 2 of PPS-QMIX (Zhang et al., AAMAS 2024), in per cent: of one seed, the best of all evaluations.
_TABLE_2: Final = {
    "3m": (87, 95, 96, 91, 83),
    "2s3z": (73, 77, 85, 82, 71),
    "10m_vs_11m": (0, 0, 4, 31, 5),
    "MMM2": (0, 0, 6, 12, 0),
    "corridor": (0, 9, 3, 29, 10),
}


def paper_win_rate(map_: str, method: Method) -> float | None:
    """Return the paper's win rate (0..1) of a method on a map; None where it reports none.

    The paper has one figure for a strategy, whatever its base. Its QMIX and VDN are trained centrally.
    """
    column = method.base if method.centralised else method.strategy
    if map_ not in _TABLE_2 or column not in _COLUMNS or method.server_optimizer:
        return None
    return _TABLE_2[map_][_COLUMNS.index(column)] / 100
