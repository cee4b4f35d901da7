"""Trees over many rows by bits, by levels, and over one row as conditions: three ways that must agree."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.scoring.blocks import Coded, Dense, Vectors
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.row_functions import FUNCTIONS
from lakeloop.scoring.slots import Slot
from lakeloop.scoring.stages import tree_bits
from lakeloop.scoring.stages import trees as of_trees
from lakeloop.scoring.stages.trees import Trees, summed

SLOTS, CATEGORIES = 3, 4  # the last slot holds one of four categories


def grown(draw: Any, most_depth: int) -> list[dict[str, Any]]:
    """One tree by chance, its nodes in the order in which they are visited."""
    nodes: list[dict[str, Any]] = []

    def grow(depth: int) -> int:
        at = len(nodes)
        node: dict[str, Any] = {"slot": -1, "threshold": 0.0, "left": at, "right": at, "set": None,
                                "value": draw(st.integers(-8, 8)) / 4}  # fmt: skip
        nodes.append(node)
        if depth < most_depth and draw(st.booleans()):
            node["slot"] = draw(st.integers(0, SLOTS - 1))
            if node["slot"] == SLOTS - 1:
                node["set"] = draw(st.sets(st.integers(0, CATEGORIES - 1)))
            else:
                node["threshold"] = draw(st.sampled_from([-1.5, 0.0, 0.25, 2.0]))
            node["left"], node["right"] = grow(depth + 1), grow(depth + 1)
        return at

    grow(0)
    return nodes


@st.composite
def forests(draw: Any) -> Trees:
    grew = [grown(draw, draw(st.sampled_from([0, 2, 8]))) for _ in range(draw(st.integers(1, 4)))]
    roots = np.cumsum([0, *map(len, grew)])[:-1]
    nodes = [(node, root) for root, tree in zip(roots, grew, strict=True) for node in tree]
    sets = [node["set"] for node, _ in nodes if node["set"] is not None]
    categories = np.array([[at in of_set for at in range(CATEGORIES)] for of_set in sets], dtype=bool)
    numbers = iter(range(len(sets)))
    return Trees(
        np.array([node["slot"] for node, _ in nodes]),
        np.array([node["threshold"] for node, _ in nodes]),
        np.array([node["left"] + root for node, root in nodes]),
        np.array([node["right"] + root for node, root in nodes]),
        np.array([-1 if node["set"] is None else next(numbers) for node, _ in nodes]),
        categories.reshape(-1, CATEGORIES) if sets else np.zeros((0, 0), dtype=bool),
        np.array([[node["value"], 1 - node["value"]] for node, _ in nodes]),
        roots,
        np.array([draw(st.sampled_from([1.0, 0.5])) for _ in grew]),
    )


VALUES = st.sampled_from([-2.0, -1.5, 0.0, -0.0, 0.25, 0.250001, 2.0, 3.0, float("nan")])
ROWS = st.lists(st.tuples(VALUES, VALUES, st.integers(0, CATEGORIES - 1)), min_size=1, max_size=5)


def dense(table: np.ndarray[Any, Any]) -> Vectors:
    return Vectors((Dense(table),))


def by_hand(trees: Trees, row: np.ndarray[Any, Any]) -> list[float]:
    total = [0.0, 0.0]
    for root, weight in zip(trees.roots, trees.weights, strict=True):
        node = root
        while trees.slots[node] >= 0:
            value = row[trees.slots[node]]
            of_set = trees.sets[node]
            left = value <= trees.thresholds[node] if of_set < 0 else trees.categories[of_set][int(value)]
            node = trees.lefts[node] if left else trees.rights[node]
        total = [sum_ + value * weight for sum_, value in zip(total, trees.values[node], strict=True)]
    return total


def of_one_row(trees: Trees, row: np.ndarray[Any, Any]) -> list[float]:
    code = RowCode(FUNCTIONS)
    slots = [Slot("number", code.assign(f"row[{at}]").text) for at in range(SLOTS)]
    sums = [summed(code, terms) for terms in trees.terms(code, slots)]
    return list(code.function(f"({', '.join(sums)},)")(_Row(row)))


class _Row(tuple):  # type: ignore[type-arg]
    def __new__(cls, values: Any) -> Any:
        return super().__new__(cls, [float(value) for value in values])

    get = None


@given(forests(), ROWS)
def test_three_ways_agree_with_a_walk(trees: Trees, rows: list[Any]) -> None:
    table = np.array(rows, dtype=np.float64)
    wanted = [by_hand(trees, row) for row in table]
    assert trees.sums(dense(table)).tolist() == wanted
    assert trees._bits is not None
    levels = trees._walked(table)
    assert [leaves.tolist() for leaves in trees._leaves(dense(table))] == levels.T.tolist()
    assert [of_one_row(trees, row) for row in table] == wanted


@given(forests(), ROWS)
def test_large_forests_are_walked_through(trees: Trees, rows: list[Any]) -> None:
    table = np.array(rows, dtype=np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_trees, "MOST_NODES", 0)
        assert [of_one_row(trees, row) for row in table] == [by_hand(trees, row) for row in table]


def test_a_tree_of_more_leaves_than_words_hold_goes_level_by_level() -> None:
    """A chain to the right of 600 splits: value v ends in leaf v."""
    splits = 600
    slots, lefts, rights = [], [], []
    for at in range(splits):
        slots += [0, -1]
        lefts += [2 * at + 1, 2 * at + 1]
        rights += [2 * at + 2, 2 * at + 1]
    slots.append(-1)
    lefts.append(2 * splits)
    rights.append(2 * splits)
    thresholds = [at / 2 for at in range(2 * splits + 1)]
    trees = Trees(
        np.array(slots), np.array(thresholds), np.array(lefts), np.array(rights), np.full(len(slots), -1),
        np.zeros((0, 0), dtype=bool), np.arange(len(slots), dtype=float)[:, np.newaxis], np.array([0]), np.ones(1),
    )  # fmt: skip
    assert trees._bits is None
    assert trees.sums(dense(np.array([[0.0], [0.5], [599.0], [1e9], [np.nan]])))[:, 0].tolist() == [
        1,
        3,
        1199,
        1200,
        1200,
    ]


def test_leaves_beyond_the_first_word_are_found() -> None:
    """A chain of 200 splits takes four words."""
    splits = 200
    slots = [0 if at % 2 == 0 else -1 for at in range(2 * splits)] + [-1]
    lefts = [at + 1 if at % 2 == 0 else at for at in range(2 * splits)] + [2 * splits]
    rights = [at + 2 if at % 2 == 0 else at for at in range(2 * splits)] + [2 * splits]
    trees = Trees(
        np.array(slots), np.arange(2 * splits + 1) / 2, np.array(lefts), np.array(rights), np.full(len(slots), -1),
        np.zeros((0, 0), dtype=bool), np.arange(len(slots), dtype=float)[:, np.newaxis], np.array([0]), np.ones(1),
    )  # fmt: skip
    assert trees._bits is not None
    values = np.array([[0.0], [63.0], [64.0], [127.5], [199.0], [200.0]])
    assert trees.sums(dense(values))[:, 0].tolist() == [1, 127, 129, 257, 399, 400]


@pytest.mark.parametrize("most_codes", [1, 12, 1024])
@given(trees=forests(), rows=ROWS, table=ROWS, codes=st.lists(st.integers(0, 10), min_size=2, max_size=6))
def test_slots_that_are_looked_up_together_are_as_those_alone(
    most_codes: int, trees: Trees, rows: list[Any], table: list[Any], codes: list[int]
) -> None:
    """Two blocks of codes; with 12 they are joined where the first has up to three codes."""
    of_first, of_second = np.array(table, dtype=np.float64)[:, :2], np.arange(float(CATEGORIES))[:, np.newaxis]
    first, second = np.array(codes) % len(table), np.array(codes[::-1]) % CATEGORIES
    vectors = Vectors((Coded(first, of_first), Coded(second, of_second)))
    written = np.hstack([of_first[first], of_second[second]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_bits, "MOST_CODES", most_codes)
        for _ in range(2):
            assert trees.sums(vectors).tolist() == [by_hand(trees, row) for row in written]
        assert trees.sums(dense(np.array(rows, dtype=np.float64))).tolist() == [
            by_hand(trees, row) for row in np.array(rows, dtype=np.float64)
        ]


@given(forests(), ROWS, st.lists(st.integers(0, 10), min_size=1, max_size=6))
def test_coded_slots_are_as_those_written_out(trees: Trees, table: list[Any], codes: list[int]) -> None:
    """The first two slots follow from a number of the row, the third is its own."""
    of_code = np.array(table, dtype=np.float64)
    at = np.array(codes, dtype=np.intp) % len(of_code)
    own = (at % CATEGORIES).astype(np.float64)[:, np.newaxis]
    vectors = Vectors((Coded(at, of_code[:, :2]), Dense(own)))
    written = np.hstack([of_code[at][:, :2], own])
    for _ in range(2):  # the second time what was kept of the first is used
        assert trees.sums(vectors).tolist() == trees.sums(dense(written)).tolist()
