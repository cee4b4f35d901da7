"""Trees over many rows at once: the leaves that a row can still reach, as the bits of a word.

After Lucchese et al. 2015, "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression
Trees". A node that sends a row to the right rules out the leaves on its left; the first leaf left over is the row's.
What the nodes of a tree that look at one slot rule out together depends on where its value lies among the thresholds of
the slot alone, so it is looked up; slots of few bins are looked up together. Costs a look-up per row, tree and group of
slots that the tree looks at, however deep it is.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
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
MOST_CODES = 1024  # of slots that are looked up together: their table must fit the fastest cache
MOST_WORDS = 1 << 20  # of the tables of all trees for one group


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
    """One tree: by slot what its nodes leave over of each bin, shape (bins, words); its leaves from left to right."""

    tables: dict[int, Words]
    leaves: NDArray[np.intp]

    @property
    def words(self) -> int:
        """How many words hold a bit for each leaf."""
        return (len(self.leaves) + BITS - 1) // BITS

    def reached(self, looked_up: Sequence[tuple[NDArray[np.intp], Words]], rows: int) -> NDArray[np.intp]:
        """The leaf of each row, as the number of its node; `looked_up` are codes of the rows and tables of these."""
        if not looked_up:
            return np.full(rows, self.leaves[0])
        left = reduce(np.bitwise_and, (table.take(codes, axis=0) for codes, table in looked_up))
        first: Words = left[:, -1]
        before: Any = (self.words - 1) * BITS
        for word in reversed(range(self.words - 1)):
            is_here = left[:, word] != 0
            first, before = np.where(is_here, left[:, word], first), np.where(is_here, word * BITS, before)
        places: NDArray[np.intp] = np.bitwise_count((first - ONE) & ~first).astype(np.intp) + before
        return self.leaves.take(places)


@dataclass(frozen=True)
class Part:
    """Slots that follow from a code of each row, one of `size`; for each tree what it leaves over, None if all.

    `key` says which slots, and what they are of each code. Codes that are known to be in range can be joined.
    """

    key: Hashable
    codes: NDArray[np.intp]
    size: int
    tables: Sequence[Words | None]
    can_join: bool = True


class ForestBits:
    """All trees, and their tables by codes, which are kept, since a model always has the same blocks."""

    def __init__(self, bins: dict[int, SlotBins], trees: Sequence[TreeBits]) -> None:
        self._bins, self._trees = bins, trees
        self._most_codes = max(1, min(MOST_CODES, MOST_WORDS // sum(tree.words for tree in trees)))
        self._kept: dict[Hashable, Sequence[Words | None]] = {}

    def reached(self, vectors: Vectors) -> Iterator[NDArray[np.intp]]:
        """For each tree the leaf of each row."""
        parts = [self._joined(group) for group in self._groups(list(self._parts(vectors)))]
        rows = len(vectors.blocks[0])
        for number, tree in enumerate(self._trees):
            looked_up = [(part.codes, table) for part in parts if (table := part.tables[number]) is not None]
            yield tree.reached(looked_up, rows)

    def _parts(self, vectors: Vectors) -> Iterator[Part]:
        for start, block in vectors.placed():
            slots = [slot for slot in range(start, start + block.width) if slot in self._bins]
            if isinstance(block, Coded) and slots:
                key = (start, block.table.tobytes())
                if key not in self._kept:
                    self._kept[key] = self._of_block(start, block, slots)
                yield Part(key, block.codes, len(block.table), self._kept[key])
            elif isinstance(block, Dense):
                for slot in slots:
                    bins, tables = self._bins[slot], [tree.tables.get(slot) for tree in self._trees]
                    size = next(len(table) for table in tables if table is not None)
                    codes = bins.of(block.slots[:, slot - start])
                    yield Part(slot, codes, size, tables, can_join=bins.thresholds is not None)

    def _of_block(self, start: int, block: Coded, slots: Sequence[int]) -> list[Words | None]:
        """For each tree what its nodes on a block leave over of each code, shape (codes, words)."""
        bins = {slot: self._bins[slot].of(block.table[:, slot - start]) for slot in slots}
        return [
            reduce(np.bitwise_and, parts) if parts else None
            for tree in self._trees
            for parts in [[tree.tables[slot][bins[slot]] for slot in slots if slot in tree.tables]]
        ]

    def _groups(self, parts: Sequence[Part]) -> Iterator[list[Part]]:
        """Parts that are looked up together: as many as have no more codes together than a table may."""
        group: list[Part] = []
        for part in sorted(parts, key=lambda part: part.size):
            if group and (prod(each.size for each in [*group, part]) > self._most_codes or not part.can_join):
                yield group
                group = []
            if part.can_join:
                group.append(part)
            else:
                yield [part]
        if group:
            yield group

    def _joined(self, group: Sequence[Part]) -> Part:
        """One part of several: its codes are the pairs, triples … of theirs."""
        first, *others = group
        if not others:
            return first
        codes = reduce(lambda joint, part: joint * part.size + part.codes, others, first.codes)
        key = tuple(part.key for part in group)
        if key not in self._kept:
            self._kept[key] = [
                _all_pairs([(part.tables[number], part.size) for part in group], tree.words)
                for number, tree in enumerate(self._trees)
            ]
        return Part(key, codes, prod(part.size for part in group), self._kept[key])


def _all_pairs(tables: Sequence[tuple[Words | None, int]], words: int) -> Words | None:
    """What is left over of each combination of codes, the last code changing first; None where none has a table."""
    if all(table is None for table, _ in tables):
        return None
    joint = np.full((1, words), ALL)
    for table, size in tables:
        each = np.full((size, words), ALL) if table is None else table
        joint = (joint[:, np.newaxis] & each[np.newaxis]).reshape(-1, words)
    return joint


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
        table = tables.setdefault(slot, np.full((len(goes_right), words), ALL))
        table[goes_right] &= _without(first, past, words)
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
