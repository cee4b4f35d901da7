"""Rows that are counted once as a whole and once more in each slice that they belong to."""

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

MAX_VALUES = 50


class Slice(NamedTuple):
    """The rows with one value, as text, in one column; NULL is a value. All rows are the slice without a column."""

    column: str | None
    value: str | None


WHOLE = Slice(None, None)
UNCALIBRATED = Slice(None, "uncalibrated")  # all rows again, by the scores that they had before calibration


def exploded(columns: Sequence[str]) -> list[Column]:
    """The column `slice` (a struct of column and value) that repeats a row for the whole and for each of `columns`."""
    if not columns:
        return []
    none = F.lit(None).cast("string")
    pairs = [F.struct(F.lit(name).alias("column"), F.col(name).cast("string").alias("value")) for name in columns]
    return [F.explode(F.array(F.struct(none.alias("column"), none.alias("value")), *pairs)).alias("slice")]
