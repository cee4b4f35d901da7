"""Two fitted models on the same rows: how much better one is, with a confidence that knows that the rows are the same.

Rows are drawn with replacement, each with what both models say of it, so that what is hard for both moves neither: the
paired bootstrap (Efron & Tibshirani 1993, chapter 16). The gain is that of one metric, with its sign turned where less
is better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.decision.rule import threshold_of
from lakeloop.training.metrics.binary_figures import binary_figures
from lakeloop.training.metrics.names import LOWER_IS_BETTER, Metric
from lakeloop.training.metrics.regression import ErrorTable
from lakeloop.training.metrics.score_table import CELLS, score_of
from lakeloop.training.spec.model import ModelSpec

RESAMPLES, AT_A_TIME, MOST_ROWS = 1_000, 50, 50_000
Draws = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """What the new model gains over the old one: `at_least` with `confidence`, on `rows` rows that both answered for.

    The metric's value of each model is on the same rows; a positive gain is an improvement, whatever the metric.
    """

    metric: Metric
    new: float
    old: float
    at_least: float
    confidence: float
    rows: int

    @property
    def gain(self) -> float:
        """As found on the rows."""
        return self.old - self.new if self.metric in LOWER_IS_BETTER else self.new - self.old


def gain_over(spec: ModelSpec, new: PipelineModel, old: PipelineModel, rows: DataFrame, *, seed: int = 0) -> Gain:
    """Compare two models of one declaration on `rows`, which have `_label`, in one pass over them.

    Of more than 50,000 rows as many are taken for classes, by the hash of the key, so that the driver holds no more.
    """
    kept = rows.select(spec.key, LABEL_COL, *spec.features.columns)
    compared = _regression if spec.task == "regression" else _binary
    (one, other), found, count = compared(spec, new, old, kept, seed)
    gains = other - one if spec.select_by in LOWER_IS_BETTER else one - other
    gains = gains[np.isfinite(gains)]
    confidence = spec.gates.champion.confidence
    at_least = float(np.quantile(gains, 1 - confidence)) if len(gains) else float("nan")
    return Gain(spec.select_by, *found, at_least, confidence, count)


def _regression(
    spec: ModelSpec, new: PipelineModel, old: PipelineModel, rows: DataFrame, seed: int
) -> tuple[tuple[Draws, Draws], tuple[float, float], int]:
    # Cells are those of the key, so both tables have the same rows in each.
    tables = [ErrorTable.of(model.transform(rows), LABEL_COL, spec.key) for model in (new, old)]
    cells = len(tables[0].rows)
    times = np.random.default_rng(seed).multinomial(cells, np.full(cells, 1 / cells), size=RESAMPLES)
    one, other = (table.figures(times.astype(np.float64))[spec.select_by] for table in tables)
    found, before = (float(table.figures(np.ones((1, cells)))[spec.select_by][0]) for table in tables)
    return (one, other), (found, before), int(tables[0].rows.sum())


def _binary(
    spec: ModelSpec, new: PipelineModel, old: PipelineModel, rows: DataFrame, seed: int
) -> tuple[tuple[Draws, Draws], tuple[float, float], int]:
    some = rows.orderBy(F.xxhash64(F.col(spec.key).cast("string")), spec.key).limit(MOST_ROWS)
    answered = new.transform(some)
    answered = answered.select(*some.columns, _cell(answered).alias("_new"))
    both = old.transform(answered)
    pairs = both.select(F.col(LABEL_COL).cast("int").alias("label"), "_new", _cell(both).alias("_old"))
    counted = pairs.groupBy("label", "_new", "_old").count().toPandas()
    rows_of, label = counted["count"].to_numpy(np.int64), counted["label"].to_numpy(np.int64)
    drawn = [rows_of[None, :], *_drawn(rows_of, label, seed)]
    one, other = (
        _figures(spec, threshold_of(model), counted[column].to_numpy(np.int64), label, drawn)
        for column, model in (("_new", new), ("_old", old))
    )
    return (one[1:], other[1:]), (float(one[0]), float(other[0])), int(rows_of.sum())


def _drawn(rows_of: Counts, label: Counts, seed: int) -> Iterator[Counts]:
    """Rows drawn with replacement within each class, as counts of each kind of row; a few draws at a time."""
    draw, drawn = np.random.default_rng(seed), np.zeros((AT_A_TIME, len(rows_of)), dtype=np.int64)
    for _ in range(RESAMPLES // AT_A_TIME):
        for of_class in (label == 1, label == 0):
            kinds = rows_of[of_class]
            drawn[:, of_class] = draw.multinomial(kinds.sum(), kinds / kinds.sum(), size=AT_A_TIME)
        yield drawn.copy()


def _figures(spec: ModelSpec, threshold: float, cell: Counts, label: Counts, drawn: Sequence[Counts]) -> Draws:
    """The metric of each draw, for kinds of rows that have a score cell and a label."""
    order = np.argsort(-cell, kind="stable")
    used, first = np.unique(-cell[order], return_index=True)
    by, is_positive = spec.yardstick(threshold), label[order]
    values = []
    for times in drawn:
        ordered = times[:, order]
        pos, neg = (np.add.reduceat(ordered * chosen, first, axis=1) for chosen in (is_positive, 1 - is_positive))
        found = dict[Metric, Draws](binary_figures((-used).astype(np.intp), pos, neg, by).items())
        values.append(found[spec.select_by])
    return np.concatenate(values)


def _cell(scored: DataFrame) -> Column:
    return F.ceil(score_of(scored) * CELLS).cast("int")
