"""The rows of a batch's battles without padding: the first of all battles, then the second of all that have one."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from learning.td import battle_mask


@dataclass(frozen=True)
class Packing:
    """Where the rows of packed arrays [rows, ..] are in padded ones [T, B, ..]. Battles stand longest first.

    Attributes:
        step: int64 [rows].
        battle: int64 [rows].
        sizes: int64 [T], on the CPU: the battles that have a row of each step.
    """

    step: Tensor
    battle: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, lengths: Tensor) -> Self:
        """The packing of battles with so many rows each (int64 [B], T the first of them).

        Raises:
            ValueError: the lengths increase.
        """
        if (lengths[1:] > lengths[:-1]).any():
            raise ValueError(f"battles must stand longest first, found lengths {lengths.tolist()}")
        mask = battle_mask(lengths, int(lengths[0]))
        step, battle = mask.nonzero(as_tuple=True)
        return cls(step, battle, mask.sum(1).cpu())

    @property
    def later(self) -> Self:
        """The packing of the rows but for each battle's first one; their steps count from it."""
        battles = int(self.sizes[0])
        return type(self)(self.step[battles:] - 1, self.battle[battles:], self.sizes[1:])

    def pack(self, padded: Tensor) -> Tensor:
        """Rows [rows, ..] of an array [T, B, ..]."""
        return padded[self.step, self.battle]

    def unpack(self, packed: Tensor) -> Tensor:
        """An array [T, B, ..] of rows [rows, ..], zeros elsewhere."""
        padded = packed.new_zeros(len(self.sizes), int(self.sizes[0]), *packed.shape[1:])
        return padded.index_put((self.step, self.battle), packed)
