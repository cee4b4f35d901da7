from chispa import assert_df_equality

from lakeloop.lake.merge import merge_latest
from lakeloop.lake.tables import Commit, Lake

TABLE = "silver.things"
Rows = list[tuple[object, ...]]


def merge(lake: Lake, batch_id: int, rows: Rows, schema: str, *, sequence_by: str | None = "at") -> None:
    frame = lake.spark.createDataFrame(rows, schema).coalesce(1)
    merge_latest(lake, TABLE, frame, keys=["k"], sequence_by=sequence_by, commit=Commit("w", batch_id, "run"))


def holds(lake: Lake, rows: Rows, schema: str) -> None:
    assert_df_equality(
        lake.read(TABLE), lake.spark.createDataFrame(rows, schema), ignore_row_order=True, ignore_nullable=True
    )


def test_the_newest_row_of_a_key_stays(lake: Lake) -> None:
    schema = "k string, at int, v string"
    before: Rows = [
        ("older", 5, "stored"), ("tie", 5, "stored"), ("newer", 5, "stored"), ("alone", 5, "stored"),
        ("null after 5", 5, "stored"), ("5 after null", None, "stored"), ("null after null", None, "stored"),
    ]  # fmt: skip
    batch: Rows = [
        ("older", 4, "new"), ("tie", 5, "new"), ("newer", 6, "new"), ("first", None, "new"),
        ("null after 5", None, "new"), ("5 after null", 5, "new"), ("null after null", None, "new"),
    ]  # fmt: skip
    after: Rows = [
        ("older", 5, "stored"), ("tie", 5, "new"), ("newer", 6, "new"), ("first", None, "new"), ("alone", 5, "stored"),
        ("null after 5", 5, "stored"), ("5 after null", 5, "new"), ("null after null", None, "new"),
    ]  # fmt: skip
    merge(lake, 0, before, schema)
    holds(lake, before, schema)
    merge(lake, 1, batch, schema)
    holds(lake, after, schema)
    merge(lake, 2, batch, schema)
    holds(lake, after, schema)


def test_a_repeated_commit_does_nothing_whatever_it_brings(lake: Lake) -> None:
    schema = "k string, at int"
    merge(lake, 0, [("a", 1)], schema)
    merge(lake, 0, [("a", 9), ("b", 9)], schema)
    merge(lake, 1, [("a", 2)], schema)
    version = lake.version(TABLE)
    merge(lake, 1, [("a", 9), ("b", 9)], schema)
    holds(lake, [("a", 2)], schema)
    assert lake.version(TABLE) == version


def test_without_a_sequence_the_last_batch_wins(lake: Lake) -> None:
    schema = "k string, at int"
    merge(lake, 0, [("a", 2), ("b", 2)], schema, sequence_by=None)
    merge(lake, 1, [("a", 1)], schema, sequence_by=None)
    holds(lake, [("a", 1), ("b", 2)], schema)


def test_columns_come_and_stay(lake: Lake) -> None:
    merge(lake, 0, [("a", 1, "old"), ("b", 1, "old")], "k string, at int, v string")
    merge(lake, 1, [("a", 2, 7), ("c", 2, 8)], "k string, at int, n int")
    holds(lake, [("a", 2, "old", 7), ("b", 1, "old", None), ("c", 2, None, 8)], "k string, at int, v string, n int")


def test_a_row_is_identified_by_all_keys_whatever_their_names(lake: Lake) -> None:
    schema = "`a.b` string, at int, k int"
    for batch_id, rows in enumerate(([("x", 1, 1), ("x", 1, 2)], [("x", 2, 2), ("y", 1, 1)])):
        frame = lake.spark.createDataFrame(rows, schema)
        merge_latest(lake, TABLE, frame, keys=["a.b", "k"], sequence_by="at", commit=Commit("w", batch_id, "run"))
    assert {tuple(row) for row in lake.read(TABLE).collect()} == {("x", 1, 1), ("x", 2, 2), ("y", 1, 1)}
