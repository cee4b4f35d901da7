"""Trees over many rows at once: the leaves that a row can still reach, as the bits of a word.

After Lucchese et al. 2015, "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression
Trees". A node that sends a row to the right rules out the leaves on its left; the first leaf left over is the row's.
What the nodes of a tree that look at one slot rule out together depends on where its value lies among the thresholds of
the slot alone, so it is looked up. Costs a look-up per row, tree and slot that the tree looks at, however deep it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakeloop.scoring.blocks import Coded, Dense, Floats, Vectors

if TYPE_CHECKING:
    from lakeloop.scoring.stages.trees import Trees

Words = NDArray[np.uint64]
BITS = 64
ALL, ONE = np.uint64(2**64 - 1), np.uint64(1)
MOST_LEAVES = 8 * BITS  # of one tree; tables of larger ones would be large themselves


@dataclass(frozen=True)
class SlotBins:
    """Where a value lies: among ascending thresholds, or at the category that it is."""

    thresholds: Floats | None

    def of(self, values: Floats) -> NDArray[np.intp]:
        """The bin of each value; NaN is after all thresholds."""
        if self.thresholds is None:
            return values.astype(np.intp)
        return np.searchsorted(self.thresholds, values, side="left")


@dataclass(frozen=True)
class TreeBits:
    """One tree: by slot what its nodes leave over of each bin, shape (words, bins); its leaves from left to right."""

    tables: dict[int, Words]
    leaves: NDArray[np.intp]

    @property
    def words(self) -> int:
        """How many words hold a bit for each leaf."""
        return (len(self.leaves) + BITS - 1) // BITS

    def reached(self, looked_up: Sequence[tuple[NDArray[np.intp], Words]], rows: int) -> NDArray[np.intp]:
        """The leaf of each row, as the number of its node; `looked_up` are bins of the rows and tables of these."""
        place = np.zeros(rows, dtype=np.intp)
        is_open = np.ones(rows, dtype=np.bool_)
        for word in range(self.words if looked_up else 0):
            left = np.full(rows, ALL)
            for bins, table in looked_up:
                left &= table[word].take(bins)
            first = np.bitwise_count((left - ONE) & ~left).astype(np.intp) + word * BITS
            place = first if self.words == 1 else np.where(is_open, first, place)
            is_open &= left == 0
        return self.leaves.take(place)


class ForestBits:
    """All trees, and their tables by codes of a block, which are kept, since a model always has the same blocks."""

    def __init__(self, bins: dict[int, SlotBins], trees: Sequence[TreeBits]) -> None:
        self._bins, self._trees = bins, trees
        self._of_blocks: dict[tuple[int, bytes], list[Words | None]] = {}

    def reached(self, vectors: Vectors) -> Iterator[NDArray[np.intp]]:
        """For each tree the leaf of each row."""
        coded = [
            (self._of_block(start, block), block.codes) for start, block in vectors.placed() if isinstance(block, Coded)
        ]
        bins = {
            start + slot: self._bins[start + slot].of(block.slots[:, slot])
            for start, block in vectors.placed()
            if isinstance(block, Dense)
            for slot in range(block.width)
            if start + slot in self._bins
        }
        rows = len(vectors.blocks[0].array()) if not coded else len(coded[0][1])
        for number, tree in enumerate(self._trees):
            looked_up = [(bins[slot], table) for slot, table in tree.tables.items() if slot in bins]
            looked_up += [(codes, table) for tables, codes in coded if (table := tables[number]) is not None]
            yield tree.reached(looked_up, rows)

    def _of_block(self, start: int, block: Coded) -> list[Words | None]:
        """For each tree what its nodes on a block leave over of each code, shape (words, codes); None without such."""
        key = start, block.table.tobytes()
        if key not in self._of_blocks:
            slots = [slot for slot in range(start, start + block.width) if slot in self._bins]
            bins = {slot: self._bins[slot].of(block.table[:, slot - start]) for slot in slots}
            self._of_blocks[key] = [
                reduce(np.bitwise_and, parts) if parts else None
                for tree in self._trees
                for parts in [[tree.tables[slot][:, bins[slot]] for slot in slots if slot in tree.tables]]
            ]
        return self._of_blocks[key]


def bits_of(trees: "Trees") -> ForestBits | None:
    """The tables of all trees; None where a tree has too many leaves."""
    ends = [*trees.roots[1:].tolist(), len(trees.slots)]
    ranges = list(zip(trees.roots.tolist(), ends, strict=True))
    if any(np.count_nonzero(trees.slots[start:end] < 0) > MOST_LEAVES for start, end in ranges):
        return None
    bins = {
        slot: SlotBins(
            None if (trees.sets[trees.slots == slot] >= 0).any() else np.unique(trees.thresholds[trees.slots == slot])
        )
        for slot in np.unique(trees.slots[trees.slots >= 0]).tolist()
    }
    return ForestBits(bins, [_tree(trees, bins, start) for start, _ in ranges])


def _tree(trees: "Trees", bins: dict[int, SlotBins], root: int) -> TreeBits:
    leaves: list[int] = []
    ruled_out: dict[int, tuple[int, int]] = {}  # by node: the leaves on its left, first and past the last

    def visit(node: int) -> None:
        if trees.slots[node] < 0:
            leaves.append(node)
            return
        first = len(leaves)
        visit(int(trees.lefts[node]))
        ruled_out[node] = (first, len(leaves))
        visit(int(trees.rights[node]))

    visit(root)
    words = (len(leaves) + BITS - 1) // BITS
    tables: dict[int, Words] = {}
    for node, (first, past) in ruled_out.items():
        slot = int(trees.slots[node])
        goes_right = _goes_right(trees, bins[slot], node)
        table = tables.setdefault(slot, np.full((words, len(goes_right)), ALL))
        table[:, goes_right] &= _without(first, past, words)[:, np.newaxis]
    return TreeBits(tables, np.array(leaves, dtype=np.intp))


def _goes_right(trees: "Trees", bins: SlotBins, node: int) -> NDArray[Any]:
    """Of each bin whether the node sends it to the right."""
    if bins.thresholds is None:
        not_left: NDArray[np.bool_] = ~trees.categories[trees.sets[node]]
        return not_left
    at = int(np.searchsorted(bins.thresholds, trees.thresholds[node]))
    return np.arange(len(bins.thresholds) + 1) > at


def _without(first: int, past: int, words: int) -> Words:
    """All bits but those from `first` to before `past`."""
    kept = ((1 << (words * BITS)) - 1) ^ (((1 << (past - first)) - 1) << first)
    return np.array([(kept >> (word * BITS)) & ((1 << BITS) - 1) for word in range(words)], dtype=np.uint64)
