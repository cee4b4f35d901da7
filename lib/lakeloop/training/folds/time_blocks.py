"""Rows cut into blocks by time, of sizes that are exact, without a sort.

The value at a rank is found as one finds a word in a dictionary: rows are counted in 4,096 cells from the least to the
greatest value, then in 4,096 cells of the cell that holds the rank, until a cell is one value. Four passes at most
for the microseconds of a decade, whatever the number of rows; no more than the counts come to the driver.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, IntegralType, TimestampNTZType, TimestampType

from lakeloop.core.errors import TrainingError

CELLS = 4096


def assign_time_blocks(df: DataFrame, time: str, count: int, *, block_col: str = "block") -> DataFrame:
    """Add `block_col` (int, 0 to `count` - 1) in ascending order of `time`, NULL where that is NULL.

    Blocks have the same number of rows, give or take one, as far as rows of one time, which are never parted, allow:
    they go to the later block. `time` is a date, a timestamp or a whole number. Raises TrainingError for another type.
    """
    value = _whole_number(df, time)
    rows = df.agg(F.count(value)).collect()[0][0]
    ranks = [-(-rows * block // count) for block in range(1, count)]
    cuts = values_at(df, value, [rank for rank in ranks if rank < rows])
    block = sum(((value >= cut).cast("int") for cut in cuts), F.lit(0))
    return df.withColumn(block_col, F.when(value.isNotNull(), block).cast("int"))


def split_by_time(df: DataFrame, time: str, test: float) -> tuple[DataFrame, DataFrame]:
    """Split into (train, test): the last `n * test` rows, rounded half up, are the test.

    Rows of one time are on one side, the test's, and rows without a time train. `time` is as in `assign_time_blocks`.
    """
    value = _whole_number(df, time)
    rows = df.agg(F.count(value)).collect()[0][0]
    test_rows = int(rows * test + 0.5)
    if not test_rows:
        return df, df.limit(0)
    (cut,) = values_at(df, value, [rows - test_rows])
    is_test = F.coalesce(value >= cut, F.lit(False))
    return df.where(~is_test), df.where(is_test)


@dataclass
class _Place:
    """Where the value at a rank is: from `low` to before `high`; `before` rows have less than `low`."""

    low: int
    high: int
    before: int


def values_at(df: DataFrame, value: Column, ranks: Sequence[int]) -> list[int]:
    """The values at these ranks, from 0, of the rows in ascending order of a bigint; a NULL has no rank."""
    if not ranks:
        return []
    least, greatest = df.agg(F.min(value), F.max(value)).collect()[0]
    places = [_Place(least, greatest + 1, 0) for _ in ranks]
    while any(place.high - place.low > 1 for place in places):
        spans = sorted({(place.low, place.high) for place in places if place.high - place.low > 1})
        counts = _count(df, value, spans)
        for place, rank in zip(places, ranks, strict=True):
            if place.high - place.low > 1:
                _narrow(place, rank, counts[place.low, place.high])
    return [place.low for place in places]


def _count(df: DataFrame, value: Column, spans: Sequence[tuple[int, int]]) -> dict[tuple[int, int], dict[int, int]]:
    """Rows by span and cell."""
    cells = [
        F.when(
            (value >= low) & (value < high),
            F.struct(F.lit(at).alias("span"), F.floor((value - low) / _width(low, high)).alias("cell")),
        )
        for at, (low, high) in enumerate(spans)
    ]
    found = df.select(F.explode(F.array_compact(F.array(*cells))).alias("at")).groupBy("at.span", "at.cell").count()
    counts: dict[tuple[int, int], dict[int, int]] = {span: {} for span in spans}
    for row in found.collect():
        counts[spans[row["span"]]][row["cell"]] = row["count"]
    return counts


def _narrow(place: _Place, rank: int, counts: dict[int, int]) -> None:
    """Move a place into the cell that holds the rank."""
    width = _width(place.low, place.high)
    for cell in sorted(counts):
        if place.before + counts[cell] > rank:
            place.low, place.high = place.low + cell * width, min(place.low + (cell + 1) * width, place.high)
            return
        place.before += counts[cell]


def _width(low: int, high: int) -> int:
    return -(-(high - low) // CELLS)


def _whole_number(df: DataFrame, time: str) -> Column:
    """Days, microseconds or the number itself, as a bigint."""
    kind = df.schema[time].dataType
    if isinstance(kind, DateType):
        return F.unix_date(F.col(time)).cast("long")
    if isinstance(kind, TimestampType | TimestampNTZType):
        return F.unix_micros(F.col(time).cast("timestamp"))
    if isinstance(kind, IntegralType):
        return F.col(time).cast("long")
    raise TrainingError(
        f"column '{time}' is {kind.simpleString()}, which has no order in time; cast it to a date or a timestamp"
    )
