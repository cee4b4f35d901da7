"""Files of SQLite by the declarations that serve PostgreSQL: types, the cursor, parts, and what goes wrong in words."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.stream_decisions import decide
from lakeloop.lake.tables import Lake
from tests.crm import Crm


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def shop(db: sqlite3.Connection, spark: SparkSession, tmp_path: Path) -> Crm:
    lake = Lake(spark, str(tmp_path / "lake"))
    return Crm(lake, f"jdbc:sqlite:{tmp_path}/shop.db", {"table": "t"}, user=None, password=None)


def test_types_and_what_does_not_fit(shop: Crm, db: sqlite3.Connection) -> None:
    db.execute(
        """CREATE TABLE t (id INTEGER PRIMARY KEY, yes BOOLEAN, price REAL, name TEXT, day DATE, at TIMESTAMP,
                           raw BLOB, amount DECIMAL(10,2), free)"""
    )
    rows: list[tuple[Any, ...]] = [
        (2**62, True, 0.1 + 0.2, "ü'", "2026-02-28", "2026-02-28 10:00:00.123456", b"\x00\xff", "12.30", 1),
        (2, None, None, None, None, None, None, None, None),
        (4, 0, 5, None, None, "2026-02-28T10:00:00+02:00", None, None, None),
        (3, 7, "dear", None, "2026-02-30", 1767225600, None, None, 0.1),
    ]
    db.executemany(f"INSERT INTO t VALUES ({', '.join('?' * 9)})", rows)
    assert shop.run().counts == RowCounts(read=4, good=3, quarantined=1)
    lake = shop.lake.read("silver.t")
    assert dict(lake.dtypes) == {
        "id": "bigint", "yes": "boolean", "price": "double", "name": "string", "day": "date", "at": "timestamp",
        "raw": "binary", "amount": "string", "free": "string",
    }  # fmt: skip
    nulls, other, values = lake.withColumn("at", lake["at"].cast("string")).orderBy("id").collect()
    assert tuple(other)[:6] == (4, False, 5.0, None, None, "2026-02-28 08:00:00")
    assert tuple(nulls)[1:] == (None,) * 8
    assert tuple(values) == (
        2**62, True, 0.1 + 0.2, "ü'", dt.date(2026, 2, 28), "2026-02-28 10:00:00.123456", bytearray(b"\x00\xff"),
        "12.3", "1",
    )  # fmt: skip
    assert shop.quarantined() == [
        ("at_fits", "at: found 1767225600, expected a timestamp"),
        ("day_fits", "day: found 2026-02-30, expected a date"),
        ("price_fits", "price: found dear, expected a double"),
        ("yes_fits", "yes: found 7, expected a boolean"),
    ]


@pytest.mark.parametrize(
    ("type_", "values", "late", "overlap"),
    [
        ("TIMESTAMP", ["2026-01-01 00:00:00", "2026-01-01 00:30:00.5"], "2026-01-01 00:10:00", "1h"),
        ("DATE", ["2026-01-01", "2026-01-03"], "2026-01-02", "2d"),
        ("INTEGER", [9, 10], 8, 5),
        ("TEXT", ["Oslo", "Rome"], "Rome", None),
    ],
)
def test_a_cursor_takes_each_row_once_and_what_came_late(
    shop: Crm, db: sqlite3.Connection, type_: str, values: list[Any], late: Any, overlap: Any
) -> None:
    db.execute(f"CREATE TABLE t (id INTEGER, at {type_})")
    source = shop.declaring(table="t", incremental={"cursor": "at", "overlap": overlap})
    assert source.run().outcome == "nothing_new"
    db.executemany("INSERT INTO t VALUES (1, ?)", [(value,) for value in [*values, None, b"no order"]])
    assert source.run().counts.read == 4
    assert source.run().outcome == "nothing_new"
    db.execute("INSERT INTO t VALUES (2, ?)", [late])
    assert source.run().counts.read == 1
    assert source.run().outcome == "nothing_new"


def test_a_reset_leaves_no_row_out_that_comes_late(shop: Crm, db: sqlite3.Connection) -> None:
    """The rows that were taken before the reset are read once more, and are not counted as taken twice."""
    db.execute("CREATE TABLE t (id INTEGER, at INTEGER)")
    db.execute("INSERT INTO t VALUES (1, 5), (NULL, 5)")
    source = shop.declaring(table="t", incremental={"cursor": "at"})
    assert source.run().counts.read == 2
    decide(shop.lake.root, RunContext("stream", "test"), "t", "reset", batch_id=0)
    assert source.run().counts.read == 2
    db.execute("INSERT INTO t VALUES (1, 5)")
    assert source.run().counts.read == 1
    assert source.run().outcome == "nothing_new"


def test_a_batch_that_was_recorded_is_read_again_where_its_source_has_changed_since(
    shop: Crm, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("CREATE TABLE t (id INTEGER, at INTEGER)")
    db.execute("INSERT INTO t VALUES (1, 5), (1, 5), (NULL, 6)")
    dedupe = {"dedupe": {"keys": ["id"]}}  # so that what was read is counted at the source
    source = replace(shop.declaring(table="t", incremental={"cursor": "at"}), transforms=(dedupe,))

    def die(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "_publish", die)
        with pytest.raises(ZeroDivisionError):
            source.run()
    db.execute("INSERT INTO t VALUES (2, 4)")  # committed late
    entry = source.run()
    assert (entry.batch_id, entry.counts) == (1, RowCounts(read=4, good=3, dropped=1))
    ends = [(row["batch_id"], row["outcome"]) for row in Ledger(shop.lake.root).runs(5)]
    assert ends == [(0, "withdrawn"), (1, "succeeded")]
    assert sorted(row["id"] or 0 for row in shop.lake.read("silver.t").collect()) == [0, 1, 2]
    assert source.run().outcome == "nothing_new"


def test_a_row_of_a_wrong_clock_hides_no_other_and_comes_when_its_time_has_come(
    shop: Crm, db: sqlite3.Connection
) -> None:
    db.execute("CREATE TABLE t (id INTEGER, at TIMESTAMP)")
    db.execute("INSERT INTO t VALUES (1, datetime('now', '+400 days'))")
    source = shop.declaring(table="t", incremental={"cursor": "at"})
    with pytest.raises(SourceError, match=r"crm\.t: 1 row is dated ahead of the clock, .*; mend the clock that wrote"):
        source.run()
    db.execute("INSERT INTO t VALUES (2, datetime('now', '-1 hour')), (NULL, NULL), (3, datetime('now', '+300 days'))")
    entry = source.run()
    assert entry.counts == RowCounts(read=2, good=2)
    assert "; 2 rows are dated ahead of the clock, behind 20" in entry.message
    assert source.run().outcome == "nothing_new"
    db.execute("INSERT INTO t VALUES (4, datetime('now'))")
    assert source.run().counts.read == 1  # beside them
    db.execute("UPDATE t SET at = datetime('now', '+1 minute') WHERE id = 3")
    assert source.run().counts.read == 1
    declared = shop.declaring(table="t", incremental={"cursor": "at", "ahead": "500d"})
    assert declared.run().counts.read == 1


def test_parts_and_queries(shop: Crm, db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE t (id INTEGER, name TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"n{n}") for n in range(100)])
    db.executemany("INSERT INTO t VALUES (?, 'odd one')", [(None,), ("text",), (0.5,)])
    source = shop.declaring(table="t", parallel={"partition_column": "id", "num_partitions": 4})
    planned = source.plan()
    assert planned is not None
    assert planned.details["boundaries"] == ["25", "50", "75"]
    assert source.reader.read(planned).frame.count() == 103
    query = shop.declaring(query="SELECT upper(name) AS name, id * 1.5 AS half FROM t", where="half > 147")
    assert query.read() == [{"name": "N99", "half": "148.5"}]


def test_a_file_that_is_being_written_is_read(shop: Crm, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (id INTEGER)")
    db.execute("INSERT INTO t VALUES (1)")
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (2)")
    assert shop.read() == [{"id": 1}]
    db.execute("COMMIT")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"table": "nowhere"}, "there is no table nowhere; check the table's name"),
        ({"table": "t", "incremental": {"cursor": "nowhen"}}, r"crm\.t has no column 'nowhen', which `cursor` names"),
        ({"table": "t", "incremental": {"cursor": "price"}}, "price, which is of type REAL; name a column of numbers"),
        ({"table": "t", "where": "nme = 1"}, "no such column: nme.*; check the names under `where`"),
        ({"query": "SELECT 1 AS a FORM t"}, "syntax error.*; mend the SQL"),
    ],
)
def test_what_does_not_go_is_said_with_a_remedy(
    shop: Crm, db: sqlite3.Connection, source: dict[str, Any], said: str
) -> None:
    db.execute("CREATE TABLE t (id INTEGER, price REAL)")
    with pytest.raises(SourceError, match=said) as refused:
        shop.declaring(**source).run()
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_not_made(shop: Crm, tmp_path: Path) -> None:
    missing, text = tmp_path / "missing.db", tmp_path / "text.db"
    text.write_text("no database " * 100)
    for file, said in (
        (missing, "check that the file in the connection's url exists"),
        (text, "is no SQLite database"),
    ):
        with pytest.raises(SourceError, match=said):
            Crm(shop.lake, f"jdbc:sqlite:{file}", {"table": "t"}, user=None, password=None).run()
    assert not missing.exists()
