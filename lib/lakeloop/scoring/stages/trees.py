"""Decision trees, random forests and boosted trees: of many rows by bits of leaves, of one as nested conditions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakeloop.scoring.blocks import Floats, Vectors
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode, Scalar
from lakeloop.scoring.slots import Slot, Split
from lakeloop.scoring.stages.tree_bits import ForestBits, bits_of
from lakeloop.scoring.stages.two_classes import define_classes, emit_classes

Array = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.int64]]
MOST_NODES = 20_000  # of a function; larger forests are walked through, which takes longer and is ready at once


@dataclass(frozen=True)
class Trees:
    """Nodes of all trees in one list.

    `slots`: what a node looks at, -1 for a leaf, whose `lefts` and `rights` are itself. Left goes a value that is not
    above `thresholds`, or where `sets` is not -1 one of that row of `categories`, shape (splits, values). `values`,
    shape (nodes, outputs), are those of leaves; `roots` and `weights` have one entry per tree.
    """

    slots: Places
    thresholds: Array
    lefts: Places
    rights: Places
    sets: Places
    categories: np.ndarray[Any, np.dtype[np.bool_]]
    values: Array
    roots: Places
    weights: Array

    def sums(self, rows: Vectors) -> Floats:
        """The weighted sum of what the trees say, shape (rows, outputs)."""
        # Tree by tree, which is Spark's order, so that equal votes are equal to the last bit.
        total: Any = 0.0
        for leaves, weight in zip(self._leaves(rows), self.weights.tolist(), strict=True):
            total = total + (self.values if weight == 1 else self.values * weight).take(leaves, axis=0)
        found: Floats = total
        return found

    def _leaves(self, rows: Vectors) -> Iterator[NDArray[np.intp]]:
        """For each tree the leaf of each row."""
        return iter(self._walked(rows.array()).T) if self._bits is None else self._bits.reached(rows)

    @cached_property
    def _bits(self) -> ForestBits | None:
        return bits_of(self)

    def _walked(self, rows: Floats) -> NDArray[np.intp]:
        """The leaf of each row in each tree, shape (rows, trees), a level of all trees at a time."""
        nodes = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        flat = np.ascontiguousarray(rows).ravel()
        starts = (np.arange(len(rows)) * rows.shape[1])[:, np.newaxis]
        while ((slots := self.slots.take(nodes)) >= 0).any():
            values = flat.take(starts + np.maximum(slots, 0))
            goes_left = values <= self.thresholds.take(nodes)
            if self.categories.size:
                sets = self.sets.take(nodes)
                of_set = sets >= 0
                goes_left[of_set] = self.categories[sets[of_set], values[of_set].astype(np.intp)]
            nodes = np.where(goes_left, self.lefts.take(nodes), self.rights.take(nodes))
        return nodes

    def terms(self, code: RowCode, slots: Sequence[Slot]) -> list[list[str]]:
        """For each output what the trees say of one row, as expressions to be added up."""
        outputs = range(self.values.shape[1])
        trees = list(zip(self.roots.tolist(), self.weights.tolist(), strict=True))
        if len(self.slots) > MOST_NODES:
            walk = code.constant(self._walk(trees))
            leaves = code.assign(f"{walk}([{', '.join(slot.text() for slot in slots)}])", "list").text
            return [[f"gathered({code.constant(self._weighed(output).tolist())}, {leaves})"] for output in outputs]
        if len(outputs) == 1:
            values = self._weighed(0).tolist()
            return [[self._nested(code, slots, root, lambda node: repr(values[node])) for root, _ in trees]]
        found: list[list[str]] = [[] for _ in outputs]
        weighed = [self._weighed(output) for output in outputs]
        for root, _ in trees:
            reached = _Numbered()
            leaf = code.assign(self._nested(code, slots, root, reached), "int").text
            for output, terms in enumerate(found):
                table = weighed[output][list(reached.numbers)].tolist()
                terms.append(f"{code.constant(tuple(table))}[{leaf}]")
        return found

    def _weighed(self, output: int) -> Array:
        """The values of the nodes, times the weight of their tree."""
        ends = np.append(self.roots[1:], len(self.slots))
        weighed: Array = self.values[:, output] * np.repeat(self.weights, ends - self.roots)
        return weighed

    def _nested(self, code: RowCode, slots: Sequence[Slot], node: int, leaf: Callable[[int], str]) -> str:
        if self.slots[node] < 0:
            return leaf(node)
        test = slots[int(self.slots[node])].test(code, self._split(node))
        left, right = int(self.lefts[node]), int(self.rights[node])
        if isinstance(test, bool):
            return self._nested(code, slots, left if test else right, leaf)
        branches = (self._nested(code, slots, branch, leaf) for branch in (left, right))
        return f"({next(branches)} if {test} else {next(branches)})"

    def _split(self, node: int) -> Split:
        of_set = int(self.sets[node])
        if of_set < 0:
            return Split(float(self.thresholds[node]))
        return Split(0.0, frozenset(np.flatnonzero(self.categories[of_set]).astype(float).tolist()))

    def _walk(self, trees: Sequence[tuple[int, float]]) -> Callable[[list[float]], list[int]]:
        slots, thresholds = self.slots.tolist(), self.thresholds.tolist()
        lefts, rights = self.lefts.tolist(), self.rights.tolist()
        sets = [self._split(node).categories if of_set >= 0 else None for node, of_set in enumerate(self.sets)]
        roots = [root for root, _ in trees]

        def walk(row: list[float]) -> list[int]:
            leaves = []
            for root in roots:
                node = root
                while (slot := slots[node]) >= 0:
                    of_set = sets[node]
                    goes_left = row[slot] <= thresholds[node] if of_set is None else row[slot] in of_set
                    node = lefts[node] if goes_left else rights[node]
                leaves.append(node)
            return leaves

        return walk


class _Numbered:
    """Gives leaves the numbers 0, 1, 2 … in the order in which they are asked for."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def __call__(self, node: int) -> str:
        return str(self.numbers.setdefault(node, len(self.numbers)))


@dataclass(frozen=True)
class ForestClassifier:
    """A tree or a forest of classes: `raw` are counts or summed shares of the classes, `probability` their shares."""

    features: str
    raw: str
    probability: str
    prediction: str
    trees: Trees

    def define(self, columns: Columns) -> None:
        def shares() -> Floats:
            raw = columns[self.raw]
            total = raw.sum(axis=1, keepdims=True)
            found: Floats = np.divide(raw, total, out=np.zeros_like(raw), where=total != 0)
            return found

        columns.define(self.raw, lambda: self.trees.sums(columns.vectors(self.features)))
        columns.define(self.probability, shares)
        columns.define(self.prediction, lambda: columns[self.raw].argmax(axis=1).astype(np.float64))

    def emit(self, code: RowCode) -> None:
        classes = self.trees.values.shape[1]

        def raw() -> list[Slot]:
            slots = code.slots(self.features)
            return [Slot("number", summed(code, terms)) for terms in self.trees.terms(code, slots)]

        def shares() -> list[Slot]:
            votes = [slot.text() for slot in code.slots(self.raw)]
            total = code.assign(" + ".join(votes)).text
            return [Slot("number", code.assign(f"{vote} / {total} if {total} else 0.0").text) for vote in votes]

        def call() -> Scalar:
            votes = [slot.text() for slot in code.slots(self.raw)]
            if classes == 2:
                return code.assign(f"1.0 if {votes[1]} > {votes[0]} else 0.0")
            return code.assign(f"argmax([{', '.join(votes)}])")

        code.define(self.raw, raw)
        code.define(self.probability, shares)
        code.define(self.prediction, call)


@dataclass(frozen=True)
class BoostedClassifier:
    """Boosted trees of two classes: positive is a margin above 0, its probability 1 / (1 + exp(-2 margin))."""

    features: str
    raw: str
    probability: str
    prediction: str
    trees: Trees

    def define(self, columns: Columns) -> None:
        def margin() -> Floats:
            found: Floats = self.trees.sums(columns.vectors(self.features))[:, 0]
            return found

        define_classes(self, columns, margin, steepness=2.0)

    def emit(self, code: RowCode) -> None:
        def margin() -> str:
            return summed(code, self.trees.terms(code, code.slots(self.features))[0])

        emit_classes(self, code, margin, steepness=2.0)


@dataclass(frozen=True)
class TreesNumber:
    """A tree, forest or boosted trees of numbers: the weighted sum, `over` a number of trees."""

    features: str
    prediction: str
    trees: Trees
    over: int

    def define(self, columns: Columns) -> None:
        columns.define(self.prediction, lambda: self.trees.sums(columns.vectors(self.features))[:, 0] / self.over)

    def emit(self, code: RowCode) -> None:
        def predicted() -> Scalar:
            total = summed(code, self.trees.terms(code, code.slots(self.features))[0])
            return code.assign(f"{total} / {self.over}")

        code.define(self.prediction, predicted)


def summed(code: RowCode, terms: Sequence[str]) -> str:
    """The variable that holds a sum; of many terms a line each, since one expression must not get too deep."""
    total = code.assign(terms[0]).text
    for start in range(1, len(terms), 8):
        total = code.assign(f"{total} + {' + '.join(terms[start : start + 8])}").text
    return total
