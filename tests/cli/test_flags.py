"""The names of runs that several commands begin at the same time."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli import flags
from operations.locks import InUseError
from pps_qmix.requested_run import RequestedRun, claimed


def chosen(*arguments: str) -> RequestedRun:
    parser = argparse.ArgumentParser()
    flags.add_arguments(parser)
    return flags.choose(parser.parse_args(arguments))


def test_runs_without_a_name_that_begin_in_one_second_have_each_their_own(tmp_path: Path) -> None:
    with ExitStack() as held:
        wanted = [chosen("--runs", str(tmp_path)) for _ in range(16)]
        assert list(tmp_path.iterdir()) == []
        with ThreadPoolExecutor(16) as pool:
            played = list(pool.map(lambda each: held.enter_context(claimed(each)), wanted))
        names = {each.path.name for each in played}
        assert len(names) == 16
        assert all(each.path == tmp_path / each.settings.run for each in played)
        assert all(each.given["run"] == each.settings.run for each in played)
        assert all(name.startswith("3m-rs-pps-vdn-s0-20") for name in names)


def test_a_run_is_played_by_one_command_at_a_time(tmp_path: Path) -> None:
    named = ("--runs", str(tmp_path), "--run", "mine")
    first, second = chosen(*named), chosen(*named)
    with claimed(first):
        with pytest.raises(InUseError, match="mine: another process writes this run"), claimed(second):
            pass
        with pytest.raises(InUseError, match="mine: another process writes this run"):
            chosen(*named)
    with claimed(chosen(*named)):
        pass
