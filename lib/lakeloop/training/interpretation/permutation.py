"""Permutation importance: how much worse a model gets when a column tells nothing.

Breiman, "Random Forests" (2001), section 10; model-agnostic as in Fisher, Rudin and Dominici (2019). A column that is
told by another one as well seems to matter less than it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.interpretation.what_if import RANK, SCORE, mixed, sample_of, scored
from lakeloop.training.metrics.measuring import measured_fold
from lakeloop.training.metrics.names import LOWER_IS_BETTER
from lakeloop.training.metrics.regression import ErrorTable
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.spec.model import ModelSpec

ROWS, REPEATS = 5_000, 5


@dataclass(frozen=True)
class Permuted:
    """A source column: how much worse `select_by` gets without it, as mean and sample deviation over the repeats.

    Both are in units of the metric, positive where the model gets worse, for metrics that are better low as well.
    """

    column: str
    loss: float
    deviation: float


def permutation_importance(
    spec: ModelSpec, model: PipelineModel, rows: DataFrame, *, count: int = ROWS, repeats: int = REPEATS, seed: int = 0
) -> tuple[Permuted, ...]:
    """How much each source column matters on at most `count` of `rows`, the most first.

    `rows` has key, features and `_label`; those that the model did not learn from say more. Each time the rows are in
    another order by chance, and a column is that of the next row. All is scored in one pass; at most
    (columns * `repeats` + 1) * `count` scores reach the driver. Raises TrainingError where there is no row.
    """
    columns = spec.features.columns
    drawn = sample_of(spec, rows, count, seed, keep=[F.col(LABEL_COL)]).persist()
    try:
        total = drawn.count()
        step = np.random.default_rng(seed).permutation(np.arange(1, total))[:repeats] if total > 1 else np.zeros(1)
        asked = [(-1, 0), *((index, int(shift)) for index in range(len(columns)) for shift in step)]
        answers = scored(spec, model, _questions(drawn, columns, total, asked)).select("_asked", LABEL_COL, SCORE)
        said = answers.toPandas().groupby("_asked")
    finally:
        drawn.unpersist()
    of = [_metric(spec, said.get_group(number)) for number in range(len(asked))]
    sign = -1 if spec.select_by in LOWER_IS_BETTER else 1
    losses: list[list[float]] = [[] for _ in columns]
    for (index, _), value in zip(asked[1:], of[1:], strict=True):
        losses[index].append(sign * (of[0] - value))
    found = [
        Permuted(name, fmean(loss), stdev(loss) if len(loss) > 1 else 0.0)
        for name, loss in zip(columns, losses, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: -each.loss))


def _questions(drawn: DataFrame, columns: Sequence[str], total: int, asked: Sequence[tuple[int, int]]) -> DataFrame:
    """The rows once per question, with one column taken from the row that many ranks further, around the end."""
    each = [
        F.struct(F.lit(number).alias("number"), F.lit(column).alias("column"), F.lit(shift).alias("shift"))
        for number, (column, shift) in enumerate(asked)
    ]
    one = drawn.select(RANK, LABEL_COL, F.struct(*columns).alias("one"), F.explode(F.array(*each)).alias("_question"))
    other = drawn.select(F.col(RANK).alias("_other_rank"), F.struct(*columns).alias("other"))
    paired = one.join(other, F.pmod(F.col(RANK) + F.col("_question.shift"), F.lit(total)) == F.col("_other_rank"))
    number = {name: index for index, name in enumerate(columns)}
    return paired.select(
        F.col("_question.number").alias("_asked"),
        LABEL_COL,
        *mixed(columns, lambda name: F.col("_question.column") != number[name], "one", "other"),
    )


def _metric(spec: ModelSpec, answers: pd.DataFrame) -> float:
    labels, scores = answers[LABEL_COL].to_numpy(), answers[SCORE].to_numpy()
    table = _errors(labels, scores) if spec.task == "regression" else _cells(labels, scores)
    return measured_fold(spec, table).figures()[spec.select_by]


def _cells(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> ScoreTable:
    cells = np.ceil(scores * CELLS).astype(np.int64)
    positives, negatives = (np.bincount(cells[labels == each], minlength=CELLS + 1) for each in (1.0, 0.0))
    return ScoreTable(positives=positives, negatives=negatives)


def _errors(labels: NDArray[np.float64], predictions: NDArray[np.float64]) -> ErrorTable:
    """Each row as a cell of its own."""
    errors, nonzero = predictions - labels, labels != 0
    shares = np.divide(np.abs(errors), np.abs(labels), out=np.zeros_like(labels), where=nonzero)
    return ErrorTable(
        rows=np.ones_like(labels),
        means=labels,
        deviations=np.zeros_like(labels),
        squares=errors**2,
        absolute=np.abs(errors),
        relative=shares,
        nonzero=nonzero.astype(np.float64),
    )
