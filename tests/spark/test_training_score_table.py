import numpy as np
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

from lakeloop.training.metrics.binary import measure
from lakeloop.training.metrics.score_table import ScoreTable


def test_rows_are_counted_by_class_and_cell(spark: SparkSession) -> None:
    # One half is not above the threshold, as in Spark's own `prediction`; the smallest step above it is.
    scores = [(1.0, 1.0), (0.50000001, 1.0), (0.5, 1.0), (0.5, 1.0), (0.49995, 0.0), (0.00001, 0.0), (0.0, 0.0)]
    scored = spark.createDataFrame([(Vectors.dense(1 - score, score), label) for score, label in scores], ["p", "y"])
    table = ScoreTable.of(scored, "y", "p")
    assert {int(cell): int(table.positives[cell]) for cell in np.flatnonzero(table.positives)} == {
        10000: 1,
        5001: 1,
        5000: 2,
    }
    assert {int(cell): int(table.negatives[cell]) for cell in np.flatnonzero(table.negatives)} == {5000: 1, 1: 1, 0: 1}
    found = measure(table, resamples=0)
    assert (found.true_positives, found.false_positives, found.true_negatives, found.false_negatives) == (2, 0, 3, 2)
