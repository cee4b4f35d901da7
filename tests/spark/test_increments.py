"""Rows between two marks: of views, of tables that only grow, and of tables that keep how their rows change."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import SourceError
from lakeloop.lake.increments import added, changes, mark_of
from lakeloop.lake.tables import Lake
from lakeloop.lake.version_range import FEED
from lakeloop.lake.views import View

PEOPLE = "silver.people"
ROWS = [(1, "Ann"), (2, "Bo"), (2, "Bo"), (None, None)]  # a duplicate and a NULL


def write(lake: Lake, rows: list[Any], schema: str = "id int, name string") -> None:
    lake.write(PEOPLE, lake.spark.createDataFrame(rows, schema).coalesce(1), mode="append")


def record(lake: Lake, batch: int, rows: list[tuple[Any, ...]], *, accepted: bool = True) -> None:
    """A batch of (verdict, id, name) in bronze."""
    schema = "_batch_id bigint, _verdict string, id int, name string"
    frame = lake.spark.createDataFrame([(batch, *row) for row in rows], schema).coalesce(1)
    lake.write("bronze.people", frame, mode="append", partition_by=["_verdict"])
    if accepted:
        lake.publish_view(PEOPLE, View("bronze.people", batch))


def told(frame: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    rows = [tuple(row) for row in frame.select(*(columns or ("id", "name"))).collect()]
    return sorted(rows, key=lambda row: tuple(str(value) for value in row))


def test_good_rows_of_batches_that_were_accepted_come_once_each(lake: Lake) -> None:
    record(lake, 0, [("good", *row) for row in ROWS] + [("quarantined", 9, "no")])
    first = mark_of(lake, PEOPLE)
    record(lake, 1, [("good", 3, "Cy")])
    record(lake, 2, [("good", 4, "Di")], accepted=False)
    second = mark_of(lake, PEOPLE)

    assert told(added(lake, PEOPLE, None, first)) == [(1, "Ann"), (2, "Bo"), (2, "Bo"), (None, None)]
    assert told(added(lake, PEOPLE, first, second), "id", "_origin", "_batch_id") == [(3, "bronze.people", 1)]
    record(lake, 3, [("good", 5, "Ed")])
    assert told(added(lake, PEOPLE, first, second), "id") == [(3,)]
    assert told(added(lake, PEOPLE, second, mark_of(lake, PEOPLE)), "id") == [(4,), (5,)]


def test_rows_of_a_table_that_only_grows_come_by_its_files_however_they_were_compacted(lake: Lake) -> None:
    write(lake, ROWS)
    first = mark_of(lake, PEOPLE)
    write(lake, [(3, "Cy")])
    write(lake, [(4, "Di", 7)], "id int, name string, age int")
    second = mark_of(lake, PEOPLE)
    lake.handle(PEOPLE).optimize().executeCompaction()
    write(lake, [(5, "Ed", 1)], "id int, name string, age int")

    assert told(added(lake, PEOPLE, None, first)) == [(1, "Ann"), (2, "Bo"), (2, "Bo"), (None, None)]
    assert told(added(lake, PEOPLE, first, second), "id", "age", "_batch_id") == [(3, None, 1), (4, 7, 2)]
    assert told(added(lake, PEOPLE, second, mark_of(lake, PEOPLE)), "id", "_batch_id") == [(5, 4)]


def test_partitions_stand_in_the_paths_of_files(lake: Lake) -> None:
    for day in ("2026-05-01", None):
        frame = lake.spark.createDataFrame([(1, "a b/c", day)], "id int, name string, day string")
        typed = frame.select("id", "name", F.col("day").cast("date"))
        lake.write(PEOPLE, typed, mode="append", partition_by=["name", "day"])
        if day:
            first = mark_of(lake, PEOPLE)

    found = added(lake, PEOPLE, first, mark_of(lake, PEOPLE)).select("id", "name", "day").collect()

    assert [tuple(row) for row in found] == [(1, "a b/c", None)]


def test_a_change_feed_tells_what_rows_were_and_are(lake: Lake) -> None:
    write(lake, ROWS)
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(PEOPLE)}` SET TBLPROPERTIES ('{FEED}' = 'true')")
    first = mark_of(lake, PEOPLE)
    lake.handle(PEOPLE).update("id = 1", {"name": F.lit("Anna")})
    lake.handle(PEOPLE).delete("id = 2")
    write(lake, [(3, "Cy")])
    second = mark_of(lake, PEOPLE)

    assert told(changes(lake, PEOPLE, first, second), "_batch_id", "_change_type", "id", "name") == [
        (2, "update_postimage", 1, "Anna"),
        (2, "update_preimage", 1, "Ann"),
        (3, "delete", 2, "Bo"),
        (3, "delete", 2, "Bo"),
        (4, "insert", 3, "Cy"),
    ]
    assert told(added(lake, PEOPLE, first, second)) == [(1, "Anna"), (3, "Cy")]
    shutil.rmtree(Path(lake.path(PEOPLE)))
    write(lake, [(7, "Gus")])
    with pytest.raises(SourceError, match=r"silver\.people was dropped and made anew since it was read"):
        added(lake, PEOPLE, first, mark_of(lake, PEOPLE))


def test_files_that_were_vacuumed_before_they_were_read_are_said(lake: Lake) -> None:
    write(lake, ROWS)
    first = mark_of(lake, PEOPLE)
    write(lake, [(3, "Cy")])
    second = mark_of(lake, PEOPLE)
    lake.handle(PEOPLE).optimize().executeCompaction()
    lake.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        lake.handle(PEOPLE).vacuum(0)
    finally:
        lake.spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")

    with pytest.raises(SourceError, match="were vacuumed before they were read"):
        added(lake, PEOPLE, first, second)
