"""Vectors of many rows, kept as what they are made of, so that one-hot slots need not be written out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Coded:
    """Slots that follow from a whole number of each row: row `codes[i]` of `table`, shape (numbers, slots)."""

    codes: Codes
    table: Floats

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.codes)

    @property
    def width(self) -> int:
        """How many slots there are."""
        return int(self.table.shape[1])

    def array(self) -> Floats:
        """The slots, shape (rows, slots)."""
        return self.table.take(self.codes, axis=0)

    def times(self, weights: Floats) -> Floats:
        """The slots times weights of shape (slots,) or (slots, outputs)."""
        return (self.table @ weights).take(self.codes, axis=0)

    def with_slots(self, slots: Floats) -> "Coded":
        """The same rows with other slots, made of those of the table."""
        return Coded(self.codes, slots)

    @property
    def slots(self) -> Floats:
        """What a function of single slots has to be applied to."""
        return self.table


@dataclass(frozen=True)
class Dense:
    """Slots as they are, shape (rows, slots)."""

    slots: Floats

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.slots)

    @property
    def width(self) -> int:
        """How many slots there are."""
        return int(self.slots.shape[1])

    def array(self) -> Floats:
        """The slots, shape (rows, slots)."""
        return self.slots

    def times(self, weights: Floats) -> Floats:
        """The slots times weights of shape (slots,) or (slots, outputs)."""
        product: Floats = self.slots @ weights
        return product

    def with_slots(self, slots: Floats) -> "Dense":
        """The same rows with other slots."""
        return Dense(slots)


Block = Coded | Dense


@dataclass(frozen=True)
class Vectors:
    """The blocks of a vector column, side by side."""

    blocks: tuple[Block, ...]

    def array(self) -> Floats:
        """All slots, shape (rows, slots)."""
        arrays = [block.array() for block in self.blocks]
        return arrays[0] if len(arrays) == 1 else np.hstack(arrays)

    def times(self, weights: Floats) -> Floats:
        """The slots times weights of shape (slots,) or (slots, outputs)."""
        products = [block.times(weights[start : start + block.width]) for start, block in self.placed()]
        total = products[0]
        for product in products[1:]:
            total = total + product
        return total

    def placed(self) -> Iterator[tuple[int, Block]]:
        """Each block with the number of its first slot."""
        start = 0
        for block in self.blocks:
            yield start, block
            start += block.width

    def moved(self, shifts: Floats, factors: Floats, offset: float) -> "Vectors":
        """(slot - shift) * factor + offset; what is 0 changes no bit."""
        made = []
        for start, block in self.placed():
            part = slice(start, start + block.width)
            slots = (block.slots - shifts[part]) * factors[part] if shifts[part].any() else block.slots * factors[part]
            made.append(block.with_slots(slots + offset if offset else slots))
        return Vectors(tuple(made))

    def chosen(self, places: NDArray[np.int64]) -> "Vectors":
        """The slots at `places`, in this order."""
        if (np.diff(places) <= 0).any():
            return Vectors((Dense(self.array()[:, places]),))
        made = []
        for start, block in self.placed():
            within = places[(places >= start) & (places < start + block.width)] - start
            if len(within):
                made.append(block.with_slots(block.slots[:, within]))
        return Vectors(tuple(made))


def side_by_side(columns: Sequence[Vectors]) -> Vectors:
    """One vector column of several."""
    return Vectors(tuple(block for column in columns for block in column.blocks))
