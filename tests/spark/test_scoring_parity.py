"""Pipelines that Spark fits, and what is made of them, on rows made to part the two."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lakeloop.training.decision.calibrating import fit_calibration
from lakeloop.training.decision.rule import DecisionRule, decided
from lakeloop.training.metrics.binary import measure
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from tests.scored_people import compiled, declared, fitted, parity, people_of


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    return people_of(spark)


CLASSIFIERS = [
    ("logistic_regression", {"regParam": 0.01}, {}),
    ("logistic_regression", {"regParam": 0.01, "elasticNetParam": 1.0}, {"scale": "min_max"}),
    ("linear_svm", {"regParam": 0.1}, {"scale": "robust"}),
    ("naive_bayes", {}, {}),
    ("multilayer_perceptron", {"hidden": [4]}, {}),
    ("decision_tree", {"maxDepth": 5}, {"scale": "none"}),
    ("random_forest", {"numTrees": 9, "maxDepth": 6}, {"encode": {"city": "target", "plan": "frequency"}}),
    ("gradient_boosted_trees", {"maxIter": 8, "maxDepth": 3}, {"interactions": [["age", "visits"]], "scale": "none"}),
    ("random_forest", {"numTrees": 5}, {"buckets": {"age": [18, 30, 65], "visits": 4}}),
    ("gradient_boosted_trees", {"maxIter": 5}, {"select": [{"correlation": 0.95}, {"univariate": 8}]}),
]


@pytest.mark.parametrize(("algorithm", "params", "features"), CLASSIFIERS)
def test_scorer_of_classes_says_what_spark_says(
    people: DataFrame, tmp_path: Path, algorithm: str, params: dict[str, Any], features: dict[str, Any]
) -> None:
    spec = declared(**features)
    model = fitted(people, spec, algorithm, params)
    if algorithm == "linear_svm":
        scorer = compiled(model, spec, people, tmp_path)
        rows = [row.asDict() for row in people.collect()]
        said = [row["prediction"] for row in model.transform(people).collect()]
        assert [scorer.score(row)[0] for row in rows] == said
        return
    found = parity(model, spec, people, tmp_path)
    assert found.holds, found
    assert found.rows > 100


REGRESSORS = [
    ("linear_regression", {"regParam": 0.1}, {"scale": "robust"}),
    ("generalized_linear_regression", {"family": "gamma", "link": "log", "regParam": 0.01}, {}),
    ("decision_tree", {"maxDepth": 4}, {"scale": "none"}),
    ("random_forest", {"numTrees": 7, "maxDepth": 6}, {}),
    (
        "gradient_boosted_trees",
        {"maxIter": 6, "maxDepth": 3},
        {"age_at": date(2025, 1, 1), "dates": {"since": ["age_days"]}},
    ),
]


@pytest.mark.parametrize(("algorithm", "params", "features"), REGRESSORS)
def test_scorer_of_numbers_says_what_spark_says(
    people: DataFrame, tmp_path: Path, algorithm: str, params: dict[str, Any], features: dict[str, Any]
) -> None:
    spec = declared("regression", **features)
    found = parity(fitted(people, spec, algorithm, params), spec, people, tmp_path)
    assert found.holds, found


@pytest.mark.parametrize("algorithm", ["logistic_regression", "random_forest"])
def test_components_are_projected_or_multiplied_out(people: DataFrame, tmp_path: Path, algorithm: str) -> None:
    spec = declared(pca={"variance": 0.9})
    found = parity(fitted(people, spec, algorithm, {}, "pca"), spec, people, tmp_path)
    assert found.holds, found


@pytest.mark.parametrize("calibrate", ["isotonic", "platt"])
@pytest.mark.parametrize("algorithm", ["linear_svm", "random_forest"])
def test_decisions_are_taken_over(people: DataFrame, tmp_path: Path, algorithm: str, calibrate: str) -> None:
    spec = declared()
    model = fitted(people, spec, algorithm, {})
    given = "margin" if algorithm == "linear_svm" else "probability"
    draw = np.random.default_rng(1)
    table = ScoreTable(*(np.bincount(draw.integers(0, CELLS, 200), minlength=CELLS + 1) for _ in range(2)))
    curve = fit_calibration(people.sparkSession, table, calibrate, given)  # type: ignore[arg-type]
    metrics = measure(table, resamples=0)
    rule = DecisionRule(given, curve, 0.37, metrics, metrics)  # type: ignore[arg-type]
    found = parity(decided(model, rule, people.sparkSession), spec, people, tmp_path)
    assert found.holds, found


PARTS = {
    "scale": st.sampled_from(["standard", "min_max", "robust", "none"]),
    "impute": st.sampled_from(["median", "mean", "mode"]),
    "encode": st.sampled_from([{}, {"city": "target"}, {"plan": "frequency", "city": "target"}]),
    "buckets": st.sampled_from([{}, {"age": 3}, {"age": [20, 40]}]),
    "interactions": st.sampled_from([[], [["age", "visits"]]]),
    "select": st.sampled_from([[], [{"variance": 0.01}], [{"correlation": 0.9}, {"univariate": 5}]]),
    "pca": st.sampled_from([None, {"components": 3}]),
}
LEARNED = st.sampled_from([
    ("logistic_regression", {"regParam": 0.1}), ("decision_tree", {}), ("random_forest", {"numTrees": 3}),
    ("gradient_boosted_trees", {"maxIter": 2}), ("naive_bayes", {}),
])  # fmt: skip


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(features=st.fixed_dictionaries(PARTS), learned=LEARNED)
def test_pipelines_by_chance_say_what_spark_says(
    people: DataFrame, tmp_path: Path, features: dict[str, Any], learned: tuple[str, dict[str, Any]]
) -> None:
    spec = declared(**features)
    model = fitted(people, spec, *learned, "pca" if features["pca"] else "features")
    found = parity(model, spec, people, tmp_path)
    assert found.holds, found
