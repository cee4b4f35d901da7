"""Changes of a real PostgreSQL: the first read beside writers, every kind of change, rules and history."""

import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.errors import ConfigError, SourceError
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.sources.cdc import CdcReader
from lakeloop.ingestion.sources.cdc.visibility import Snapshot
from lakeloop.ingestion.sources.replay import require_replayable
from lakeloop.lake.ledger import Ledger, Plan
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.tables import Lake
from tests.services.followed_table import (
    Connection,
    confirmed,
    connecting,
    declared,
    planned,
    published,
    reader_of,
    run,
    serving,
    table,
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with serving() as server:
        yield server


@pytest.fixture
def crm(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with connecting(postgres) as connection:
        yield connection


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, str(tmp_path / "lake"))


def test_the_table_then_its_changes(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm, "id int PRIMARY KEY, v text, n numeric(6,2), at timestamptz, yes boolean, doc jsonb, gen int "
                   "GENERATED ALWAYS AS (id * 2) STORED")  # fmt: skip
    crm.execute("""INSERT INTO t VALUES (1, 'ü''"\\\t', 1.50, '2026-02-28 10:00+02', true, '{"a": 1}')""")
    crm.execute("INSERT INTO t (id, v) VALUES (2, NULL), (3, '')")
    spec = declared()
    first = run(lake, postgres, spec)
    assert first.counts == RowCounts(read=3, good=3)
    assert first.message.startswith("the whole table, 3 rows; slot lakeloop_t retains ")
    at = dt.datetime(2026, 2, 28, 8, tzinfo=dt.UTC)
    rows = {row["id"]: row for row in lake.read("silver.t").collect()}
    assert dict(lake.read("silver.t").dtypes) == {
        "id": "int", "v": "string", "n": "decimal(6,2)", "at": "timestamp", "yes": "boolean", "doc": "string",
    }  # fmt: skip
    assert (rows[1]["v"], str(rows[1]["n"]), rows[1]["at"].astimezone(dt.UTC)) == ("ü'\"\\\t", "1.50", at)
    assert (rows[1]["yes"], rows[1]["doc"], rows[2]["v"], rows[3]["v"]) == (True, '{"a": 1}', None, "")
    assert run(lake, postgres, spec).outcome == "nothing_new"
    with crm.transaction():
        crm.execute("INSERT INTO t (id, v) VALUES (4, 'four'), (5, 'five')")
        crm.execute("UPDATE t SET v = 'one' WHERE id = 1")
        crm.execute("UPDATE t SET id = 6 WHERE id = 5")
    crm.execute("DELETE FROM t WHERE id = 2")
    second = run(lake, postgres, spec)
    assert second.counts == RowCounts(read=6, good=6)
    assert second.message.startswith("6 changes in 2 transactions up to 0/")
    assert "; slot lakeloop_t retains " in second.message
    assert " s ago" in second.message
    assert table(lake, "id", "v") == [(1, "one"), (3, ""), (4, "four"), (6, "five")]
    changes = lake.read("bronze.t").where("_batch_id = 1").orderBy("_position.record")
    found = [
        tuple(row) for row in changes.select("_position.*", "_change.operation", "_change.sequence", "id").collect()
    ]
    assert found == [
        ("crm.public.t", 3, "insert", 0, 4), ("crm.public.t", 4, "insert", 1, 5), ("crm.public.t", 5, "update", 2, 1),
        ("crm.public.t", 6, "delete", 3, 5), ("crm.public.t", 7, "insert", 4, 6), ("crm.public.t", 8, "delete", 0, 2),
    ]  # fmt: skip
    plan = Ledger(lake.root).history("t").finished
    assert plan is not None
    assert confirmed(crm) == plan.details["position"]["upto"]
    looks = [row for row in read_rows(lake.root, "ops.slots") if row["pipeline"] == "t"]
    assert {row["slot"] for row in looks} == {"lakeloop_t"}
    assert max(row["retained_bytes"] for row in looks) > 0
    crm.execute("INSERT INTO t (id) VALUES (7); TRUNCATE t; INSERT INTO t (id, v) VALUES (1, 'again')")
    assert run(lake, postgres, spec).counts.read == 3
    assert table(lake, "id", "v") == [(1, "again")]
    assert not list(Path(lake.root).glob("_landing/t/*"))


def test_a_large_value_that_did_not_change_is_kept(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm, "id int PRIMARY KEY, v int, big text, doc jsonb")
    crm.execute("ALTER TABLE t ALTER big SET STORAGE EXTERNAL; ALTER TABLE t ALTER doc SET STORAGE EXTERNAL")
    large = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i)"
    crm.execute(
        f"INSERT INTO t SELECT i, i, i || {large}, jsonb_build_object('a', {large}) FROM generate_series(1, 5) i"
    )
    spec = declared(
        rules=[{"is_not_null": "text"}, {"is_in_range": {"column": "v", "max": 100}}],
        transforms=[{"rename": {"big": "text"}}],
    )
    run(lake, postgres, spec)
    before = {row["id"]: (row["text"], row["doc"]) for row in lake.read("silver.t").collect()}
    crm.execute("UPDATE t SET v = 20 WHERE id = 2")
    crm.execute("UPDATE t SET id = 30, v = 30 WHERE id = 3")
    crm.execute(f"UPDATE t SET big = 'new' || {large} WHERE id = 4; UPDATE t SET v = 40 WHERE id = 4")
    crm.execute("UPDATE t SET v = 999 WHERE id = 5")
    crm.execute(f"INSERT INTO t VALUES (6, 6, 'six' || {large}); UPDATE t SET id = 7, v = 7 WHERE id = 6")
    assert run(lake, postgres, spec).counts == RowCounts(read=9, good=8, quarantined=1)
    crm.execute("UPDATE t SET v = 50 WHERE id = 5")  # its state is in quarantine alone
    assert run(lake, postgres, spec).counts == RowCounts(read=1, good=1)
    after = {row["id"]: (row["v"], row["text"], row["doc"]) for row in lake.read("silver.t").collect()}
    assert after == {
        1: (1, *before[1]), 2: (20, *before[2]), 30: (30, *before[3]), 4: (40, after[4][1], before[4][1]),
        5: (50, *before[5]), 7: (7, after[7][1], None),
    }  # fmt: skip
    assert after[4][1].startswith("new")
    assert after[7][1].startswith("six")
    assert {len(text) for _, text, _ in after.values()} == {6401, 6403}


def test_nothing_is_lost_or_doubled_between_the_first_read_and_the_changes(
    lake: Lake, postgres: EmbeddedPostgres, crm: Connection
) -> None:
    """Four writers commit before, while and after the slot is made and the table is read."""
    published(crm, "id bigint PRIMARY KEY, n int")
    crm.execute("INSERT INTO t SELECT i, 0 FROM generate_series(0, 399) i")
    reader = reader_of(lake.root, postgres, declared(), lake.spark)
    with writing(postgres, writers=4), psycopg.connect(postgres.dsn) as open_one:
        # Open before the slot is made, which waits for it.
        open_one.execute("INSERT INTO t VALUES (-1, 0)")
        threading.Timer(1.0, open_one.commit).start()
        plans = [planned(reader, None)]
        snapshot = plans[0].details["position"]["snapshot"]
        for _ in range(3):
            plans.append(planned(reader, plans[-1]))
    assert sees_as_the_server_says(crm, snapshot)
    while (last := reader.plan(plans[-1], lambda text: None)) is not None:
        plans.append(last)
    assert replayed(reader, plans) == dict(crm.execute("SELECT id, n FROM t").fetchall())


@contextmanager
def writing(postgres: EmbeddedPostgres, writers: int) -> Iterator[None]:
    """Threads that count up rows, add and delete others, each in its own transactions."""
    stop = threading.Event()

    def write(writer: int) -> None:
        with psycopg.connect(postgres.dsn, autocommit=True) as mine:
            number = 0
            while not stop.is_set():
                number += 1
                with mine.transaction():
                    mine.execute("UPDATE t SET n = n + 1 WHERE id = %s", [(number * writers + writer) % 400])
                    mine.execute("INSERT INTO t VALUES (%s, 0)", [1000 * (number + 1) + writer])
                    mine.execute("DELETE FROM t WHERE id = %s", [1000 * (number // 2) + writer])

    with ThreadPoolExecutor(writers) as pool:
        running = [pool.submit(write, number) for number in range(writers)]
        try:
            yield
        finally:
            stop.set()
        for each in running:
            each.result()


def replayed(reader: CdcReader, plans: Sequence[Plan]) -> dict[int, int]:
    """The state that the rows of the plans come to, after checking that each of them fits the one before."""
    read: list[tuple[int, str, int, int]] = []
    for plan in plans:
        rows = reader.read(plan).frame.selectExpr("_position.record", "_change.operation", "id", "n").collect()
        read += sorted(tuple(row) for row in rows)
    assert [record for record, *_ in read] == list(range(len(read)))
    state: dict[int, int] = {}
    for _, operation, key, number in read:
        assert (key in state) == (operation in ("update", "delete"))
        assert operation != "update" or state[key] == number - 1  # each update counts up by one
        state[key] = number
        if operation == "delete":
            del state[key]
    return state


def sees_as_the_server_says(crm: Connection, snapshot: str) -> bool:
    first, last, _ = snapshot.split(":")
    rows = crm.execute(
        "SELECT x, pg_visible_in_snapshot(x::text::xid8, %s::pg_snapshot) FROM generate_series(%s::int8, %s::int8) x",
        [snapshot, int(first) - 5, int(last) + 5],
    ).fetchall()
    return all(Snapshot.parse(snapshot).sees(xid) == is_visible for xid, is_visible in rows)


@pytest.mark.slow
def test_a_plan_reads_the_same_and_holds_whole_transactions(
    lake: Lake, postgres: EmbeddedPostgres, crm: Connection
) -> None:
    published(crm)
    spec = declared(source={"changes_per_batch": 10})
    run(lake, postgres, spec)
    crm.execute("INSERT INTO t SELECT i, 'a' FROM generate_series(1, 50) i")
    crm.execute("INSERT INTO t VALUES (51)")
    for number in range(52, 60):
        crm.execute("INSERT INTO t VALUES (%s)", [number])
    reader = reader_of(lake.root, postgres, spec, lake.spark)
    finished = Ledger(lake.root).history("t").finished
    plan = reader.plan(finished, lambda text: None)
    assert plan is not None
    assert reader.read(plan).frame.count() == 50
    again = reader.plan(finished, lambda text: None)
    assert again is not None
    assert again.details["position"] == plan.details["position"]
    sizes = [run(lake, postgres, spec).counts.read for _ in range(4)]
    assert sum(sizes) == 59
    assert sizes[0] == 50
    assert 0 < sizes[1] < 9
    assert table(lake, "id") == [(number,) for number in range(1, 60)]
    crm.execute("CREATE TABLE u (id int PRIMARY KEY); ALTER PUBLICATION lakeloop ADD TABLE u")
    crm.execute("INSERT INTO u SELECT * FROM generate_series(1, 20)")
    crm.execute("INSERT INTO t VALUES (60)")
    assert [run(lake, postgres, spec).counts.read for _ in range(2)] == [0, 1]  # a batch of others' changes moves on


def test_a_slot_behind_the_ledger_is_fine_and_one_ahead_is_not(
    lake: Lake, postgres: EmbeddedPostgres, crm: Connection
) -> None:
    published(crm)
    spec = declared()
    run(lake, postgres, spec)
    crm.execute("INSERT INTO t VALUES (1, 'a')")
    reader = reader_of(lake.root, postgres, spec, lake.spark)
    first = Ledger(lake.root).history("t").finished
    second = reader.plan(first, lambda text: None)
    assert second is not None
    crm.execute("UPDATE t SET v = 'b'")
    assert reader.plan(second, lambda text: None) is None  # it came after the first look, and a run has to end
    reader = reader_of(lake.root, postgres, spec, lake.spark)
    third = reader.plan(second, lambda text: None)  # the slot stands where the first plan left it
    assert third is not None
    assert [row["v"] for row in reader.read(third).frame.collect()] == ["b"]
    crm.execute("SELECT pg_replication_slot_advance('lakeloop_t', pg_current_wal_lsn())")
    with pytest.raises(SourceError, match=r"the slot lakeloop_t stands at .*, ahead of .*another pipeline or program"):
        run(lake, postgres, spec)
    anew = declared(source={"slot": "lakeloop_t2"})
    crm.execute("INSERT INTO t VALUES (2, 'c')")
    entry = run(lake, postgres, anew)
    assert entry.counts == RowCounts(read=3, good=3)
    assert entry.message.endswith("nobody reads the slot lakeloop_t now: SELECT pg_drop_replication_slot('lakeloop_t')")
    assert table(lake, "id", "v") == [(1, "b"), (2, "c")]


def test_log_of_other_tables_is_let_go(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    run(lake, postgres, declared())
    before = confirmed(crm)
    crm.execute("CREATE TABLE u AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000)")
    entry = run(lake, postgres, declared())
    assert (entry.outcome, entry.counts) == ("succeeded", RowCounts())
    assert confirmed(crm) > before
    assert run(lake, postgres, declared()).outcome == "nothing_new"


def test_a_rule_holds_for_what_a_change_says(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm, "id int PRIMARY KEY, v text NOT NULL, age int")
    spec = declared(rules=[{"is_not_null": "v"}, {"is_in_range": {"column": "age", "min": 0}}])
    crm.execute("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', -4)")
    assert run(lake, postgres, spec).counts == RowCounts(read=4, good=3, quarantined=1)
    crm.execute("UPDATE t SET age = -1 WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE t SET age = 4 WHERE id = 4")
    crm.execute("UPDATE t SET age = -3 WHERE id = 3; UPDATE t SET age = 33 WHERE id = 3")
    assert run(lake, postgres, spec).counts == RowCounts(read=5, good=3, quarantined=2)
    assert table(lake, "id", "age") == [(3, 33), (4, 4)]
    crm.execute("UPDATE t SET v = 'good' WHERE id = 1; UPDATE t SET age = 1 WHERE id = 1")
    run(lake, postgres, spec)
    assert table(lake) == [(1, "good", 1), (3, "c", 33), (4, "d", 4)]
    with pytest.raises(ConfigError, match="a change in quarantine is not replayed"):
        require_replayable(spec)


@pytest.mark.slow
def test_every_version_with_the_time_of_its_commit(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    spec = declared(sink={"history": "scd2"})
    crm.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    run(lake, postgres, spec)
    for statement in (
        "UPDATE t SET v = 'a2' WHERE id = 1", "UPDATE t SET v = 'a3' WHERE id = 1", "DELETE FROM t WHERE id = 2",
        "UPDATE t SET id = 9 WHERE id = 3", "UPDATE t SET v = 'c' WHERE id = 9",
    ):  # fmt: skip
        crm.execute(statement)
    run(lake, postgres, spec)
    crm.execute("INSERT INTO t VALUES (2, 'b')")
    with crm.transaction():
        crm.execute("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'a3')")
    run(lake, postgres, spec)
    crm.execute("TRUNCATE t")
    crm.execute("INSERT INTO t VALUES (2, 'z')")
    run(lake, postgres, spec)
    rows = lake.read("silver.t").orderBy("id", "effective_time").collect()
    versions = {key: [(row["v"], row["is_current"]) for row in rows if row["id"] == key] for key in (1, 2, 3, 9)}
    assert versions == {
        1: [("a", False), ("a2", False), ("a3", False)], 2: [("b", False), ("b", False), ("z", True)],
        3: [("c", False)], 9: [("c", False)],
    }  # fmt: skip
    by_key = {key: [row for row in rows if row["id"] == key] for key in (1, 2, 3, 9)}
    assert [a["end_time"] == b["effective_time"] for a, b in zip(by_key[1], by_key[1][1:], strict=False)] == [True] * 2
    assert by_key[2][0]["end_time"] < by_key[2][1]["effective_time"]
    assert by_key[3][0]["end_time"] == by_key[9][0]["effective_time"]
    emptied = by_key[1][-1]["end_time"]
    assert by_key[2][1]["end_time"] == by_key[9][0]["end_time"] == emptied < by_key[2][2]["effective_time"]
