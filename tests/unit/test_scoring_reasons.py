"""Reasons without Spark, of models that are known by hand."""

import math

import numpy as np
import pytest

from lakeloop.core.errors import ScoringError
from lakeloop.scoring.reasons import explained, orders
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear, LinearNumber, SoftmaxLinear
from lakeloop.scoring.stages.scalars import Impute, Index
from lakeloop.scoring.stages.trees import Trees, TreesNumber
from lakeloop.scoring.stages.vectors import Assemble, OneHot

NAN = float("nan")
COLUMNS = {"age": "double", "debt": "double", "plan": "string"}
SLOTS = [
    Impute(["age", "debt"], ["a", "d"], [40.0, 0.0], NAN),
    Index(["plan"], ["index"], [["basic", "plus"]], keeps=True),
    OneHot(["index"], ["plans"], [2]),
    Assemble(["a", "d", "plans"], "features"),
]
# 2 age - 3 debt, and 10 more on the plan "plus"; an age that is missing counts as 40.
SUM = Scorer(
    COLUMNS, [*SLOTS, LinearNumber("features", "prediction", np.array([2.0, -3.0, 0.0, 10.0]), 1.0)], "regression"
)
# Mean of age 40, of debt 2, half of them on "plus"; the third row is there twice, and its age is NULL.
BACKGROUND = [
    {"age": 30.0, "debt": 1.0, "plan": "plus"},
    {"age": 50.0, "debt": 3.0, "plan": "basic"},
    {"age": None, "debt": 2.0, "plan": "plus"},
    {"age": None, "debt": 2.0, "plan": "basic"},
]


def test_in_a_sum_a_column_adds_its_weight_times_the_distance_to_the_mean() -> None:
    found = explained(SUM, {"age": 45.0, "debt": 0.0, "plan": "plus"}, BACKGROUND, draws=4)
    assert [(reason.column, reason.value) for reason in found.reasons] == [
        ("age", 45.0),
        ("debt", 0.0),
        ("plan", "plus"),
    ]
    assert [reason.contribution for reason in found.reasons] == pytest.approx([2 * 5, -3 * -2, 10 * 0.5], abs=1e-12)
    assert (found.score, found.mean_score) == (101.0, 2 * 40 - 3 * 2 + 5 + 1)


def test_where_columns_add_up_and_one_row_is_the_background_nothing_is_by_chance() -> None:
    found = explained(SUM, {"age": 45.0}, BACKGROUND[:1], draws=8)
    # Debt is NULL, which counts as 0, and plan NULL is none of the plans.
    assert [(each.column, each.value) for each in found.reasons] == [("age", 45.0), ("debt", None), ("plan", None)]
    assert [each.contribution for each in found.reasons] == pytest.approx([30.0, 3.0, -10.0], abs=1e-12)
    assert [each.error for each in found.reasons] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_the_error_is_that_of_the_mean_over_the_draws() -> None:
    """In a sum only the row that is drawn moves a contribution: 2 (45 - 30) for the first one, and so on."""
    found = {each.column: each for each in explained(SUM, {"age": 45.0}, BACKGROUND, draws=4).reasons}
    assert found["age"].error == pytest.approx(np.std([30, -10, 10, 10], ddof=1) / 2)
    (only,) = {each.error for each in explained(SUM, {"age": 45.0}, BACKGROUND, draws=1).reasons}
    assert only == 0.0


def test_columns_that_only_work_together_share_what_they_add() -> None:
    """1 where both numbers are above 0.5, seen from (0, 0): one half each, by symmetry, in each pair of orders."""
    node = np.array
    trees = Trees(
        node([0, -1, 1, -1, -1]), node([0.5, 0, 0.5, 0, 0]), node([1, 1, 3, 3, 4]), node([2, 1, 4, 3, 4]),
        np.full(5, -1), np.zeros((0, 0), dtype=np.bool_), node([[0.0], [0.0], [0.0], [0.0], [1.0]]), node([0]),
        node([1.0]),
    )  # fmt: skip
    both = Scorer(
        {"x": "double", "y": "double"},
        [Assemble(["x", "y"], "f"), TreesNumber("f", "prediction", trees, 1)],
        "regression",
    )
    found = explained(both, {"x": 1.0, "y": 1.0}, [{"x": 0.0, "y": 0.0}] * 2)
    assert [(each.column, each.contribution, each.error) for each in found.reasons] == [
        ("x", 0.5, 0.0),
        ("y", 0.5, 0.0),
    ]


def test_contributions_to_a_probability_add_up_to_what_it_is_above_the_mean() -> None:
    model = BinaryLinear("features", "raw", "probability", "prediction", np.array([0.1, -0.5, 0.0, 1.0]), -3.0, 0.0)
    scorer = Scorer(COLUMNS, [*SLOTS, model], "binary")
    row = {"age": 61.0, "debt": 4.0, "plan": "plus"}
    found = explained(scorer, row, scorer.table(BACKGROUND))
    assert found.score == pytest.approx(scorer.score(row)[1], abs=1e-15)
    assert found.mean_score == pytest.approx(np.mean([scorer.score(other)[1] for other in BACKGROUND]), abs=1e-15)
    total = math.fsum(reason.contribution for reason in found.reasons)
    assert total == pytest.approx(found.score - found.mean_score, abs=1e-12)
    assert found == explained(scorer, row, BACKGROUND)
    assert found != explained(scorer, row, BACKGROUND, seed=1)


def test_orders_are_permutations_and_their_reverses() -> None:
    places = orders(5, 3, seed=7)
    assert places.shape == (6, 5)
    assert (np.sort(places, axis=1) == np.arange(5)).all()
    assert (places[:3] + places[3:] == 4).all()


def test_a_model_of_one_column_owes_all_to_it() -> None:
    scorer = Scorer({"age": "double"}, [LinearNumber("age", "prediction", np.array([2.0]), 0.0)], "regression")
    (reason,) = explained(scorer, {"age": 3.0}, [{"age": 1.0}]).reasons
    assert (reason.contribution, reason.error) == (4.0, 0.0)


def test_what_cannot_be_explained_is_said() -> None:
    with pytest.raises(ScoringError, match="at least one row"):
        explained(SUM, {}, [])
    with pytest.raises(ScoringError, match="at least one draw"):
        explained(SUM, {}, BACKGROUND, draws=0)
    with pytest.raises(ScoringError, match=r"^column age: found 'old', a number is wanted"):
        explained(SUM, {"age": "old"}, BACKGROUND)
    classes = SoftmaxLinear("features", "raw", "probability", "prediction", np.zeros((3, 4)), np.zeros(3))
    with pytest.raises(ScoringError, match="several classes"):
        explained(Scorer(COLUMNS, [*SLOTS, classes], "multiclass"), {}, BACKGROUND)
