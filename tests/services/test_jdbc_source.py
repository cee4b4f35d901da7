"""A real PostgreSQL by JDBC: types, the cursor, what goes wrong in words, and a column that changes its type."""

import datetime as dt
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.connections import JdbcConnection
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc import JdbcReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Plan
from lakeloop.lake.tables import Lake

PASSWORD = "it's \\ a secret"
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), PASSWORD) as server:
            yield server


@pytest.fixture
def crm(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    """A connection on which every statement is committed; no table is left behind."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        yield connection
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def open_table(
    spark: SparkSession, postgres: EmbeddedPostgres, table: str = "t", cursor: str | None = None, **changes: str
) -> JdbcReader:
    url, user, password = (
        changes.get(key, default)
        for key, default in (("url", postgres.jdbc_url), ("user", "lakeloop"), ("password", PASSWORD))
    )
    connection = JdbcConnection.model_validate({"url": url, "user": user, "password": "${secret:p}"})
    declared = {"jdbc": "crm", "table": table} | ({"incremental": {"cursor": cursor}} if cursor else {})
    return JdbcReader(spark, connection, password, JdbcSource.model_validate(declared))


def plan(source: JdbcReader, finished: Sequence[Plan] = ()) -> Plan | None:
    return source.plan(finished[-1] if finished else None, lambda text: None)


def attempt(source: JdbcReader) -> None:
    planned = plan(source)
    assert planned is not None
    source.read(planned)


def test_types_arrive_as_they_are(spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection) -> None:
    crm.execute(
        """CREATE TABLE t AS SELECT 1::int AS i, 2::bigint AS b, 1.50::numeric(10,2) AS n, 0.1::float8 AS f,
           true AS yes, 'ü''"`'::text AS "Text", date '2026-02-28' AS d, timestamptz '2026-02-28 10:00+02' AS at,
           NULL::int AS nothing, '{"a": 1}'::jsonb AS doc, ARRAY[1, 2] AS list,
           '00000000-0000-0000-0000-000000000001'::uuid AS uid"""
    )
    source = open_table(spark, postgres)
    planned = plan(source)
    assert planned is not None
    (row,) = source.read(planned).frame.collect()
    values = row.asDict()
    assert values["_position"].asDict() == {"origin": "crm.t", "record": None}
    assert (values["_original"]["i"], values["_original"]["nothing"]) == (1, None)
    assert {name: value for name, value in values.items() if not name.startswith("_")} == {
        "i": 1, "b": 2, "n": Decimal("1.50"), "f": 0.1, "yes": True, "Text": "ü'\"`", "d": dt.date(2026, 2, 28),
        "at": values["at"], "nothing": None, "doc": '{"a": 1}', "list": [1, 2],
        "uid": "00000000-0000-0000-0000-000000000001",
    }  # fmt: skip
    assert values["at"].astimezone(dt.UTC) == dt.datetime(2026, 2, 28, 8, tzinfo=dt.UTC)


def test_a_cursor_takes_each_row_once(spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection) -> None:
    crm.execute("""CREATE TABLE t (id int, "at" timestamptz)""")
    source = open_table(spark, postgres, cursor="at")
    assert plan(source) is None
    crm.execute("INSERT INTO t VALUES (1, '2026-01-01 00:00:00.000001Z'), (2, '2026-01-01Z'), (3, NULL)")
    first = plan(source)
    assert first is not None
    crm.execute("INSERT INTO t VALUES (4, '2026-01-01 00:00:00.000002Z')")
    assert sorted(row["id"] for row in source.read(first).frame.collect()) == [1, 2, 3]
    assert sorted(row["id"] for row in source.read(first).frame.collect()) == [1, 2, 3]
    second = plan(source, [first])
    assert second is not None
    assert [row["id"] for row in source.read(second).frame.collect()] == [4]
    assert second.summary.startswith("1 rows since 2026-01-01 00:00:00.000001")
    assert plan(source, [first, second]) is None


@pytest.mark.parametrize("values", ["9, 10, 2", "0.1, 0.30000000000000004, 0.2"])
def test_a_cursor_of_numbers(spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection, values: str) -> None:
    crm.execute(f"CREATE TABLE t AS SELECT unnest(ARRAY[{values}]::float8[]) AS at")
    source = open_table(spark, postgres, cursor="at")
    first = plan(source)
    assert first is not None
    assert source.read(first).frame.count() == 3
    assert plan(source, [first]) is None


def test_rows_without_a_cursor_are_read_once(spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection) -> None:
    crm.execute("CREATE TABLE t AS SELECT 1 AS id, NULL::timestamptz AS at")
    source = open_table(spark, postgres, cursor="at")
    first = plan(source)
    assert first is not None
    assert source.read(first).frame.count() == 1
    assert plan(source, [first]) is None
    crm.execute("INSERT INTO t VALUES (2, '2026-01-01Z')")
    second = plan(source, [first])
    assert second is not None
    assert [row["id"] for row in source.read(second).frame.collect()] == [2]


def test_names_that_no_table_can_have_are_refused_before_a_row_is_read(
    spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection
) -> None:
    crm.execute("""CREATE TABLE t AS SELECT 1 AS id, 2 AS "_id", 3 AS "_position", 4 AS "a b" """)
    with pytest.raises(SourceError, match=r"crm\.t: no column may be called '_id', '_position', 'a b': .* read a view"):
        attempt(open_table(spark, postgres))


def test_a_table_in_a_schema_and_names_that_need_quotes(
    spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection
) -> None:
    crm.execute("""CREATE SCHEMA "Sales'" CREATE TABLE "My ""T" ("LastAt" text)""")
    crm.execute("""INSERT INTO "Sales'"."My ""T" VALUES ('O''Neill')""")
    try:
        source = open_table(spark, postgres, """Sales'.My "T""", cursor="LastAt")
        first = plan(source)
        assert first is not None
        assert source.read(first).frame.count() == 1
        assert plan(source, [first]) is None
    finally:
        crm.execute("""DROP SCHEMA "Sales'" CASCADE""")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong"}, "password authentication failed.*; check user and password"),
        ({"user": "nobody"}, "authentication failed.*; check user and password"),
        ({"table": "nowhere"}, 'relation "nowhere" does not exist; check the table\'s name and schema'),
        ({"cursor": "nowhen"}, 'column "nowhen" does not exist; check the cursor\'s column name'),
        ({"table": "vault"}, "permission denied.*; grant SELECT"),
    ],
)
def test_what_the_database_refuses_is_said_with_a_remedy(
    spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection, changes: dict[str, str], said: str
) -> None:
    crm.execute("CREATE TABLE t AS SELECT 1 AS id; CREATE TABLE vault AS SELECT 1 AS id")
    crm.execute("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN PASSWORD 'clerk''s word'")
    crm.execute("GRANT USAGE ON SCHEMA public TO clerk")
    if changes.get("table") == "vault":
        changes = {**changes, "user": "clerk", "password": "clerk's word"}
    with pytest.raises(SourceError, match=f"crm: reading .* from jdbc:postgresql://127.0.0.1:.*{said}") as refused:
        attempt(open_table(spark, postgres, **changes))
    assert not any(secret in str(refused.value) for secret in (PASSWORD, "wrong", "clerk's word"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("jdbc:postgresql://127.0.0.1:1/crm", "refused.*; check that the server runs"),
        ("{server}/nowhere", 'database "nowhere" does not exist; the database in the connection\'s url'),
        ("{server}/nowhere?password=hidden", r"/nowhere failed: .*password authentication failed"),
    ],
)
def test_a_database_that_is_not_there(spark: SparkSession, postgres: EmbeddedPostgres, url: str, said: str) -> None:
    address = url.format(server=postgres.jdbc_url.rsplit("/", 1)[0])
    with pytest.raises(SourceError, match=said) as refused:
        attempt(open_table(spark, postgres, url=address))
    assert "hidden" not in str(refused.value)


def test_a_column_that_changes_its_type_costs_only_the_rows_that_do_not_fit(
    spark: SparkSession, postgres: EmbeddedPostgres, crm: Connection, tmp_path: Path
) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))
    spec = PipelineSpec.model_validate({
        "pipeline": "t", "description": "T", "source": {"jdbc": "crm", "table": "t", "incremental": {"cursor": "id"}},
        "sink": {"table": "silver.t", "mode": "merge", "keys": ["id"]},
    })  # fmt: skip

    def run() -> RowCounts:
        source = open_table(spark, postgres, cursor="id")
        return Pipeline(spec, source, lake).run(RunContext("run", "test"), lambda text: None).counts

    crm.execute("CREATE TABLE t (id int, tenure int); INSERT INTO t VALUES (1, 12)")
    assert run() == RowCounts(read=1, good=1)
    crm.execute("ALTER TABLE t ALTER tenure TYPE text; ALTER TABLE t ADD city text; ALTER TABLE t ALTER id TYPE bigint")
    crm.execute("INSERT INTO t VALUES (2, '24', 'Rome'), (3, 'two years', 'Oslo'), (3000000000, NULL, NULL)")
    assert run() == RowCounts(read=3, good=1, quarantined=2)
    bad = lake.read("bronze.t").where("_verdict = 'quarantined'").selectExpr("inline(_reasons)", "_original")
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
    good = lake.read("silver.t").orderBy("id").collect()
    assert [tuple(row) for row in good] == [(1, 12, None), (2, 24, "Rome")]
