"""Marks of tables, and what a log tells of the versions between two of them, without Spark."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakeloop.core.errors import SourceError, TableError
from lakeloop.lake.increments import at_most, has_moved, mark_of
from lakeloop.lake.tables import Lake
from lakeloop.lake.version_range import FEED, VersionRange
from lakeloop.lake.views import View, write_view

ROWS = pa.table({"id": pa.array([1, 2, 2, None], pa.int32()), "name": ["Ann", "Bo", "Bo", None]})
KEPT = {FEED: "true"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake that nobody asks for Spark."""
    return Lake(None, str(tmp_path))  # type: ignore[arg-type]


def write(lake: Lake, table: str, **options: Any) -> str:
    """One version more of a table; its folder."""
    write_deltalake(lake.path(table), ROWS, mode="append", **options)
    return lake.path(table)


def test_a_table_stands_at_its_version(lake: Lake) -> None:
    write(lake, "silver.people", configuration=KEPT)
    write(lake, "silver.people")

    mark = mark_of(lake, "silver.people")

    assert mark == {
        "at": 1,
        "of": "silver.people",
        "id": DeltaTable(lake.path("silver.people")).metadata().id,
        "columns": {"id": "int", "name": "string"},
        "feed": True,
    }


def test_a_view_stands_at_the_batch_it_accepted_and_hides_what_is_not_data(lake: Lake) -> None:
    path = lake.path("bronze.people")
    write_deltalake(path, ROWS.append_column("_batch_id", [[0, 0, 0, 0]]))
    write_view(lake.path("silver.people"), View("bronze.people", 7))

    mark = mark_of(lake, "silver.people")

    assert (mark["at"], mark["of"], mark["feed"]) == (7, "bronze.people", None)
    assert mark["columns"] == {"id": "int", "name": "string"}


def test_a_table_that_is_not_there_is_said_with_what_to_do(lake: Lake) -> None:
    with pytest.raises(TableError, match=r"silver\.people does not exist in .*; run the pipeline that writes it first"):
        mark_of(lake, "silver.people")


def test_a_step_ends_at_most_so_many_batches_later_and_a_whole_table_is_one_step() -> None:
    view, table = {"at": 9, "id": "a", "feed": None}, {"at": 9, "id": "a", "feed": True}

    assert at_most(None, view, 4)["at"] == 3  # the batches 0 to 3
    assert at_most({"at": 7, "id": "a", "feed": None}, view, 4)["at"] == 9
    assert at_most(None, table, 4)["at"] == 9
    assert at_most({"at": 2, "id": "a", "feed": True}, table, 4)["at"] == 6
    assert not has_moved(view, view)
    assert has_moved(None, view)


def test_versions_that_only_added_are_told_by_their_files_and_compacting_is_no_change(lake: Lake) -> None:
    path = write(lake, "silver.people")
    since = mark_of(lake, "silver.people")
    write(lake, "silver.people")
    DeltaTable(path).optimize.compact()
    write(lake, "silver.people")

    found = VersionRange.between("silver.people", path, since, mark_of(lake, "silver.people"))

    assert not found.is_recorded
    assert sorted(found.files.values()) == [1, 3]


def test_rows_that_went_without_a_feed_are_an_error_that_says_which_version_and_how_to_keep_them(lake: Lake) -> None:
    path = write(lake, "silver.people")
    since = mark_of(lake, "silver.people")
    DeltaTable(path).delete("id = 1")

    with pytest.raises(SourceError, match=r"does not only grow: version 1 \(DELETE\) .* `change_feed: true`"):
        VersionRange.between("silver.people", path, since, mark_of(lake, "silver.people"))


def test_a_feed_that_was_off_while_rows_changed_does_not_count(lake: Lake) -> None:
    path = write(lake, "silver.people", configuration=KEPT)
    since = mark_of(lake, "silver.people")
    DeltaTable(path).alter.set_table_properties({FEED: "false"})
    DeltaTable(path).delete("id = 1")
    DeltaTable(path).alter.set_table_properties(KEPT)

    with pytest.raises(SourceError, match=r"version 2 \(DELETE\)"):
        VersionRange.between("silver.people", path, since, mark_of(lake, "silver.people"))


def test_a_feed_that_was_switched_on_before_rows_changed_counts_from_there(lake: Lake) -> None:
    path = write(lake, "silver.people")
    since = mark_of(lake, "silver.people")
    DeltaTable(path).alter.set_table_properties(KEPT)
    DeltaTable(path).delete("id = 1")

    found = VersionRange.between("silver.people", path, since, mark_of(lake, "silver.people"))

    assert found.recorded == 1


def test_a_version_that_is_gone_from_the_log_is_said(lake: Lake) -> None:
    path = write(lake, "silver.people")
    since = mark_of(lake, "silver.people")
    write(lake, "silver.people", commit_properties=CommitProperties(custom_metadata={"by": "hand"}))
    write(lake, "silver.people")
    (Path(path) / "_delta_log/00000000000000000001.json").unlink()

    with pytest.raises(SourceError, match=r"version 1 is gone from its log before it was read; the oldest there is 0"):
        VersionRange.between("silver.people", path, since, {**since, "at": 2})
