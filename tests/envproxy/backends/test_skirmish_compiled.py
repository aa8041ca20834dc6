"""What compiled code must not break: caches that notice edits, arenas that play side by side."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from envproxy.backends.skirmish import compiled, create


def test_code_compiled_before_an_edit_is_forgotten(tmp_path: Path) -> None:
    old, new = tmp_path / "old.nbi", tmp_path / "new.nbi"
    for index in (old, new):
        index.touch()
    os.utime(old, (0, 0))
    compiled.drop_stale(str(tmp_path))
    assert (old.exists(), new.exists()) == (False, True)
    compiled.drop_stale(None)


def test_arenas_play_side_by_side_as_they_play_alone() -> None:
    def final_state(seed: int) -> bytes:
        arena = create("2s3z", 8)
        arena.reset(np.ones(8, np.bool_), np.arange(8, dtype=np.uint64) + np.uint64(seed))
        for _ in range(120):
            arena.step(np.where(arena.observe().available[..., 0], 0, 1).astype(np.uint8))
        return arena.observe().state.tobytes()

    alone = [final_state(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(final_state, range(4))) == alone
