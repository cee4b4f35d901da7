"""Joined rules: a row beside another table, or beside what all rows of its batch come to."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Annotated, Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import Declaration, propose
from lakeloop.core.errors import TableError
from lakeloop.quality.named_columns import ColumnName, ColumnNames
from lakeloop.quality.row_rules.columns import quoted, value_of

ReadTable = Callable[[str], DataFrame]


def _as_text(columns: Sequence[str]) -> Column:
    return F.concat_ws(", ", *(value_of(column).cast("string") for column in columns))


def _all_present(columns: Sequence[str]) -> Column:
    return reduce(operator.and_, (value_of(column).isNotNull() for column in columns))


def references(
    frame: DataFrame,
    columns: ColumnNames,
    table: str,
    keys: list[str] | None = None,
    *,
    read_table: ReadTable,
    marker: str,
) -> tuple[DataFrame, Column]:
    """The values exist in `keys` (default: the same names) of another table. A NULL in them holds, as in SQL.

    One join with the distinct keys. Raises TableError when the table or a key in it does not exist.
    """
    other = read_table(table)
    for key in keys or columns:
        if key not in other.columns:
            raise TableError(f"references: no column '{key}' in {table}; {propose(key, other.columns)}")
    theirs = other.select(*(value_of(key).alias(f"{marker}_{index}") for index, key in enumerate(keys or columns)))
    known = theirs.distinct().withColumn(marker, F.lit(True))
    same = reduce(
        operator.and_, (value_of(column) == F.col(f"{marker}_{index}") for index, column in enumerate(columns))
    )
    frame = frame.join(known, same, "left").drop(*theirs.columns)
    unknown = F.col(marker).isNull() & _all_present(columns)
    shown = F.concat(F.lit(f"{', '.join(columns)}: found "), _as_text(columns), F.lit(f", expected a row of {table}"))
    return frame, F.when(unknown, shown)


class Usual(Declaration):
    """What values of a column usually are, for one of the methods: two numbers, of this batch or of better days."""

    mean: float | None = None
    stddev: Annotated[float, Field(gt=0)] | None = None
    q25: float | None = None
    q75: float | None = None
    median: float | None = None
    mad: Annotated[float, Field(gt=0)] | None = None


Method = Literal["zscore", "iqr", "mad"]
NUMBERS: Mapping[Method, tuple[str, str]] = {
    "zscore": ("mean", "stddev"),
    "iqr": ("q25", "q75"),
    "mad": ("median", "mad"),
}
TIMES: Mapping[Method, float] = {"zscore": 3.0, "iqr": 1.5, "mad": 3.5}
RANKS = 10_000


def is_no_outlier(
    frame: DataFrame,
    column: ColumnName,
    baseline: Usual | Literal["batch"],
    method: Method = "mad",
    times: Annotated[float, Field(gt=0)] | None = None,
    *,
    counted: Column,
    marker: str,
) -> tuple[DataFrame, Column]:
    """A number is not too far from the usual ones. NULL holds, and so does all of a batch whose numbers do not differ.

    `zscore`: at most `times` (3) standard deviations from the mean. `iqr`: at most `times` (1.5) interquartile ranges
    outside of the quartiles (Tukey, 1977). `mad`: 0.6745 |x - median| / MAD is at most `times` (3.5; Iglewicz and
    Hoaglin, 1993). The usual numbers are declared (`baseline: {median: 10, mad: 2}`), and then each row is judged by
    itself; or taken from the batch, which reads the column once more, quartiles and medians to a rank of 1 / 10,000.
    """
    number = F.expr(f"try_cast({quoted(column)} AS double)")
    low, high = NUMBERS[method]
    if baseline == "batch":
        usual = _usual(frame.select(F.when(counted & ~F.isnan(number), number).alias("x")), method)
        renamed = usual.select(F.struct(F.col(low), F.col(high)).alias(marker))
        frame, middle, spread = frame.crossJoin(F.broadcast(renamed)), F.col(marker)[low], F.col(marker)[high]
    else:
        middle, spread = F.lit(getattr(baseline, low)), F.lit(getattr(baseline, high))
    factor = F.lit(TIMES[method] if times is None else times)
    if method == "iqr":
        bounds = middle - factor * (spread - middle), spread + factor * (spread - middle)
    else:
        reach = factor * spread / (0.6745 if method == "mad" else 1)
        bounds = middle - reach, middle + reach
    far = F.isnan(number) | (((number < bounds[0]) | (number > bounds[1])) & (bounds[0] < bounds[1]))
    usually = F.concat(F.format_string("%.6g to ", bounds[0]), F.format_string("%.6g", bounds[1]))
    found = F.concat(F.lit(f"{column}: found "), value_of(column).cast("string"), F.lit(", usual is "), usually)
    return frame, F.when(far, found)


def _usual(numbers: DataFrame, method: Method) -> DataFrame:
    """One row with what is usual among `x`."""
    if method == "zscore":
        return numbers.agg(F.avg("x").alias("mean"), F.stddev("x").alias("stddev"))
    if method == "iqr":
        return numbers.agg(*(F.percentile_approx("x", q, RANKS).alias(n) for n, q in (("q25", 0.25), ("q75", 0.75))))
    median = numbers.agg(F.percentile_approx("x", 0.5, RANKS).alias("median"))
    away = numbers.crossJoin(F.broadcast(median)).select("median", F.abs(F.col("x") - F.col("median")).alias("away"))
    return away.agg(F.first("median").alias("median"), F.percentile_approx("away", 0.5, RANKS).alias("mad"))


RULES = (references, is_no_outlier)
