"""Packed rows: the first of all battles, then the second of those that have one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.packing import Packing


def test_rows_stand_step_by_step() -> None:
    packing = Packing.of(torch.tensor([3, 1]))
    assert packing.step.tolist() == [0, 0, 1, 2]
    assert packing.battle.tolist() == [0, 1, 0, 0]
    assert packing.sizes.tolist() == [2, 1, 1]
    padded = torch.tensor([[1, 2], [3, 9], [4, 9]])
    assert packing.pack(padded).tolist() == [1, 2, 3, 4]
    assert packing.unpack(torch.tensor([1, 2, 3, 4])).tolist() == [[1, 2], [3, 0], [4, 0]]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_what_is_packed_and_unpacked_is_the_same_but_for_the_padding(lengths: list[int]) -> None:
    lengths.sort(reverse=True)
    packing = Packing.of(torch.tensor(lengths))
    padded = torch.rand(lengths[0], len(lengths), 2)
    restored = packing.unpack(packing.pack(padded))
    for battle, length in enumerate(lengths):
        assert torch.equal(restored[:length, battle], padded[:length, battle])
        assert not restored[length:, battle].any()


def test_lengths_that_increase_are_refused() -> None:
    with pytest.raises(ValueError, match=r"longest first, found lengths \[1, 3\]"):
        Packing.of(torch.tensor([1, 3]))
