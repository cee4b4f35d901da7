"""Metrics of scored rows, whatever a model's task is."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.metrics.binary import BinaryMetrics, ScoreTable, measure
from lakeloop.training.metrics.regression import SHOWN, ErrorTable, RegressionMetrics, measure_errors
from lakeloop.training.spec.model import ModelSpec

Metrics = BinaryMetrics | RegressionMetrics


def measured_fold(spec: ModelSpec, scored: DataFrame) -> Metrics:
    """The metrics of rows with `_label` and what a model says of them, without intervals."""
    if spec.task == "regression":
        return measure_errors(ErrorTable.of(scored, LABEL_COL, spec.key), resamples=0)
    return measure(ScoreTable.of(scored, LABEL_COL), resamples=0)


def measured_test(spec: ModelSpec, scored: DataFrame) -> Metrics:
    """The metrics with intervals, and for a regression some rows to look at, the same ones each time."""
    if spec.task == "regression":
        some = scored.select(LABEL_COL, "prediction").orderBy(F.xxhash64(F.col(spec.key).cast("string"))).limit(SHOWN)
        shown = tuple((row[0], row[1]) for row in some.collect())
        return measure_errors(ErrorTable.of(scored, LABEL_COL, spec.key), seed=spec.split.seed, shown=shown)
    return measure(ScoreTable.of(scored, LABEL_COL), seed=spec.split.seed)
