"""What compiled code must not break: caches that notice edits."""

import os
from pathlib import Path

from envproxy.backends.skirmish import compiled


def test_code_compiled_before_an_edit_is_forgotten(tmp_path: Path) -> None:
    old, new = tmp_path / "old.nbi", tmp_path / "new.nbi"
    for index in (old, new):
        index.touch()
    os.utime(old, (0, 0))
    compiled.drop_stale(str(tmp_path))
    assert (old.exists(), new.exists()) == (False, True)
    compiled.drop_stale(None)
