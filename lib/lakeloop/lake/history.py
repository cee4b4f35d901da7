"""Slowly changing dimensions of type 2: every version of a key, with the half-open interval in which it was true."""

from collections.abc import Collection, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.lake.merge import same_keys
from lakeloop.lake.table_turns import in_turn
from lakeloop.lake.tables import Commit, Lake

VERSION_COLUMNS = ("is_current", "effective_time", "end_time")


def merge_history(
    lake: Lake,
    table: str,
    rows: DataFrame,
    *,
    keys: Sequence[str],
    sequence_by: str,
    commit: Commit,
    deleted: str | None = None,
) -> None:
    """Merge versions into a history table. Grain: one row per key and `effective_time`.

    `rows` may hold several versions of a key; keys and `sequence_by` are not NULL and (key, sequence) is unique.
    `effective_time` is `sequence_by`; `end_time` is the next version's `effective_time`, NULL for the current one. A
    version equal to the one before it (NULL equals NULL; `sequence_by` itself is not compared) opens no new interval.
    A late version is put into its place and the interval it falls into is cut. A version whose time is
    stored already is ignored, so a repeated batch changes nothing.

    `deleted` names a boolean column, which is not stored: where it is true the version before ends at that time and the
    rest of the row does not count. What was deleted once leaves a gap until its next version.

    Raises ConcurrentRunError where other writers change the table again and again meanwhile.
    """
    refuse_version_columns(table, [name for name in rows.columns if name != sequence_by])
    # The stored versions are read for the merge's own source, which Delta does not see as a conflict.
    in_turn(lake.path(table), lambda: _merge(lake, table, rows, keys, sequence_by, commit, deleted))


def _merge(
    lake: Lake, table: str, rows: DataFrame, keys: Sequence[str], sequence_by: str, commit: Commit, deleted: str | None
) -> None:
    payload = [name for name in rows.columns if name not in (*keys, sequence_by, deleted)]
    versions = rows.withColumns({
        "effective_time": F.col(sequence_by),
        "_gone": F.lit(False) if deleted is None else F.col(deleted),
        "_new": F.lit(True),
    }).drop(*([deleted] if deleted else []))  # fmt: skip
    if not lake.exists(table):
        lake.write(
            table,
            _with_intervals(versions, keys, payload),
            mode="append",
            commit=commit,
        )
        return
    stored = lake.read(table).withColumns({"_new": F.lit(False), "_gone": F.lit(False)})
    touched = stored.join(versions.select(*keys).distinct(), list(keys), "left_semi")
    arriving = versions.join(touched.select(*keys, "effective_time"), [*keys, "effective_time"], "left_anti")
    timeline = arriving.unionByName(touched.drop("is_current", "end_time"), allowMissingColumns=True)
    if deleted is not None:
        timeline = timeline.unionByName(_gaps(touched, keys), allowMissingColumns=True)
    intervals = _with_intervals(timeline, keys, payload)
    changed = F.col("stored.is_current") != F.col("new.is_current")
    with lake.committing(table, commit):
        (
            lake.handle(table)
            .alias("stored")
            .merge(intervals.alias("new"), same_keys([*keys, "effective_time"], "stored", "new"))
            .withSchemaEvolution()
            .whenMatchedUpdate(
                changed | ~F.col("stored.end_time").eqNullSafe(F.col("new.end_time")),
                {"is_current": "new.is_current", "end_time": "new.end_time"},
            )
            .whenNotMatchedInsertAll()
            .execute()
        )


def refuse_version_columns(table: str, columns: Collection[str]) -> None:
    """Raise TableError where one of the columns is called as one that a history table keeps for itself."""
    if taken := sorted(set(VERSION_COLUMNS) & set(columns)):
        raise TableError(f"{table}: the source has a column {', '.join(taken)}, which a history table keeps for itself")


def _gaps(stored: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The deletes that stored versions tell of: they ended, and none began at that time."""
    following = F.lead("effective_time").over(Window.partitionBy(*keys).orderBy("effective_time"))
    ended = stored.withColumn("_next", following).where(
        F.col("end_time").isNotNull() & ~F.col("end_time").eqNullSafe(F.col("_next"))
    )
    return ended.select(
        *(F.col(f"`{key}`") for key in keys),
        F.col("end_time").alias("effective_time"),
        F.lit(False).alias("_new"),
        F.lit(True).alias("_gone"),
    )


def _with_intervals(timeline: DataFrame, keys: Sequence[str], payload: Sequence[str]) -> DataFrame:
    """Drop new versions that repeat the one before them, then derive `end_time` and `is_current` from the order."""
    in_order = Window.partitionBy(*keys).orderBy("effective_time")
    # A delete repeats nothing, and nothing repeats it.
    content: Column = F.struct("_gone", *(F.col(f"`{name}`") for name in payload))
    repeats = F.col("_new") & F.lag(content).over(in_order).eqNullSafe(content)
    following = F.lead("effective_time").over(in_order)
    return (
        timeline.withColumn("_repeats", F.coalesce(repeats, F.lit(False)))
        .where(~F.col("_repeats"))
        .withColumn("end_time", following)
        .withColumn("is_current", following.isNull())
        .where(~F.col("_gone"))
        .drop("_new", "_repeats", "_gone")
    )
