"""A real PostgreSQL by JDBC: the cursor, parts, queries, what goes wrong in words, and a type that changes."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.sources.jdbc import JdbcReader
from lakeloop.lake.ledger import Ledger, Plan
from lakeloop.lake.tables import Lake
from tests.crm import PASSWORD, Connection, Crm, empty_database, running_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def db(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with empty_database(postgres) as connection:
        yield connection


@pytest.fixture
def crm(postgres: EmbeddedPostgres, db: Connection, spark: SparkSession, tmp_path_factory: Any) -> Crm:
    return Crm(Lake(spark, str(tmp_path_factory.mktemp("lake"))), postgres.jdbc_url, {"table": "t"})


def by_cursor(crm: Crm, cursor: str, **declared: Any) -> Crm:
    return crm.declaring(table="t", incremental={"cursor": cursor, **declared})


def ids(source: JdbcReader, plan: Plan | None) -> list[int]:
    assert plan is not None
    return sorted(row["id"] for row in source.read(plan).frame.collect())


def test_a_cursor_takes_each_row_once(crm: Crm, db: Connection) -> None:
    db.execute("""CREATE TABLE t (id int, "at" timestamptz)""")
    source = by_cursor(crm, "at")
    assert source.plan() is None
    db.execute("INSERT INTO t VALUES (1, '2026-01-01 00:00:00.000001Z'), (2, '2026-01-01Z'), (3, NULL)")
    first = source.plan()
    db.execute("INSERT INTO t VALUES (4, '2026-01-01 00:00:00.000002Z')")
    assert ids(source.reader, first) == [1, 2, 3]
    assert ids(source.reader, first) == [1, 2, 3]
    assert source.run().counts == RowCounts(read=4, good=4)
    db.execute("INSERT INTO t VALUES (5, '2026-01-01 00:00:00.000003Z')")
    entry = source.run()
    assert entry.counts == RowCounts(read=1, good=1)
    assert entry.message == "1 rows since 2026-01-01 00:00:00.000002+00"
    assert source.run().outcome == "nothing_new"


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("int", "9, 10, 2", "11"),
        ("float8", "0.1, 0.30000000000000004, 0.2", "0.4"),
        ("real", "0.1, 0.3, 0.2", "0.30000004"),
        ("numeric", "0.1, 1e30, 123456789012345678901234567890.123456789", "2e30"),
        ("date", "'2026-01-01', '2025-12-31', '2024-02-29'", "'2026-01-02'"),
        ("timestamp", "'2026-03-29 02:30:00', '2026-03-29 02:30:00.000001', '0001-01-01'", "'2026-03-29 03:00:00'"),
        ("text", "'Oslo', 'O''Neill', 'Bern'", "'Rome'"),
        ("char(5)", "'a', 'b', 'ab'", "'c'"),
    ],
)
def test_a_cursor_of_any_type(crm: Crm, db: Connection, type_: str, before: str, after: str) -> None:
    db.execute(f'CREATE TABLE t AS SELECT unnest(ARRAY[{before}]::{type_}[]) AS "At"')
    source = by_cursor(crm, "At")
    assert source.run().counts == RowCounts(read=3, good=3)
    assert source.next_plan() is None
    db.execute(f"INSERT INTO t VALUES ({after})")
    following = source.next_plan()
    assert following is not None
    assert source.reader.read(following).frame.count() == 1


def test_neither_zone_shifts_an_interval(crm: Crm, db: Connection, spark: SparkSession) -> None:
    """Java's own zone, the server's and the role's differ; the clock is put back in one of them in between."""
    zones = spark._jvm.java.util.TimeZone
    usual = zones.getDefault()
    db.execute("CREATE TABLE t (id int, at timestamptz, local timestamp)")
    db.execute("ALTER ROLE lakeloop SET timezone = 'America/New_York'")
    try:
        zones.setDefault(zones.getTimeZone("Australia/Lord_Howe"))
        for cursor in ("at", "local"):
            db.execute("TRUNCATE t")
            source = by_cursor(crm, cursor)
            values = ["2026-11-01 05:30:00", "2026-11-01 06:30:00", "1850-01-01 00:00:00"]
            for at, value in enumerate(values):
                db.execute("INSERT INTO t VALUES (%s, %s::timestamptz, %s)", [at, f"{value}+00", value])
            first = source.plan()
            assert first is not None
            assert first.details["span"]["upto"] == "2026-11-01 06:30:00" + ("+00" if cursor == "at" else "")
            rows = source.reader.read(first).frame.selectExpr("id", "cast(at AS string)", "cast(local AS string)")
            assert sorted(map(tuple, rows.collect())) == [(at, value, value) for at, value in enumerate(values)]
            assert source.plan(first) is not None  # bronze has none of them yet
    finally:
        zones.setDefault(usual)
        db.execute("ALTER ROLE lakeloop RESET timezone")


def test_rows_without_a_place_in_the_order_are_read_by_the_first_batch(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t (id int, n float8)")
    db.execute("INSERT INTO t VALUES (1, NULL), (2, 'NaN'), (3, 'Infinity'), (4, '-Infinity'), (5, 1.5)")
    source = by_cursor(crm, "n")
    assert source.run().counts == RowCounts(read=5, good=5)
    db.execute("INSERT INTO t VALUES (6, 2.5), (7, 'Infinity')")
    assert source.run().counts == RowCounts(read=1, good=1)


def test_an_overlap_takes_what_came_late_and_nothing_twice(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t (id int, at timestamptz, note text)")
    db.execute(
        "INSERT INTO t SELECT n, '2026-01-01Z'::timestamptz + n * interval '1 minute' FROM generate_series(0, 9) n"
    )
    source = by_cursor(crm, "at", overlap="5m")
    assert source.run().counts == RowCounts(read=10, good=10)
    assert source.run().outcome == "nothing_new"
    db.execute(
        "INSERT INTO t VALUES (3, '2026-01-01 00:03Z'), (4, '2026-01-01 00:04Z')"
    )  # 4 is equal to a row, 3 too late
    entry = source.run()
    assert entry.counts == RowCounts(read=1, good=1)
    assert entry.message == "1 rows that came late, since 2026-01-01 00:04:00+00:00"
    # A row of the overlap that is changed in place is another row; one that is only read again is not.
    db.execute("UPDATE t SET note = 'changed' WHERE id = 8")
    db.execute("INSERT INTO t VALUES (10, '2026-01-01 00:10Z')")
    assert source.run().counts == RowCounts(read=2, good=2)
    assert source.run().outcome == "nothing_new"
    rows = source.lake.read("bronze.t").groupBy("id").count().collect()
    assert dict(map(tuple, rows)) == {n: 2 if n in (4, 8) else 1 for n in range(11)}


@pytest.mark.parametrize(("type_", "value"), [("date", "2026-01-01"), ("text", "Oslo"), ("int", "7")])
def test_ties_that_are_committed_later_come_without_an_overlap(
    crm: Crm, db: Connection, type_: str, value: str
) -> None:
    db.execute(f"CREATE TABLE t (id int, at {type_})")
    source = by_cursor(crm, "at")
    taken = 0
    for number in (1, 3, 2):
        db.execute("INSERT INTO t SELECT generate_series(1, %s), %s", [number, value])
        taken += number
        assert source.run().counts == RowCounts(read=number, good=number)
    assert source.run().outcome == "nothing_new"
    assert source.lake.read("silver.t").count() == taken


def test_a_column_that_is_added_does_not_bring_the_overlap_again(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)")
    source = by_cursor(crm, "id", overlap=10)
    assert source.run().counts == RowCounts(read=2, good=2)
    db.execute("ALTER TABLE t ADD city text; ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t VALUES (3, 'Rome')")
    assert source.run().counts == RowCounts(read=1, good=1)


def test_parts_read_every_row_once(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t (id int, part numeric, at timestamptz, day date)")
    db.execute(
        """INSERT INTO t SELECT n, n / 7.0, '2026-01-01Z'::timestamptz + n * interval '1 hour', date '2026-01-01' + n
           FROM generate_series(1, 100) n"""
    )
    db.execute("INSERT INTO t VALUES (101, NULL, NULL, NULL), (102, 'NaN', 'infinity', '-infinity')")
    for column in ("id", "part", "at", "day"):
        source = crm.declaring(table="t", columns=["id"], parallel={"partition_column": column, "num_partitions": 4})
        planned = source.plan()
        assert planned is not None
        assert len(planned.details["boundaries"]) == 3
        # Rows beyond the ends, as they were when the batch was planned, are read too.
        db.execute(
            "INSERT INTO t VALUES (-5, -5, '2000-01-01Z', '2000-01-01'), (900, 900, '2040-01-01Z', '2040-01-01')"
        )
        frame = source.reader.read(planned).frame
        assert frame.rdd.getNumPartitions() == 4
        assert ids(source.reader, planned) == [-5, *range(1, 103), 900]
        assert min(len(part) for part in frame.select("id").rdd.glom().collect()) > 10
        db.execute("DELETE FROM t WHERE id IN (-5, 900)")
    assert crm.declaring(table="t", parallel={"partition_column": "id", "num_partitions": 4}).run().counts.read == 102


def test_parts_of_an_interval(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t AS SELECT n AS id, n % 10 AS at FROM generate_series(1, 100) n")
    parallel = {"partition_column": "id", "num_partitions": 3}
    source = crm.declaring(table="t", incremental={"cursor": "at"}, parallel=parallel)
    assert source.run().counts == RowCounts(read=100, good=100)
    db.execute("INSERT INTO t SELECT n, n FROM generate_series(101, 200) n")
    assert source.run().counts == RowCounts(read=100, good=100)
    assert source.run().outcome == "nothing_new"


def test_an_empty_table_has_no_parts(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t (id int)")
    assert crm.declaring(table="t", parallel={"partition_column": "id", "num_partitions": 4}).read() == []


def test_the_database_does_what_is_declared(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t AS SELECT n AS id, n::text AS name, n * 1.5 AS price FROM generate_series(1, 10) n")
    source = crm.declaring(table="t", columns=["name", "id"], where="id > 8 -- the last two\n OR name = '1'")
    assert source.read() == [{"name": "1", "id": 1}, {"name": "9", "id": 9}, {"name": "10", "id": 10}]
    query = "SELECT id % 2 AS odd, sum(price)::numeric(10,2) AS price, sum(price) AS exact FROM t GROUP BY 1 -- halves"
    rows = crm.declaring(query=query, where="odd = 1").read()
    assert [(row["odd"], str(row["price"]), row["exact"]) for row in rows] == [(1, "37.50", "37.5")]
    keys = crm.declaring(query="SELECT jsonb_build_object(name, 1) AS doc FROM t", where="doc ?? '7'")
    assert keys.read() == [{"doc": '{"7": 1}'}]
    grown = crm.declaring(query="SELECT id, name FROM t", incremental={"cursor": "id"}, where="id <= 5")
    assert grown.run().counts == RowCounts(read=5, good=5)
    assert grown.declaring(query="SELECT id, name FROM t", incremental={"cursor": "id"}).run().counts.read == 5


def test_a_table_in_a_schema_and_names_that_need_quotes(crm: Crm, db: Connection) -> None:
    db.execute("""CREATE SCHEMA "Sales'" CREATE TABLE "My ""T" ("Last-At" text)""")
    db.execute("""INSERT INTO "Sales'"."My ""T" VALUES ('O''Neill')""")
    try:
        source = crm.declaring(table="""Sales'.My "T""", incremental={"cursor": "Last-At"})
        assert source.run().counts == RowCounts(read=1, good=1)
        assert source.run().outcome == "nothing_new"
    finally:
        db.execute("""DROP SCHEMA "Sales'" CASCADE""")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"table": "nowhere"}, 'relation "nowhere" does not exist; check the table\'s name and schema'),
        ({"table": "x.t"}, 'relation "x.t" does not exist; check the table\'s name and schema'),
        (
            {"table": "t", "incremental": {"cursor": "nowhen"}},
            r"crm\.t has no column 'nowhen', which `cursor` names; .*id",
        ),
        (
            {"table": "t", "parallel": {"partition_column": "ID", "num_partitions": 2}},
            "no column 'ID', which `partition_column` names; Allowed: doc, empty, id",
        ),
        ({"table": "t", "columns": ["nme"]}, "no column 'nme', which `columns` names; did you mean 'name'"),
        (
            {"table": "t", "incremental": {"cursor": "doc"}},
            "doc, which is of type jsonb; name a column of numbers, dates",
        ),
        (
            {"table": "t", "parallel": {"partition_column": "name", "num_partitions": 2}},
            "name, which is of type text; name a column of numbers, dates or times",
        ),
        ({"table": "t", "incremental": {"cursor": "empty"}}, "none of its 1 rows has a value in empty that could be"),
        ({"table": "t", "incremental": {"cursor": "id", "overlap": "1h"}}, "the cursor id is a number, so its overlap"),
        ({"table": "t", "where": "nme = 1"}, 'column "nme" does not exist; check the names under `where`'),
        ({"table": "t", "where": "id = "}, "syntax error .*; mend the SQL under `where` or `query`"),
        ({"query": "SELECT 1 AS a FORM t"}, "syntax error .*; mend the SQL"),
        ({"query": "SELECT nextval('counter') AS n"}, "cannot execute nextval.* in a read-only transaction"),
        ({"table": "named"}, r"crm\.named: no column may be called '_id', '_position', 'a b': .* by `query: SELECT"),
        ({"query": 'SELECT 1 AS a, 2 AS "A"'}, "crm.query: a and A differ by case alone"),
        ({"table": "vault"}, "permission denied.*; grant SELECT"),
    ],
)
def test_what_does_not_go_is_said_with_a_remedy(crm: Crm, db: Connection, source: dict[str, Any], said: str) -> None:
    db.execute("""CREATE TABLE t AS SELECT 1 AS id, 'a'::text AS name, '{}'::jsonb AS doc, NULL::int AS empty""")
    db.execute("""CREATE TABLE named AS SELECT 1 AS id, 2 AS "_id", 3 AS "_position", 4 AS "a b" """)
    db.execute("CREATE TABLE vault AS SELECT 1 AS id; CREATE SEQUENCE counter; DROP ROLE IF EXISTS clerk")
    db.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk''s word'; GRANT USAGE ON SCHEMA public TO clerk")
    reader = Crm(crm.lake, crm.url, source)
    if source.get("table") == "vault":
        reader = Crm(crm.lake, crm.url, source, "clerk", "clerk's word")
    with pytest.raises(SourceError, match=said) as refused:
        reader.run()
    assert not any(secret in str(refused.value) for secret in (PASSWORD, "clerk's word"))
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("crm")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong"}, "password authentication failed.*; check user and password"),
        ({"user": "nobody"}, "authentication failed.*; check user and password"),
        ({"url": "jdbc:postgresql://127.0.0.1:1/crm"}, "refused.*; check that the server runs"),
        ({"url": "{server}/nowhere"}, 'database "nowhere" does not exist; the database in the connection\'s url'),
        ({"url": "{server}/nowhere?password=hidden"}, r"/nowhere failed: .*password authentication failed"),
    ],
)
def test_a_database_that_is_not_there(crm: Crm, changes: dict[str, str], said: str) -> None:
    given = {"url": crm.url} | changes
    given["url"] = given["url"].format(server=crm.url.rsplit("/", 1)[0])
    with pytest.raises(SourceError, match=f"^crm: reading t from jdbc:postgresql://127.0.0.1:.*{said}") as refused:
        Crm(crm.lake, source={"table": "t"}, **given).run()
    assert not any(secret in str(refused.value) for secret in ("hidden", "wrong", PASSWORD))


def test_trouble_between_two_runs_costs_nothing(crm: Crm, db: Connection) -> None:
    db.execute("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN PASSWORD 'word'; CREATE TABLE t (id int, at date)")
    db.execute("GRANT SELECT ON t TO clerk; INSERT INTO t VALUES (1, '2026-01-01'), (NULL, '2026-01-01')")
    incremental = {"table": "t", "incremental": {"cursor": "at"}}
    clerk = Crm(crm.lake, crm.url, incremental, "clerk", "word")
    assert clerk.run().counts.read == 2
    db.execute("INSERT INTO t VALUES (2, '2026-01-02')")
    for trouble, mended, said in [
        ("ALTER ROLE clerk PASSWORD 'new'", "ALTER ROLE clerk PASSWORD 'word'", "check user and password"),
        ("REVOKE SELECT ON t FROM clerk", "GRANT SELECT ON t TO clerk", "grant SELECT on it to"),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t", "check the table's name and schema"),
    ]:
        db.execute(trouble)
        with pytest.raises(SourceError, match=f"^crm: reading t from .*{said}"):
            clerk.run()
        assert crm.lake.read("silver.t").count() == 2
        db.execute(mended)
    assert clerk.run().counts.read == 1
    assert clerk.run().outcome == "nothing_new"


def test_a_time_with_its_zone_is_compared_with_the_clock_of_the_server(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t (id int, at timestamptz)")
    db.execute("INSERT INTO t VALUES (1, now()), (2, now() + interval '2 hours'), (3, now() + interval '5 minutes')")
    source = by_cursor(crm, "at")
    entry = source.run()
    assert (entry.counts.read, "1 row is dated ahead of the clock" in entry.message) == (2, True)
    checks = {check.what: check for check in source.reader.probe()}
    assert not checks["freshness"].ok
    assert "1 row is dated ahead of the clock" in checks["freshness"].said
    db.execute("UPDATE t SET at = now() + interval '6 minutes' WHERE id = 2")
    assert source.run().counts.read == 1


def test_another_cursor_is_refused(crm: Crm, db: Connection) -> None:
    db.execute("CREATE TABLE t AS SELECT 1 AS id, 2 AS other")
    by_cursor(crm, "id").run()
    with pytest.raises(SourceError, match=r"went by the cursor id, .* declare id again, or give the pipeline another"):
        by_cursor(crm, "other").run()


@pytest.mark.slow
def test_a_connection_that_breaks_ends_the_run_and_the_next_goes_on(
    crm: Crm, db: Connection, postgres: EmbeddedPostgres
) -> None:
    db.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 400) n")
    db.execute(
        """CREATE FUNCTION slow(n int) RETURNS int VOLATILE LANGUAGE plpgsql AS
           'BEGIN PERFORM pg_sleep(0.001 * (SELECT wait FROM pace)); RETURN n; END';
           CREATE TABLE pace AS SELECT 10 AS wait"""
    )
    source = crm.declaring(query="SELECT slow(id) AS late, id FROM t", incremental={"cursor": "id"})
    broken = threading.Event()

    def break_it() -> None:
        with psycopg.connect(postgres.dsn, autocommit=True) as other:
            running = "FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%slow%' AND pid <> pg_backend_pid()"
            for _ in range(2400):
                if other.execute(f"SELECT count(*) {running} AND query LIKE '%_recent%'").fetchone() != (0,):
                    other.execute(f"SELECT pg_terminate_backend(pid) {running}")
                    broken.set()
                    return
                time.sleep(0.05)

    breaking = threading.Thread(target=break_it)
    breaking.start()
    with pytest.raises(
        SourceError, match=r"^crm: reading query from .* terminating connection .*; check that the server"
    ):
        source.run()
    breaking.join()
    assert broken.is_set()
    db.execute("INSERT INTO t VALUES (401); UPDATE pace SET wait = 0")
    assert source.run().counts == RowCounts(read=400, good=400)
    assert source.run().counts == RowCounts(read=1, good=1)
    assert Ledger(source.lake.root).history("t").batches == 2


def test_a_column_that_changes_its_type_costs_only_the_rows_that_do_not_fit(crm: Crm, db: Connection) -> None:
    sink = {"table": "silver.t", "mode": "merge", "keys": ["id"]}
    source = Crm(crm.lake, crm.url, {"table": "t", "incremental": {"cursor": "id"}}, sink=sink)
    db.execute("CREATE TABLE t (id int, tenure int); INSERT INTO t VALUES (1, 12)")
    assert source.run().counts == RowCounts(read=1, good=1)
    db.execute("ALTER TABLE t ALTER tenure TYPE text; ALTER TABLE t ADD city text; ALTER TABLE t ALTER id TYPE bigint")
    db.execute("INSERT INTO t VALUES (2, '24', 'Rome'), (3, 'two years', 'Oslo'), (3000000000, NULL, NULL)")
    assert source.run().counts == RowCounts(read=3, good=1, quarantined=2)
    bad = source.lake.read("bronze.t").where("_verdict = 'quarantined'").selectExpr("inline(_reasons)", "_original")
    assert sorted(tuple(row) for row in bad.collect()) == [
        (
            "id_type_changed",
            "id: found 3000000000, expected an int",
            '{"id":3000000000,"tenure":null,"city":null}',
        ),
        (
            "tenure_type_changed",
            "tenure: found two years, expected an int",
            '{"id":3,"tenure":"two years","city":"Oslo"}',
        ),
    ]
    good = source.lake.read("silver.t").orderBy("id").collect()
    assert [tuple(row) for row in good] == [(1, 12, None), (2, 24, "Rome")]
