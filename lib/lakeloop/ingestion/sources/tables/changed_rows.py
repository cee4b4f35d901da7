"""What a change feed says of rows, as changes that the sink applies: at most one for each key and commit."""

import json
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.changes import CHANGE, CHANGE_TYPE, DELETE, INSERT, SNAPSHOT, TRUNCATE, UPDATE
from lakeloop.ingestion.sources.protocol import POSITION
from lakeloop.ingestion.sources.tables.commit_order import CommitOrder
from lakeloop.lake.increments import BATCH, BEFORE, DELETED, ORIGIN
from lakeloop.lake.increments import CHANGE_TYPE as HOW
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import value_of

PLACE, REPEATS = "_place", "_repeats"


def with_places(rows: DataFrame, table: str, order: CommitOrder) -> DataFrame:
    """The rows of a table with the place of their commit in the order of the batch."""
    if table not in order.places:  # nothing came
        return rows.withColumn(PLACE, F.lit(None).cast("struct<record:bigint,at:bigint>"))
    first, places = order.places[table]
    known = [None if place is None else {"record": place[0], "at": place[1]} for place in places]
    # As text that Spark folds: literals would be compiled anew for each batch.
    by_version = F.from_json(F.lit(json.dumps(known)), "array<struct<record:bigint,at:bigint>>")
    return rows.withColumn(PLACE, F.get(by_version, (F.col(BATCH) - first).cast("int")))


def net_changes(rows: DataFrame, keys: Sequence[str]) -> tuple[DataFrame, Finding]:
    """One change for each key and commit, with `_change` and `_position`, and what is found of keys that come twice.

    What a row was before counts only where the commit leaves none under its key: an update of the key is so a delete of
    the old one and an insert of the new one. A row that comes beside another one of its key in the same commit has no
    order that would tell which one holds, and is quarantined as `key_repeated`.
    """
    went = F.col(HOW).isin(BEFORE, DELETED)
    same = Window.partitionBy(ORIGIN, BATCH, *(value_of(key) for key in keys))
    counted = rows.withColumns({
        "_came": F.count(F.when(~went, 1)).over(same),
        "_went": F.count(F.when(went, 1)).over(same),
    })  # fmt: skip
    net = counted.where(~went | (F.col("_came") == 0))
    operation = (
        F.when(F.col(HOW) == SNAPSHOT, SNAPSHOT)
        .when(went, DELETE)
        .when(F.col("_went") > 0, UPDATE)
        .otherwise(INSERT)
    )  # fmt: skip
    is_known = F.lit(True)
    for key in keys:
        is_known = is_known & value_of(key).isNotNull()
    changed = net.withColumns({
        CHANGE: _change(operation, F.col(BATCH), F.timestamp_micros(F.col(PLACE)["at"])),
        POSITION: F.struct(F.col(ORIGIN).alias("origin"), F.col(PLACE)["record"].alias("record")),
        REPEATS: ~went & is_known & (F.col("_came") > 1),
    })  # fmt: skip
    message = F.lit(f"{', '.join(keys)}: the key comes twice in one version, and nothing tells which row holds")
    found = Finding("key_repeated", F.when(F.col(REPEATS), message), blocking=True)
    return changed.drop(PLACE, HOW, ORIGIN, BATCH, "_came", "_went"), found


def emptied(spark: SparkSession, columns: Mapping[str, str], origin: str, record: int, at: int) -> DataFrame:
    """The one row that says that all rows went, before a table is read as a whole again."""
    nothing = (F.lit(None).cast(type_).alias(name) for name, type_ in columns.items())
    when = F.timestamp_micros(F.lit(at))
    return spark.range(1).select(
        *nothing,
        _change(F.lit(TRUNCATE), F.lit(None), when).alias(CHANGE),
        F.struct(F.lit(origin).alias("origin"), F.lit(record).cast("bigint").alias("record")).alias(POSITION),
        F.lit(False).alias(REPEATS),
    )


def _change(operation: Column, version: Column, at: Column) -> Column:
    return F.struct(
        operation.alias("operation"), version.alias("lsn"), F.lit(0).alias("sequence"), at.alias("committed_at")
    ).cast(CHANGE_TYPE)
