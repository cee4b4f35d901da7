"""Partial dependence: the mean answer of a model where all rows had one value in a column (Friedman, 2001)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NumericType

from lakeloop.training.interpretation.what_if import SCORE, sample_of, scored
from lakeloop.training.spec.model import ModelSpec

ROWS, STEPS = 500, 12


@dataclass(frozen=True)
class Dependence:
    """A source column and the mean score at some of its values, in order; a missing value, where there is one, is last.

    `values` are numbers for a numeric column, else texts; None stands for a missing value. `low` and `high` are the
    10th and 90th percentile of the scores.
    """

    column: str
    is_numeric: bool
    values: tuple[float | str | None, ...]
    means: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def partial_dependence(
    spec: ModelSpec,
    model: PipelineModel,
    rows: DataFrame,
    columns: Sequence[str],
    *,
    count: int = ROWS,
    steps: int = STEPS,
    seed: int = 0,
) -> tuple[Dependence, ...]:
    """What the mean answer over at most `count` of `rows` is at up to `steps` values of each of `columns`, in one pass.

    Numbers are at evenly spaced quantiles of the rows, categories the most frequent ones. Values that never occur
    together with the rest of a row are asked about as well: where columns go together, read it with care.
    Raises TrainingError where there is no row.
    """
    drawn = sample_of(spec, rows, count, seed).persist()
    try:
        seen = drawn.select(*columns).toPandas()
        types = {name: drawn.schema[name].dataType for name in columns}
        grid = {name: _grid(seen[name], _is_number(types[name]), steps) for name in columns}
        found = scored(spec, model, _questions(spec, drawn, grid, types)).groupBy("_column", "_at")
        at = {
            (row[0], row[1]): row[2:]
            for row in found.agg(F.avg(SCORE), *(F.percentile(SCORE, share) for share in (0.1, 0.9))).collect()
        }
    finally:
        drawn.unpersist()
    return tuple(
        Dependence(
            name,
            _is_number(types[name]),
            grid[name],
            *zip(*(at[number, place] for place in range(len(grid[name]))), strict=True),
        )
        for number, name in enumerate(columns)
    )


def _is_number(of: DataType) -> bool:
    return isinstance(of, NumericType)


def _grid(seen: "pd.Series[Any]", is_number: bool, steps: int) -> tuple[Any, ...]:
    """Values to ask about, in order: quantiles of numbers, else the most frequent ones; None where one is missing."""
    there = seen.dropna()
    if is_number:
        shares = np.linspace(0, 1, steps)
        values = sorted(set(there.astype(float).quantile(shares, interpolation="nearest")))
    else:
        values = sorted(there.value_counts().index[:steps])
    return (*values, *([None] if len(there) < len(seen) or not values else []))


def _questions(
    spec: ModelSpec, drawn: DataFrame, grid: Mapping[str, Sequence[Any]], types: Mapping[str, DataType]
) -> DataFrame:
    """Each row once per column and value, with the value in the column."""
    asked = [(number, at) for number, values in enumerate(grid.values()) for at in range(len(values))]
    questions = F.array(*(F.struct(F.lit(column).alias("column"), F.lit(at).alias("at")) for column, at in asked))
    each = drawn.select("*", F.explode(questions).alias("_question"))
    number = {name: index for index, name in enumerate(grid)}

    def answered(name: str) -> Column:
        if name not in grid:
            return F.col(f"`{name}`")
        values = F.array(*(F.lit(value).cast(types[name]) for value in grid[name]))
        value = F.element_at(values, F.col("_question.at") + 1)
        return F.when(F.col("_question.column") == number[name], value).otherwise(F.col(f"`{name}`")).alias(name)

    return each.select(
        F.col("_question.column").alias("_column"),
        F.col("_question.at").alias("_at"),
        *(answered(name) for name in spec.features.columns),
    )
