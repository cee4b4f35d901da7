import math

import numpy as np
import pytest
from pyspark.sql import SparkSession
from sklearn import metrics

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.regression import ErrorTable, measure_errors


def table(spark: SparkSession, rows: list[tuple[float, float]]) -> ErrorTable:
    frame = spark.createDataFrame([(i, *row) for i, row in enumerate(rows)], "id int, label double, prediction double")
    return ErrorTable.of(frame, "label", "id")


def test_metrics_are_those_of_scikit_learn(spark: SparkSession) -> None:
    draw = np.random.default_rng(3)
    labels = 1e6 + draw.normal(size=3_000)  # far from 0, where sums of squares lose their digits
    predictions = labels + draw.normal(scale=0.5, size=3_000)
    found = measure_errors(table(spark, list(zip(labels.tolist(), predictions.tolist(), strict=True))))
    assert found.rows == 3_000
    assert found.r2 == pytest.approx(metrics.r2_score(labels, predictions), abs=1e-9)
    assert found.rmse == pytest.approx(metrics.root_mean_squared_error(labels, predictions), abs=1e-9)
    assert found.mae == pytest.approx(metrics.mean_absolute_error(labels, predictions), abs=1e-9)
    assert found.mape == pytest.approx(metrics.mean_absolute_percentage_error(labels, predictions), rel=1e-9)
    # The standard error of an RMSE of normal errors is RMSE / sqrt(2 n); the interval has two of them on each side.
    low, high = found.intervals["rmse"]
    assert low < found.rmse < high
    assert high - low == pytest.approx(4 * 0.5 / math.sqrt(6_000), rel=0.25)


def test_figures_by_hand_with_a_label_of_zero_and_a_row_twice(spark: SparkSession) -> None:
    found = measure_errors(table(spark, [(0.0, 1.0), (2.0, 2.0), (4.0, 3.0), (4.0, 3.0)]), resamples=0)
    # Errors 1, 0, -1, -1; labels' mean 2.5, squared differences 6.25 + 0.25 + 2.25 + 2.25 = 11.
    assert found.r2 == pytest.approx(1 - 3 / 11)
    assert found.rmse == pytest.approx(math.sqrt(3 / 4))
    assert found.mae == pytest.approx(3 / 4)
    assert found.mape == pytest.approx((0 + 1 / 4 + 1 / 4) / 3)
    assert found.intervals == {}


@pytest.mark.parametrize("prediction", [math.exp(400), math.inf, math.nan])
def test_errors_beyond_a_double_are_told_from_labels_alike(spark: SparkSession, prediction: float) -> None:
    with pytest.raises(TrainingError, match="squared errors of 3 rows are larger than any number that can be held"):
        measure_errors(table(spark, [(1.0, 1.0), (2.0, prediction), (2.0, 2.0)]))


def test_labels_that_do_not_differ_have_no_r2(spark: SparkSession) -> None:
    for rows in ([], [(1.0, 2.0), (1.0, 1.0)]):
        with pytest.raises(TrainingError, match=f"metrics need labels that differ, found {len(rows)} rows"):
            measure_errors(table(spark, rows))
