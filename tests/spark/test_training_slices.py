from typing import Any

import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession

from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.measuring import SliceMetrics, measured_test
from lakeloop.training.metrics.regression import RegressionMetrics
from lakeloop.training.metrics.score_table import ScoreTable
from lakeloop.training.metrics.slicing import WHOLE, Slice
from tests.model_files import model_spec

SPEC = model_spec(decision={"costs": {"false_positive": 1, "false_negative": 5}}, slices=["contract", "senior"])
# id, score, label, contract, senior; the last row is there twice.
ROWS = [
    (1, 0.9, 1.0, "monthly", True),
    (2, 0.8, 0.0, "monthly", True),
    (3, 0.3, 1.0, "monthly", True),
    (4, 0.2, 0.0, None, True),
    (5, 0.7, 1.0, None, False),
    (6, 0.1, 0.0, "yearly", False),
    (6, 0.1, 0.0, "yearly", False),
]


@pytest.fixture(scope="module")
def scored(spark: SparkSession) -> DataFrame:
    rows = [(key, Vectors.dense(1 - score, score), label, *rest) for key, score, label, *rest in ROWS]
    return spark.createDataFrame(rows, ["id", "probability", "_label", "contract", "senior"])


def test_each_value_has_the_metrics_of_its_rows_null_too(scored: DataFrame) -> None:
    found = measured_test(SPEC, scored, threshold=0.5)
    whole, slices = found.whole, found.slices
    assert isinstance(whole, BinaryMetrics)
    assert (whole.rows, whole.true_positives, whole.false_negatives, whole.cost) == (7, 2, 1, 6 / 7)
    assert [(part.column, part.value, part.rows) for part in slices] == [
        ("contract", "monthly", 3),
        ("contract", "yearly", 2),
        ("contract", None, 2),
        ("senior", "false", 3),
        ("senior", "true", 4),
    ]
    monthly, yearly, null, _, senior = slices
    assert yearly.metrics is None  # no positive row
    assert isinstance(monthly.metrics, BinaryMetrics)
    assert isinstance(null.metrics, BinaryMetrics)
    assert isinstance(senior.metrics, BinaryMetrics)
    assert (monthly.metrics.precision, monthly.metrics.recall, monthly.metrics.cost) == (0.5, 0.5, 2)
    assert null.metrics.area_under_roc == 1
    assert senior.metrics.area_under_roc == 3 / 4
    assert "cost" in senior.metrics.intervals
    assert monthly.to_dict()["figures"]["recall"] == 0.5
    assert yearly.to_dict() == {"column": "contract", "value": "yearly", "rows": 2}


def test_a_threshold_moves_the_figures_of_slices_as_well(scored: DataFrame) -> None:
    slices = measured_test(SPEC, scored, threshold=0.25).slices
    assert isinstance(slices[0].metrics, BinaryMetrics)
    assert (slices[0].metrics.threshold, slices[0].metrics.recall) == (0.25, 1)


def test_slices_come_out_of_one_collect_with_the_whole(scored: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []
    collect = DataFrame.collect

    def counted(self: DataFrame) -> Any:
        rows = collect(self)
        collected.append(len(rows))
        return rows

    monkeypatch.setattr(DataFrame, "collect", counted)
    sliced = ScoreTable.per_slice(scored, "_label", ["contract", "senior"])
    assert collected == [6 + 6 + 6]  # the row that is there twice is one count
    assert sliced[Slice("contract", None)].rows.sum() == 2
    plain = ScoreTable.of(scored, "_label")
    assert (sliced[WHOLE].positives == plain.positives).all()
    assert (sliced[WHOLE].negatives == plain.negatives).all()


def test_scores_before_calibration_are_counted_in_the_same_pass(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    # score before, score, label, contract: calibration halves scores; two rows are alike.
    rows = [(0.9, 0.45, 1.0, "monthly"), (0.9, 0.45, 0.0, "monthly"), (0.2, 0.1, 0.0, None), (0.2, 0.1, 0.0, None)]
    frame = spark.createDataFrame(
        [(1, Vectors.dense(1 - raw, raw), Vectors.dense(1 - p, p), p, label, on, True) for raw, p, label, on in rows],
        ["id", "probability__uncalibrated", "probability", "score__calibrated", "_label", "contract", "senior"],
    )
    monkeypatch.setattr(ScoreTable, "of", None)  # which would be another pass
    found = measured_test(SPEC, frame, threshold=0.3)
    assert isinstance(found.whole, BinaryMetrics)
    assert found.uncalibrated is not None
    assert (found.whole.threshold, found.uncalibrated.threshold) == (0.3, 0.5)
    # A score counts as the middle of its cell, half of 1e-4 lower.
    bins = [(point.mean_score, point.positive_share, point.rows) for point in found.uncalibrated.reliability]
    assert bins == [(pytest.approx(0.19995), 0, 2), (pytest.approx(0.89995), 0.5, 2)]
    assert found.uncalibrated.expected_calibration_error == pytest.approx((0.19995 + 0.39995) / 2)
    assert found.whole.expected_calibration_error == pytest.approx((0.09995 + 0.05005) / 2)
    assert [(part.column, part.value, part.rows) for part in found.slices] == [
        ("contract", "monthly", 2),
        ("contract", None, 2),
        ("senior", "true", 4),
    ]
    assert measured_test(SPEC, frame.drop("score__calibrated")).uncalibrated is None


def test_numbers_are_measured_by_slice(spark: SparkSession) -> None:
    rows = [(1, 10.0, 11.0, "a"), (2, 20.0, 18.0, "a"), (3, 0.0, 4.0, None), (4, 7.0, 7.0, "b"), (5, 7.0, 8.0, "b")]
    said = spark.createDataFrame(rows, "id int, _label double, prediction double, kind string")
    label = {"column": "price", "task": "regression"}
    spec = model_spec(label=label, candidates=[{"linear_regression": {}}], slices=["kind"])
    found = measured_test(spec, said)
    whole, slices = found.whole, found.slices
    assert found.uncalibrated is None
    assert isinstance(whole, RegressionMetrics)
    assert whole.mae == pytest.approx((1 + 2 + 4 + 0 + 1) / 5)
    assert [(part.value, part.rows) for part in slices] == [("a", 2), ("b", 2), (None, 1)]
    a, b, null = slices
    assert isinstance(a.metrics, RegressionMetrics)
    assert a.metrics.figures() == pytest.approx(
        {"r2": 1 - 5 / 50, "rmse": 2.5**0.5, "mae": 1.5, "mape": (1 / 10 + 2 / 20) / 2}
    )
    # R² of labels that are all the same is not defined.
    assert (b.metrics, null.metrics) == (None, None)
    assert isinstance(a, SliceMetrics)
