"""Metrics of scored rows, whatever a model's task is."""

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.metrics.binary import BinaryMetrics, measure
from lakeloop.training.metrics.regression import SHOWN, ErrorTable, RegressionMetrics, measure_errors
from lakeloop.training.metrics.score_table import ScoreTable
from lakeloop.training.metrics.slicing import UNCALIBRATED, WHOLE, Slice
from lakeloop.training.spec.model import ModelSpec

Metrics = BinaryMetrics | RegressionMetrics
Table = ScoreTable | ErrorTable


@dataclass(frozen=True)
class SliceMetrics:
    """The metrics of the rows with one value (as text; None is NULL) in one column.

    `metrics` is None where they are not defined: a class has no row, or no two labels differ.
    """

    column: str
    value: str | None
    rows: int
    metrics: Metrics | None

    def to_dict(self) -> dict[str, Any]:
        """Figures and intervals as JSON-ready values."""
        found = self.metrics
        said = {} if found is None else {"figures": found.figures(), "intervals": dict(found.intervals)}
        return {"column": self.column, "value": self.value, "rows": self.rows, **said}


@dataclass(frozen=True)
class Measurement:
    """What rows that were held out say of a model: `whole` has intervals, `slices` are ordered by column, then value.

    `uncalibrated` are the metrics of all rows by the scores before calibration, at the threshold of the folds; None
    where the model does not calibrate.
    """

    whole: Metrics
    slices: tuple[SliceMetrics, ...] = ()
    uncalibrated: BinaryMetrics | None = None


def tabulate_fold(spec: ModelSpec, scored: DataFrame) -> Table:
    """What the metrics of rows with `_label` follow from, and what a model says of them, in one pass."""
    if spec.task == "regression":
        return ErrorTable.of(scored, LABEL_COL, spec.key)
    return ScoreTable.of(scored, LABEL_COL)


def measured_fold(spec: ModelSpec, table: Table, threshold: float | None = None) -> Metrics:
    """The metrics of a table without intervals, at the threshold of a model that has decided.

    Without one they are those before any decision: at a declared threshold, else at 0.5.
    """
    if isinstance(table, ErrorTable):
        return measure_errors(table, resamples=0)
    return measure(table, resamples=0, by=spec.yardstick(spec.fold_threshold if threshold is None else threshold))


def measured_test(spec: ModelSpec, scored: DataFrame, threshold: float = 0.5) -> Measurement:
    """The metrics of all rows and of each slice, in one pass; `threshold` is that of the model.

    For a regression there are some rows to look at, the same ones each time.
    """
    uncalibrated = None
    tables: dict[Slice, ScoreTable] | dict[Slice, ErrorTable]
    if spec.task == "regression":
        some = scored.select(LABEL_COL, "prediction").orderBy(F.xxhash64(F.col(spec.key).cast("string"))).limit(SHOWN)
        shown = tuple((row[0], row[1]) for row in some.collect())
        tables = ErrorTable.per_slice(scored, LABEL_COL, spec.key, spec.slices)
        whole: Metrics = measure_errors(tables[WHOLE], seed=spec.split.seed, shown=shown)
    else:
        tables = ScoreTable.per_slice(scored, LABEL_COL, spec.slices, with_uncalibrated=True)
        if (before := tables.pop(UNCALIBRATED, None)) is not None:
            uncalibrated = measure(before, resamples=0, by=spec.yardstick(spec.fold_threshold))
        whole = measure(tables[WHOLE], seed=spec.split.seed, by=spec.yardstick(threshold))
    slices = tuple(
        _measured_slice(spec, at.column, at.value, tables[at], threshold)
        for at in sorted(tables, key=lambda at: _place(spec, at))
        if at.column is not None
    )
    return Measurement(whole, slices, uncalibrated)


def _place(spec: ModelSpec, at: Slice) -> tuple[int, bool, str]:
    column = -1 if at.column is None else spec.slices.index(at.column)
    return column, at.value is None, at.value or ""


def _measured_slice(spec: ModelSpec, column: str, value: str | None, table: Table, threshold: float) -> SliceMetrics:
    rows = int(table.rows.sum())
    metrics: Metrics | None
    try:
        if isinstance(table, ErrorTable):
            metrics = measure_errors(table, seed=spec.split.seed)
        else:
            metrics = measure(table, seed=spec.split.seed, by=spec.yardstick(threshold))
    except TrainingError:
        metrics = None
    return SliceMetrics(column, value, rows, metrics)
