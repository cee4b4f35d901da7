"""Versions of a key in one row: what an as-of look-up joins, so that no event can match twice.

For tables that describe things: every version of a key is held in one array of its row, so a key with more than some
ten thousand versions (a log, a series of measurements) belongs into a query instead.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.enrichment.spec import AsOf
from lakeloop.quality.row_rules.columns import value_of

INTERVAL = ("effective_time", "end_time")


def start_column(as_of: AsOf) -> str:
    """The column of the table that says since when a row holds."""
    return as_of.time or INTERVAL[0]


def gather_versions(table: DataFrame, as_of: AsOf, keys: Sequence[Column], columns: Sequence[Column]) -> DataFrame:
    """One row per key with `_found`, the array of its versions by time; a row whose time is NULL never held.

    A version holds until `end_time`, or, where `as_of` names a `time`, until the next one begins. Versions of one time
    are in the order of their looked-up values, first declared column first, NULL lowest; what ties even there is equal.
    """
    start = value_of(start_column(as_of))
    end = F.lit(None).cast(table.schema[as_of.time].dataType) if as_of.time else value_of(INTERVAL[1])
    version = F.struct(start.alias("start"), *columns, end.alias("end"))
    versions = table.where(start.isNotNull()).select(*keys, version.alias("_found"))
    by = [name for name in versions.columns if name != "_found"]
    return versions.groupBy(*by).agg(F.sort_array(F.collect_list("_found")).alias("_found"))


def version_at(versions: Column, moment: Column) -> Column:
    """The last version with `start <= moment < end` (NULL end: open); NULL where there is none or `moment` is NULL."""
    holding = F.filter(
        versions, lambda each: (each["start"] <= moment) & (each["end"].isNull() | (moment < each["end"]))
    )
    return F.try_element_at(holding, F.lit(-1))
