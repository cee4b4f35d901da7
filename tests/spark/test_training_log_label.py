"""What is learned as a logarithm is answered, measured and explained in the unit of the label."""

import datetime as dt
from collections.abc import Callable
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import DecisionTreeRegressor, LinearRegression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.reports.explanation import explanation_sections
from lakeloop.reports.model_card import Provenance, model_card
from lakeloop.training import train as training
from lakeloop.training.algorithms import REGRESSORS, GridPoint
from lakeloop.training.cross_validation.stage_tree import named_columns
from lakeloop.training.estimators.log_label import LogLabelled, learner_of, learns_log
from lakeloop.training.interpretation.coefficients import coefficients, effect_of
from lakeloop.training.interpretation.explaining import explain
from lakeloop.training.model_size import numbers_held
from lakeloop.training.spec.model import ModelSpec

DECLARED: dict[str, Any] = {
    "model": "houses",
    "description": "What a house sells for",
    "owner": "tests",
    "table": "gold.houses",
    "key": "id",
    "label": {"column": "price", "task": "regression"},
    "split": {"test": 0.25, "seed": 1},
    "folds": {"count": 2, "seed": 1},
    "features": {"numeric": ["area"], "categorical": ["kind"]},
    "candidates": [{"linear_regression": {}}, {"linear_regression": {}, "learn": "log"}],
    "scores": "gold.house_prices",
}
SPEC = ModelSpec.model_validate(DECLARED)
GROWTH, VILLA = 0.03, 2.0


@pytest.fixture(scope="module")
def houses(spark: SparkSession) -> DataFrame:
    """60 houses, some of them alike but for their id; an area more is 3% more of the price, a villa costs twice."""
    rows = [(i, None if i == 41 else float(50 + i * 7 % 40), ("flat", "villa", None)[i % 3]) for i in range(60)]
    frame = spark.createDataFrame(rows, "id int, area double, kind string").coalesce(1)
    factor = F.when(F.col("kind") == "villa", VILLA).otherwise(1.0) * (1 + F.col("id") % 2 / 100)
    return frame.withColumn("price", 1000 * F.exp(GROWTH * F.coalesce("area", F.lit(69.0))) * factor)


@pytest.fixture(scope="module")
def result(houses: DataFrame) -> training.TrainingResult:
    return training.train(SPEC, houses, lambda *_: None)


@pytest.fixture(scope="module")
def numbers(spark: SparkSession) -> DataFrame:
    """Labels 1, 4, 4 and 16; the two fours are one row twice."""
    rows = [(Vectors.dense(x), y) for x, y in ((0.0, 1.0), (1.0, 4.0), (1.0, 4.0), (2.0, 16.0))]
    return spark.createDataFrame(rows, ["features", "label"]).coalesce(1)


def said(model: PipelineModel, rows: DataFrame) -> list[float]:
    return [row["prediction"] for row in model.transform(rows).collect()]


def test_a_line_of_logarithms_goes_through_powers(numbers: DataFrame) -> None:
    estimator = LogLabelled(LinearRegression())
    assert named_columns(estimator) == {"features", "label"}
    model = estimator.fit(numbers)
    assert said(model, numbers) == pytest.approx([1, 4, 4, 16])
    assert model.stages[0].coefficients[0] == pytest.approx(log(4))
    assert estimator.estimator.getLabelCol() == "label"  # what was given is left as it was


def test_the_answer_to_rows_alike_is_their_geometric_mean_without_correction(numbers: DataFrame) -> None:
    model = LogLabelled(DecisionTreeRegressor(maxDepth=0)).fit(numbers)
    assert said(model, numbers) == pytest.approx([4.0] * 4)  # exp of the mean logarithm; the mean is 6.25


@pytest.mark.parametrize("algorithm", sorted(set(REGRESSORS) - {"xgboost"}))
def test_any_algorithm_may_learn_it(numbers: DataFrame, algorithm: str) -> None:
    params = {"maxIter": 2} if "boosted" in algorithm else {}
    point = GridPoint(algorithm, params, "features", "regression", learn="log")
    assert str(point).startswith(f"{algorithm}(learn=log")
    rows = numbers.withColumnRenamed("label", "_label")
    model = point.estimator(seed=1).fit(rows)
    answered = model.transform(rows).collect()
    assert [row["prediction"] for row in answered] == pytest.approx([exp(row["prediction__log"]) for row in answered])
    assert learns_log(model.stages)
    assert numbers_held(model) == numbers_held(learner_of(model.stages))
    assert numbers_held(model) is not None


def test_it_competes_and_is_measured_in_the_unit_of_the_label(
    result: training.TrainingResult, houses: DataFrame
) -> None:
    assert str(result.winner.point) == "linear_regression(learn=log)"
    assert result.winner.numbers == 1 + 3 + 1  # area, three kinds of which NULL is one, and the intercept
    line, logs = (next(s for s in result.candidates if s.point.learn == learn) for learn in (None, "log"))
    assert logs.mean["rmse"] < line.mean["rmse"] / 2
    test = training.test_rows(SPEC, houses)
    answers = np.array([[row["price"], row["prediction"]] for row in result.model.transform(test).collect()])
    errors = answers[:, 1] - answers[:, 0]
    assert result.test.figures() == pytest.approx({
        "r2": 1 - (errors**2).sum() / ((answers[:, 0] - answers[:, 0].mean()) ** 2).sum(),
        "rmse": np.sqrt((errors**2).mean()),
        "mae": np.abs(errors).mean(),
        "mape": np.abs(errors / answers[:, 0]).mean(),
    })  # fmt: skip
    assert set(result.importance) == {"area", "kind"}
    assert sum(result.importance.values()) == pytest.approx(1)


def test_the_saved_model_has_stages_of_spark_alone_and_answers_as_before(
    result: training.TrainingResult, houses: DataFrame, tmp_path: Path
) -> None:
    assert {type(stage).__module__.split(".")[0] for stage in result.model.stages} == {"pyspark"}
    result.model.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert training.evaluate(loaded, training.test_rows(SPEC, houses), SPEC) == result.test
    unknown = loaded.transform(houses.drop("price").withColumn("area", F.lit(None).cast("double")))
    assert unknown.where("prediction > 0").count() == 60


def test_the_same_rows_in_another_order_give_the_same(result: training.TrainingResult, houses: DataFrame) -> None:
    again = training.train(SPEC, houses.repartition(4, "area"), lambda *_: None)
    assert again.test == result.test
    assert [score.folds for score in again.candidates] == [score.folds for score in result.candidates]


def test_coefficients_are_shares_and_the_page_says_so(result: training.TrainingResult, houses: DataFrame) -> None:
    assert effect_of(SPEC, result.model) == "the logarithm of the answer"
    found = dict(coefficients(SPEC, result.model))
    assert found["area"] == pytest.approx(GROWTH, abs=1e-3)
    assert found["kind=villa"] - found["kind=flat"] == pytest.approx(log(VILLA), abs=0.01)
    held_out = training.labelled_test_rows(SPEC, houses)
    told = explain(SPEC, result.model, houses, held_out, lambda _: None, rows=2)
    assert told.mean_score > 1000  # what columns add is in the unit of the label
    last = explanation_sections(told)[-1]
    assert "What one unit more adds to the logarithm of the answer, in the units of gold.houses" in last.intro
    assert "Of a logarithm 0.01 is about 1% more." in last.intro


def test_a_link_is_named_where_coefficients_are_before_it(houses: DataFrame) -> None:
    candidate = {"generalized_linear_regression": {"family": ["gamma"], "link": ["log"]}}
    spec = ModelSpec.model_validate(DECLARED | {"candidates": [candidate]})
    model = training.train(spec, houses, lambda *_: None).model
    assert effect_of(spec, model) == "the answer before its link, log"
    assert dict(coefficients(spec, model))["area"] == pytest.approx(GROWTH, abs=1e-3)


def test_the_card_says_what_was_learned(result: training.TrainingResult) -> None:
    card = model_card(result, Provenance("houses", "local", 1, 2, "run-1", "0123456789ab")).markdown
    assert "a number; its logarithm was learned, so it is nearer the median of such rows than their mean" in card
    assert r"linear\_regression(learn=log)" in card
    assert f"{result.held_out.measured_at:%Y-%m-%d}" in card
    assert result.held_out.measured_at.tzinfo == dt.UTC


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda df: df.withColumn("price", F.when(F.col("id") > 1, F.col("price")).otherwise(F.col("id") * -5)),
            (
                "label 'price' of gold.houses is 0 or less in 2 of 60 rows, the least being -5, and has no logarithm "
                "there; take `learn: log` of linear_regression out, or quarantine them with a rule is_in_range on price"
            ),
        ),
        (
            lambda df: df.withColumn("price", F.when(F.col("id") > 2, F.col("price"))),
            "label 'price' of gold.houses is NULL, NaN or infinite in 3 of 60 rows",
        ),
        (
            lambda df: df.withColumn("price", F.when(F.col("id") > 0, F.col("price")).otherwise(float("nan"))),
            "is NULL, NaN or infinite in 1 of 60 rows",
        ),
    ],
)
def test_a_label_without_a_logarithm_is_refused(
    houses: DataFrame, change: Callable[[DataFrame], DataFrame], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        training.train(SPEC, change(houses), lambda *_: None)


def test_a_label_of_0_is_none_of_the_business_of_those_that_learn_it_as_it_is(houses: DataFrame) -> None:
    spec = ModelSpec.model_validate(DECLARED | {"candidates": [{"linear_regression": {}}]})
    zero = houses.withColumn("price", F.when(F.col("id") > 0, F.col("price")).otherwise(0.0))
    assert training.train(spec, zero, lambda *_: None).test.rows == 15
