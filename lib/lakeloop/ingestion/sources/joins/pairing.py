"""Which rows of two tables belong together, batch by batch, so that no pair comes twice and none is left out.

With the new rows ΔL and ΔR, the new pairs are ΔL with all of R, and the rest of L with ΔR. A frame here has a side's
keys in `_key_0` …, its event time in `_time` (microseconds; NULL where there is none) and the columns that it gives in
the struct `_left` or `_right`. A NULL in a key or a time matches nothing.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs.join import Origin, SideName
from lakeloop.ingestion.sources.joins.watermark import Arrived, Progress, Reach
from lakeloop.quality.row_rules.columns import value_of

TIME, PARTNERS = "_time", "_partners"
# Of pairs: the right row's time; and when the time of the left row was up, where the watermark had passed that before.
RIGHT_TIME, UP_SINCE = "_right_time", "_up_since"


@dataclass(frozen=True)
class Rows:
    """One side as a batch sees it: what is `new`, and what of the rest may still matter, `old`."""

    new: DataFrame
    old: DataFrame

    @property
    def all(self) -> DataFrame:
        """Both together."""
        return self.new.unionByName(self.old)


@dataclass(frozen=True)
class Measured:
    """Left rows whose time was up with a batch, how many of them had a partner, and the most partners of one."""

    rows: int
    matched: int
    most: int


def side_frame(
    rows: DataFrame, side: SideName, keys: Sequence[str], event_time: str, result: Mapping[str, Origin]
) -> DataFrame:
    """Rows of a table in the form of this module."""
    given = [value_of(origin.column).alias(new) for new, origin in result.items() if origin.side == side]
    return rows.select(
        *(value_of(key).alias(f"_key_{index}") for index, key in enumerate(keys)),
        F.unix_micros(value_of(event_time).cast("timestamp")).alias(TIME),
        F.struct(*given).alias(f"_{side}"),
    )


def arrived(rows: DataFrame, now: int) -> Arrived:
    """What came, in one look. Times that the clock has not reached do not count as the newest."""
    time = F.col(TIME)
    found = rows.agg(
        F.count("*").alias("rows"), F.min(time).alias("first"), F.max(time).alias("last"),
        F.max(F.when(time <= now, time)).alias("newest"),
    ).first()  # fmt: skip
    assert found is not None
    return Arrived(**found.asDict())


def joined(
    left: Rows, right: Rows, reach: Reach, progress: Progress, *, how: Literal["inner", "left"], counted: bool
) -> DataFrame:
    """What a batch gives: one row per new pair and, for `left`, one per left row that is alone when its time is up.

    A left join has said what it says of a left row once that row's time is up, so a later pair of it carries
    `UP_SINCE`. Columns: `_left`, `_right` (NULL of a row alone), `RIGHT_TIME`, `UP_SINCE` and, where `counted`,
    `PARTNERS`: the right rows that the left row has so far.
    """

    def ready(rows: DataFrame) -> DataFrame:
        return with_partners(rows, right.all, reach) if counted else rows

    told = [RIGHT_TIME, UP_SINCE, *([PARTNERS] if counted else [])]
    fresh = _paired(ready(left.new), right.all, reach).withColumn(UP_SINCE, F.lit(None).cast("bigint"))
    further = _paired(ready(left.old), right.new, reach).withColumn(UP_SINCE, _up_since(reach, progress, how))
    pairs = fresh.unionByName(further).select("_left", "_right", *told)
    if how == "inner":
        return pairs
    alone = decided(left, reach, progress).join(_renamed(right.all), _belong(left.new, reach), "left_anti")
    nothing = {name: F.lit(None).cast(pairs.schema[name].dataType) for name in ("_right", RIGHT_TIME, UP_SINCE)}
    return pairs.unionByName(
        alone.withColumns(nothing | ({PARTNERS: F.lit(0).cast("bigint")} if counted else {})).select(*pairs.columns)
    )


def decided(left: Rows, reach: Reach, progress: Progress) -> DataFrame:
    """Left rows of which this batch says the last word, each in exactly one batch.

    Those whose time is up, as the watermark has passed all that could match them, and new ones that match nothing ever:
    a key or the time is NULL.
    """
    absent = reduce(operator.or_, (F.col(name).isNull() for name in (*_keys(left.new), TIME)))
    if progress.watermark is None:
        return left.new.where(absent)
    is_up = F.col(TIME) < progress.watermark - reach.after
    settled = left.new.where(absent | is_up)
    waited = is_up & ~absent
    if progress.before is not None:
        waited = waited & (F.col(TIME) >= progress.before - reach.after)
    return settled.unionByName(left.old.where(waited))


def with_partners(left: DataFrame, right: DataFrame, reach: Reach) -> DataFrame:
    """Each left row with the number of right rows that belong to it, in one shuffle and without making the pairs."""
    keys = _keys(left)
    there = reduce(operator.and_, (F.col(name).isNotNull() for name in (*keys, TIME)))
    others = right.where(there).select(*keys, TIME, F.lit(1).alias("_counts"))
    both = left.withColumn("_counts", F.lit(0)).unionByName(others, allowMissingColumns=True)
    span = Window.partitionBy(*keys).orderBy(TIME).rangeBetween(-reach.before, reach.after)
    return both.withColumn(PARTNERS, F.sum("_counts").over(span)).where("_counts = 0").drop("_counts")


def measure(left: Rows, right: Rows, reach: Reach, progress: Progress) -> Measured:
    """How the left rows fared of which this batch says the last word."""
    found = with_partners(decided(left, reach, progress), right.all, reach).agg(
        F.count("*"), F.count(F.when(F.col(PARTNERS) > 0, 1)), F.coalesce(F.max(PARTNERS), F.lit(0))
    ).first()  # fmt: skip
    assert found is not None
    return Measured(*found)


def _paired(left: DataFrame, right: DataFrame, reach: Reach) -> DataFrame:
    return left.join(_renamed(right), _belong(left, reach), "inner")


def _belong(left: DataFrame, reach: Reach) -> Column:
    same = [F.col(key) == F.col(f"_right{key}") for key in _keys(left)]
    near = F.col(RIGHT_TIME).between(F.col(TIME) - reach.before, F.col(TIME) + reach.after)
    return reduce(operator.and_, [*same, near])


def _renamed(right: DataFrame) -> DataFrame:
    return right.withColumnsRenamed({name: f"_right{name}" for name in (*_keys(right), TIME)})


def _up_since(reach: Reach, progress: Progress, how: Literal["inner", "left"]) -> Column:
    """The end of the left row's time where a batch before this one had said the last word of it."""
    end = F.col(TIME) + reach.after
    if how == "inner" or progress.before is None:
        return F.lit(None).cast("bigint")
    return F.when(end < progress.before, end)


def _keys(frame: DataFrame) -> list[str]:
    return [name for name in frame.columns if name.startswith("_key_")]
