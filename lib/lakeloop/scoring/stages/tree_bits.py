"""Trees over many rows at once: the leaves that a row can still reach, as the bits of a word.

After Lucchese et al. 2015, "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression
Trees". A node that sends a row to the right rules out the leaves on its left; the first leaf left over is the row's.
What the nodes of a tree that look at one slot rule out together depends on where its value lies among the thresholds of
the slot alone, so it is looked up. Costs a look-up per row, tree and slot that the tree looks at, however deep it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lakeloop.scoring.stages.trees import Trees

Floats = NDArray[np.float64]
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

    tables: Sequence[tuple[int, Words]]
    leaves: NDArray[np.intp]

    def reached(self, bins: dict[int, NDArray[np.intp]], rows: int) -> NDArray[np.intp]:
        """The leaf of each row, as the number of its node."""
        words = (len(self.leaves) + BITS - 1) // BITS
        place = np.zeros(rows, dtype=np.intp)
        is_open = np.ones(rows, dtype=np.bool_)
        for word in range(words if self.tables else 0):
            left = np.full(rows, ALL)
            for slot, table in self.tables:
                left &= table[word].take(bins[slot])
            first = np.bitwise_count((left - ONE) & ~left).astype(np.intp) + word * BITS
            place = first if words == 1 else np.where(is_open, first, place)
            is_open &= left == 0
        return self.leaves.take(place)


def bits_of(trees: "Trees") -> tuple[dict[int, SlotBins], list[TreeBits]] | None:
    """The bins of all slots and the tables of all trees; None where a tree has too many leaves."""
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
    return bins, [_tree(trees, bins, start) for start, _ in ranges]


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
    return TreeBits(list(tables.items()), np.array(leaves, dtype=np.intp))


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
