"""Figures of a batch: one aggregate over its rows and one row to the driver, however many figures are asked for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, FloatType, IntegralType

from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.quality.row_rules.columns import value_of

Take = Callable[[Column], Column]


@dataclass(frozen=True)
class Figure:
    """One figure of one column; `take` None asks for the most frequent value, of several the smallest."""

    column: str
    take: Take | None


def is_counted(conformed: Conformed) -> Column:
    """True for the rows that figures are taken of: those not dropped and without a finding so far."""
    return ~conformed.is_dropped & ~conformed.is_bad


def number_of(column: str, source: DataType) -> Column:
    """A value as figures take it: exact for integers, NULL for NaN and the infinities."""
    if isinstance(source, IntegralType):
        return value_of(column).cast("decimal(20,0)")
    if isinstance(source, DoubleType | FloatType):
        return F.when(F.abs(value_of(column)) < math.inf, value_of(column))
    return value_of(column)


def mean(number: Column) -> Column:
    """The arithmetic mean; NULL where the sum is beyond what a decimal holds."""
    return F.try_avg(number)


def median(number: Column) -> Column:
    """The exact median: of an even number of values the mean of the two in the middle."""
    return F.percentile(number, F.lit(0.5))


def mode(count: Column, value: Column) -> Column:
    """Of values with their counts: the value of the greatest count, of several the smallest."""
    return F.min(F.when(value.isNotNull(), F.struct((-count).alias("rank"), value.alias("value"))))


def in_type(figure: str, target: DataType) -> Column:
    """The figure in a column of this name as a value of another type: integers are rounded half up, decimals too."""
    rounded = f"round({figure})" if isinstance(target, IntegralType) else figure
    return F.expr(f"try_cast({rounded} AS {target.simpleString()})")


def figures_of(rows: DataFrame, figures: Sequence[Figure]) -> DataFrame:
    """One row with a column `_0`, `_1`, … per figure; NULL where there is no value at all.

    For the most frequent values each row is counted once per such column, and once more for all other figures.
    """
    modes = [index for index, figure in enumerate(figures) if figure.take is None]
    takes = {index: figure.take for index, figure in enumerate(figures) if figure.take is not None}
    types = {index: rows.schema[figure.column].dataType for index, figure in enumerate(figures)}
    inputs = rows.select(
        *(
            (number_of(f.column, types[i]) if i in takes else value_of(f.column)).alias(f"_{i}")
            for i, f in enumerate(figures)
        )
    )
    taken = [take(F.col(f"_{index}")).alias(f"_{index}") for index, take in takes.items()]
    if not modes:
        return inputs.agg(*taken)
    schema = inputs.schema

    def alone(kept: Sequence[int]) -> Column:
        values = (
            F.col(f"_{i}") if i in kept else F.lit(None).cast(schema[f"_{i}"].dataType) for i in range(len(figures))
        )
        return F.struct(F.lit(kept[0]).alias("_of"), *(value.alias(f"_{i}") for i, value in enumerate(values)))

    views = [*(alone([index]) for index in modes), *([alone(list(takes))] if takes else [])]
    values = inputs.select(F.explode(F.array(*views)).alias("_view")).select("_view.*")
    counted = values.groupBy("_of", *(f"_{index}" for index in modes)).agg(F.count(F.lit(1)).alias("_count"), *taken)
    return counted.agg(
        *(mode(F.col("_count"), F.col(f"_{index}"))["value"].alias(f"_{index}") for index in modes),
        *(F.max(f"_{index}").alias(f"_{index}") for index in takes),
    )
