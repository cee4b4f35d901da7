from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training import train as training
from lakeloop.training.metrics.regression import RegressionMetrics
from tests.model_files import model_spec

SPEC = model_spec(
    table="gold.houses",
    label={"column": "price", "task": "regression"},
    split={"test": 0.25, "kind": "group", "by": "street", "seed": 1},
    folds={"kind": "time", "by": "sold", "count": 3, "seed": 1},
    features={"numeric": ["area"], "categorical": ["kind"]},
    candidates=[{"linear_regression": {}}, {"decision_tree": {"maxDepth": [1]}}],
)


@pytest.fixture(scope="module")
def houses(spark: SparkSession) -> DataFrame:
    """60 houses on 12 streets; the price is 1000 per square metre and 50,000 more for a villa, give or take 100."""
    rows = [
        (i, f"street {i % 12}", float(50 + i * 7 % 40), ("flat", "villa", None)[i % 3], i * 5 % 60, i * 31 % 200 - 100)
        for i in range(60)
    ]
    return spark.createDataFrame(rows, "id int, street string, area double, kind string, sold int, off int").select(
        "*",
        (F.col("area") * 1000 + F.when(F.col("kind") == "villa", 50_000).otherwise(0) + F.col("off")).alias("price"),
    )


def test_a_regression_is_measured_on_later_rows_and_on_streets_it_never_saw(houses: DataFrame) -> None:
    result = training.train(SPEC, houses, lambda *_: None)
    assert (result.rows_train, result.rows_test) == (45, 15)  # three of twelve streets of five houses
    held_out = training.test_rows(SPEC, houses).select("street").distinct()
    assert (held_out.count(), held_out.join(houses, "street").count()) == (3, 15)
    assert str(result.winner.point) == "linear_regression()"
    assert [len(score.folds) for score in result.candidates] == [3, 3]
    assert set(result.winner.mean) == {"r2", "rmse", "mae", "mape"}
    assert isinstance(result.test, RegressionMetrics)
    assert 0.99 < result.test.r2 < 1
    assert 30 < result.test.rmse < 100
    assert len(result.test.shown) == 15
    assert list(result.importance) == ["kind", "area"]
    again = training.train(SPEC, houses.repartition(5, "area"), lambda *_: None)
    assert again.test.figures() == pytest.approx(result.test.figures())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            lambda df: df.withColumn("price", F.when(F.col("id") > 1, F.col("price"))),
            "NULL, NaN or infinite in 2 of 60",
        ),
        (lambda df: df.withColumn("price", F.lit(3)), "must have numbers that differ; found 60 rows of 3.0"),
        (lambda df: df.withColumn("price", F.lit("x")), "label 'price' of gold.houses is string; a regression needs a"),
        (lambda df: df.drop("sold"), "no column 'sold'"),
        (lambda df: df.drop("street"), "no column 'street'"),
        (lambda df: df.withColumn("sold", F.lit("x")), "column 'sold' is string, which has no order in time"),
    ],
)
def test_numbers_that_cannot_be_learned_are_refused(
    houses: DataFrame, table: Callable[[DataFrame], DataFrame], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        training.train(SPEC, table(houses), lambda *_: None)
