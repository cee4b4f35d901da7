"""What came to a table between two marks: its new rows, or how its rows changed.

A mark says where a table stands, in JSON values: a view by the last accepted batch of its record, a table with rows of
its own by its version. Reading between the same two marks gives the same rows each time. A table outside of the lake is
read by its `path`; its name is what people are told then.
"""

import json
from dataclasses import dataclass
from typing import Any

import deltalake
from deltalake.exceptions import DeltaError
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakeloop.core.errors import SourceError, TableError
from lakeloop.lake.tables import Lake
from lakeloop.lake.version_range import FEED, VERSION, VersionRange, is_on
from lakeloop.lake.views import View, find_view

Mark = dict[str, Any]

# Beside the data columns, of every row that is read here:
ORIGIN = "_origin"  # string: the table that records the row; of a view the table in bronze
BATCH = "_batch_id"  # bigint: the batch of the record that brought it; of a table with rows of its own the version
CHANGE_TYPE = "_change_type"  # of changes alone: one of those below
INSERTED, BEFORE, AFTER, DELETED = "insert", "update_preimage", "update_postimage", "delete"


def mark_of(lake: Lake, table: str, path: str | None = None) -> Mark:
    """Where a table stands now.

    `at` is the last accepted batch or the version, `of` the table that records the rows, `id` tells it from one that is
    made anew under its name, `columns` has the type of each data column. `feed` says whether Delta keeps the changes of
    rows from here on; it is None for a view, which only grows. Raises TableError when the table does not exist.
    """
    stored = _stored(lake, table, path)
    schema = StructType.fromJson(json.loads(stored.delta.schema().to_json()))
    if stored.view is None:
        columns = {field.name: field.dataType.simpleString() for field in schema}
        at, feed = stored.delta.version(), is_on(FEED, stored.delta.metadata().configuration)
        return {"at": at, "of": stored.origin, "id": stored.id, "columns": columns, "feed": feed}
    columns = {field.name: field.dataType.simpleString() for field in schema if field.name[0] != "_"}
    return {"at": stored.view.accepted, "of": stored.origin, "id": stored.id, "columns": columns, "feed": None}


def has_moved(since: Mark | None, until: Mark) -> bool:
    """Whether anything may have come between two marks."""
    return since is None or (since["at"], since["id"]) != (until["at"], until["id"])


def at_most(since: Mark | None, until: Mark, number: int) -> Mark:
    """The mark of at most so many batches or versions after `since`; a table with rows of its own begins as a whole."""
    if since is None and until["feed"] is not None:
        return until
    return until | {"at": min(until["at"], (since["at"] if since else -1) + number)}


def added(lake: Lake, table: str, since: Mark | None, until: Mark, path: str | None = None) -> DataFrame:
    """The good rows that came after `since` up to `until`, None for all up to `until`; with `_origin` and `_batch_id`.

    Of a table with a change feed these are the rows that were inserted and the new states of those that were updated;
    that rows went is not told (`changes` does). The columns are those of `until`; one that a row's batch did not have
    is NULL. Raises TableError for a table that does not exist, SourceError where the rows cannot be had: versions that
    are gone, a table that was made anew or put back, rows that were changed without a change feed.
    """
    stored = _continued(lake, table, path, since, until)
    if stored.view is not None:
        rows = lake.spark.read.format("delta").load(stored.path)
        upto = (F.col("_verdict") == "good") & (F.col(BATCH) <= until["at"])
        return _placed(rows.where(upto if since is None else upto & (F.col(BATCH) > since["at"])), until, F.col(BATCH))
    if since is None:
        return _placed(_whole(lake, stored, until), until, F.lit(until["at"]).cast("bigint"))
    between = VersionRange.between(table, stored.path, since, until)
    if between.is_recorded:
        return _placed(between.feed(lake.spark).where(F.col(CHANGE_TYPE).isin(INSERTED, AFTER)), until, F.col(VERSION))
    return _placed(between.added_rows(lake.spark), until, F.col(VERSION))


def changes(lake: Lake, table: str, since: Mark, until: Mark, path: str | None = None) -> DataFrame:
    """What happened to rows after `since` up to `until`, as `added` with `_change_type` beside it; raises as it does.

    An updated row comes twice, as it was and as it is. The table has rows of its own: a view only grows.
    """
    stored = _continued(lake, table, path, since, until)
    between = VersionRange.between(table, stored.path, since, until)
    if between.is_recorded:
        return _placed(between.feed(lake.spark), until, F.col(VERSION), CHANGE_TYPE)
    rows = between.added_rows(lake.spark).withColumn(CHANGE_TYPE, F.lit(INSERTED))
    return _placed(rows, until, F.col(VERSION), CHANGE_TYPE)


def versions_between(
    lake: Lake, table: str, since: Mark | None, until: Mark, path: str | None = None
) -> VersionRange | None:
    """What the versions between two marks brought; None for a view, and for a table that is read as a whole.

    Raises as `added` does, so that a plan can ask before it is written.
    """
    stored = _continued(lake, table, path, since, until)
    if stored.view is not None or since is None:
        return None
    return VersionRange.between(table, stored.path, since, until)


@dataclass(frozen=True)
class _Stored:
    """The table that has the rows: itself or, of a view, its record."""

    path: str
    origin: str
    delta: deltalake.DeltaTable
    view: View | None

    @property
    def id(self) -> str:
        """What Delta called the table when it was created."""
        return str(self.delta.metadata().id)


def _stored(lake: Lake, table: str, path: str | None) -> _Stored:
    folder = lake.path(table) if path is None else path
    if deltalake.DeltaTable.is_deltatable(folder):
        return _Stored(folder, table, _opened(table, folder), None)
    if path is not None or (view := find_view(folder)) is None:
        remedy = "run the pipeline that writes it first" if path is None else "name the folder that has its _delta_log"
        raise TableError(f"the table {table} does not exist in {lake.root if path is None else path}; {remedy}")
    record = lake.path(view.record_table)
    if not deltalake.DeltaTable.is_deltatable(record):
        raise TableError(f"{table} shows rows of {view.record_table}, which is gone; run its pipeline again")
    return _Stored(record, view.record_table, _opened(table, record), view)


def _opened(table: str, folder: str) -> deltalake.DeltaTable:
    try:
        return deltalake.DeltaTable(folder)
    except DeltaError as error:
        raise TableError(f"{table} cannot be read: {str(error).splitlines()[0]}; run `lakeloop repair`") from error


def _continued(lake: Lake, table: str, path: str | None, since: Mark | None, until: Mark) -> _Stored:
    """The table of both marks. Raises SourceError where another one stands in its place."""
    stored = _stored(lake, table, path)
    for mark in (since, until):
        if mark is not None and (mark["id"], mark["feed"] is None) != (stored.id, stored.view is not None):
            raise SourceError(
                f"{table} was dropped and made anew since it was read: {stored.origin} has the id {stored.id} now, not "
                f"{mark['id']}; `lakeloop stream reset` lets the pipeline that reads it begin with the new one"
            )
    if since is not None and since["at"] > until["at"]:
        raise SourceError(
            f"{table} stands at {until['at']}, but was read up to {since['at']} before: it was put back to an older "
            "state; `lakeloop stream reset` lets the pipeline that reads it begin anew"
        )
    return stored


def _whole(lake: Lake, stored: _Stored, until: Mark) -> DataFrame:
    try:
        return lake.spark.read.format("delta").option("versionAsOf", until["at"]).load(stored.path)
    except AnalysisException as error:
        raise SourceError(
            f"{stored.origin} has no version {until['at']} any more; `lakeloop stream reset` lets the pipeline that "
            "reads it begin with the present one"
        ) from error


def _placed(rows: DataFrame, until: Mark, batch: Column, *further: str) -> DataFrame:
    data = (f"`{name}`" for name in until["columns"])
    return rows.select(*data, F.lit(until["of"]).alias(ORIGIN), batch.alias(BATCH), *further)
