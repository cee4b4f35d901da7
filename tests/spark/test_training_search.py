"""Searches on 48 rows: what is tried, on which folds, how often shared stages are fitted, and the same each time."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.ml.classification import DecisionTreeClassifier, GBTClassifier, LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.training.cross_validation.candidate_scores import cross_validate
from lakeloop.training.features import stages as features
from lakeloop.training.features.filling import NamingImputer
from lakeloop.training.folds.dealing import deal_folds
from lakeloop.training.model_size import numbers_held, tree_numbers
from lakeloop.training.search.searching import most_fits, search
from lakeloop.training.spec.model import ModelSpec
from tests.model_files import model_spec

STRENGTH = {"low": 1.0e-3, "high": 1.0, "log": True}


def declared(**changes: Any) -> ModelSpec:
    base = {
        "features": {"numeric": ["tenure", "noise"], "pca": {"components": 1}},
        "candidates": [{"logistic_regression": {"regParam": STRENGTH, "maxIter": [1]}}],
    }
    return model_spec(**base | changes)


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> Iterator[DataFrame]:
    """48 people with a label and folds; a third leave, most of them with a short tenure."""
    rows = [
        (f"p{i}", None if i == 40 else i, i * 37 % 11 / 10, float(i < 14 or i in {30, 45})) for i in range(48)
    ]  # fmt: skip
    frame = spark.createDataFrame(rows, "id string, tenure int, noise double, _label double").coalesce(1)
    dealt = deal_folds(HALVING, frame).coalesce(1).persist()
    dealt.count()
    yield dealt
    dealt.unpersist()


class Steps:
    """What a search told, and how many rows each of its imputers was fitted on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[int, int, str]] = []
        self.fitted_on: list[int] = []
        fitted_on = self.fitted_on

        class WatchedImputer(NamingImputer):
            def fit(self, dataset: DataFrame, params: Any = None) -> Any:
                fitted_on.append(dataset.count())
                return super().fit(dataset, params)

        patch.setattr(features, "NamingImputer", WatchedImputer)

    def __call__(self, *step: Any) -> None:
        self.told.append(step)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def cached(spark: SparkSession) -> int:
    return int(spark.sparkContext._jsc.sc().getPersistentRDDs().size())


BAYESIAN = declared(
    candidates=[
        {"logistic_regression": {"regParam": STRENGTH, "maxIter": [1]}},
        {"logistic_regression": {"regParam": [0.01, 0.1], "maxIter": {"low": 1, "high": 2}}, "on": "pca"},
    ],
    search={"kind": "bayesian", "trials": 4, "seed": 3},
)
HALVING = declared(search={"kind": "random", "trials": 3, "seed": 2, "halving": True})


def test_a_bayesian_search_fits_what_is_shared_once_a_fold(
    spark: SparkSession, people: DataFrame, steps: Steps
) -> None:
    before = cached(spark)
    scores = search(BAYESIAN, people, steps, parallelism=2)
    assert cached(spark) == before
    assert steps.fitted_on == [24] * 2  # not once a batch of two
    assert len(scores) <= 4
    assert {score.point.on for score in scores} == {"features", "pca"}
    assert [done for done, _, _ in steps.told] == list(range(1, len(scores) * 2 + 1))
    assert {total for _, total, _ in steps.told} == {most_fits(BAYESIAN)} == {8}
    # The frames that were kept give what a cross-validation of the same candidates does.
    some = [next(score for score in scores if score.point.on == on) for on in ("features", "pca")]
    plain = cross_validate(BAYESIAN, [score.point for score in some], people, lambda *_: None)
    assert [score.folds for score in plain] == [score.folds for score in some]
    assert [score.numbers for score in plain] == [score.numbers for score in some] == [3, 2]
    assert all(score.scoring_seconds is not None and score.scoring_seconds > 0 for score in scores)


def test_a_random_search_that_halves_gives_up_early_and_never_changes_a_figure(people: DataFrame, steps: Steps) -> None:
    scores = search(HALVING, people, steps)
    assert [len(score.folds) for score in sorted(scores, key=lambda s: len(s.folds))] == [1, 2, 2]
    assert [score.stopped for score in scores] == [len(score.folds) < 2 for score in scores]
    assert len(steps.told) == steps.told[-1][0] == most_fits(HALVING) == 3 + 2
    assert steps.fitted_on == [24] * 2
    assert steps.told[3][2].startswith("fold 2/2, 2 candidates left: logistic_regression(regParam=")
    some = [next(score for score in scores if len(score.folds) == folds) for folds in (1, 2)]
    whole = cross_validate(HALVING, [score.point for score in some], people, lambda *_: None)
    assert (whole[0].folds[:1], whole[1].folds) == (some[0].folds, some[1].folds)


def test_without_optuna_the_extra_is_named(people: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        TrainingError, match=r"bayesian needs optuna.*pip install 'lakeloop\[tuning\]', or say kind: ran"
    ):
        search(BAYESIAN, people, lambda *_: None)


def test_a_model_is_as_large_as_the_numbers_that_it_holds(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(float(i), float(i % 2), 0.0, float(i > 5)) for i in range(12)], "a double, b double, c double, y double"
    )
    vectors = VectorAssembler(inputCols=["a", "b", "c"], outputCol="x").transform(rows).coalesce(1).persist()
    args: dict[str, Any] = {"featuresCol": "x", "labelCol": "y"}
    # `c` is constant, so that its coefficient is 0 and need not be held.
    assert numbers_held(LogisticRegression(regParam=0.1, **args).fit(vectors)) == 2 + 1
    assert numbers_held(LinearRegression(**args).fit(vectors)) == 2 + 1
    assert numbers_held(DecisionTreeClassifier(maxDepth=1, **args).fit(vectors)) == 2 + 1 + 1
    assert numbers_held(GBTClassifier(maxDepth=1, maxIter=2, **args).fit(vectors)) == 2 * (2 + 1 + 1) + 2
    assert numbers_held(VectorAssembler(inputCols=["a"], outputCol="z")) is None
    assert tree_numbers(nodes=1 + 7, trees=2) == 1 + (3 * 2 + 4)
    vectors.unpersist()
