"""What each type of PostgreSQL becomes in the lake: the table of docs/databases.md, line by line, and what fits not."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.sources.replay import ReplayReader, Replays, WithReplays
from lakeloop.lake.tables import Lake
from tests.crm import Connection, Crm, empty_database, running_postgres

PAGE = Path(__file__).parents[2] / "docs/databases.md"
# Type, SQL of a value, type in the lake, value in the lake; times as texts, since Python's have the machine's zone.
CASES: list[tuple[str, str, str, Any]] = [
    ("smallint", "-32768", "smallint", -32768),
    ("integer", "2147483647", "int", 2147483647),
    ("bigint", "9223372036854775807", "bigint", 9223372036854775807),
    ("oid", "4294967295", "bigint", 4294967295),
    ("real", "0.1", "float", 0.10000000149011612),
    ("double precision", "0.30000000000000004", "double", 0.30000000000000004),
    ("numeric(10,2)", "1.50", "decimal(10,2)", Decimal("1.50")),
    ("numeric(38,0)", "9" * 38, "decimal(38,0)", Decimal("9" * 38)),
    ("numeric(40,2)", f"{'9' * 38}.90", "string", f"{'9' * 38}.90"),
    ("numeric", f"{'8' * 30}.{'7' * 30}", "string", f"{'8' * 30}.{'7' * 30}"),
    ("money", "'-1234.50'", "string", "-1234.50"),
    ("boolean", "true", "boolean", True),
    ("text", "'ü''\"`\\\n☃'", "string", "ü'\"`\\\n☃"),
    ("character varying(20)", "'a '", "string", "a "),
    ("character(5)", "'ab'", "string", "ab"),
    ("uuid", "'00000000-0000-0000-0000-00000000000A'", "string", "00000000-0000-0000-0000-00000000000a"),
    ("json", """'{"b": 1,  "a": null}'""", "string", '{"b": 1,  "a": null}'),
    ("jsonb", """'{"b": 1.10,  "a": null}'""", "string", '{"a": null, "b": 1.10}'),
    ("mood", "'fine'", "string", "fine"),
    ("positive", "7", "int", 7),
    ("point2d", "ROW(1, 2)", "string", "(1,2)"),
    ("bytea", r"'\x00ff'::bytea", "binary", bytearray(b"\x00\xff")),
    ("bit(3)", "B'101'", "string", "101"),
    ("date", "'2026-02-28'", "date", dt.date(2026, 2, 28)),
    ("date", "'0001-01-01'", "date", dt.date(1, 1, 1)),
    ("timestamp with time zone", "'2026-02-28 10:00:00.123456+02'", "timestamp", "2026-02-28 08:00:00.123456"),
    ("timestamp with time zone", "'1000-01-01 00:00:00+00'", "timestamp", "1000-01-01 00:00:00.000000"),
    ("timestamp without time zone", "'2026-03-29 02:30:00.5'", "timestamp", "2026-03-29 02:30:00.500000"),
    ("timestamp without time zone", "'9999-12-31 23:59:59.999999'", "timestamp", "9999-12-31 23:59:59.999999"),
    ("time without time zone", "'24:00:00'", "string", "24:00:00"),
    ("time with time zone", "'10:00:00.5+02'", "string", "10:00:00.5+02"),
    ("interval", "'1 year 2 days 03:04:05.678'", "string", "P1Y2DT3H4M5.678S"),
    ("inet", "'192.168.0.1/24'", "string", "192.168.0.1/24"),
    ("int4range", "'[1,5)'", "string", "[1,5)"),
    ("tsvector", "'a b'", "string", "'a' 'b'"),
    ("integer[]", "ARRAY[1, NULL, 3]", "array<int>", [1, None, 3]),
    ("bigint[]", "'{}'", "array<bigint>", []),
    ("double precision[]", "ARRAY[0.1, 'NaN']::float8[]", "array<double>", [0.1, float("nan")]),
    ("boolean[]", "ARRAY[true, false]", "array<boolean>", [True, False]),
    ("text[]", """ARRAY['a,"', NULL, '']""", "array<string>", ['a,"', None, ""]),
    ("numeric(10,2)[]", "ARRAY[1.10, 2]", "array<string>", ["1.10", "2.00"]),
    ("timestamp with time zone[]", "'{2026-01-01 01:00+01}'", "array<string>", ["2026-01-01 00:00:00+00"]),
    ("mood[]", "ARRAY['fine']::mood[]", "array<string>", ["fine"]),
]  # fmt: skip
# Type, SQL of a value that the lake cannot hold, and what is found.
UNFIT = [
    ("timestamptz", "'infinity'", "found infinity, expected a timestamp"),
    ("timestamptz", "'-infinity'", "found -infinity, expected a timestamp"),
    ("timestamp", "'infinity'", "found infinity, expected a timestamp"),
    ("timestamp", "'0044-03-15 BC'", "found 0044-03-15 00:00:00+00 BC, expected a timestamp"),
    ("timestamptz", "'12026-01-01Z'", "found 12026-01-01 00:00:00+00, expected a timestamp"),
    ("date", "'infinity'", "found infinity, expected a date"),
    ("date", "'0044-03-15 BC'", "found 0044-03-15 BC, expected a date"),
    ("date", "'12026-01-01'", "found 12026-01-01, expected a date"),
    ("numeric(10,2)", "'NaN'", "found NaN, expected a decimal(10,2)"),
    ("numeric", "'NaN'", "found NaN, expected a finite number"),
    ("numeric", "'-Infinity'", "found -Infinity, expected a finite number"),
    ("int[]", "ARRAY[[1, 2], [3, 4]]", "found {{1,2},{3,4}}, expected an array<int>"),
    ("text[]", "ARRAY[['a']]", "found {{a}}, expected an array<string>"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def db(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with empty_database(postgres) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('fine', 'bad'); CREATE DOMAIN positive AS int CHECK (value > 0)")
        connection.execute("CREATE TYPE point2d AS (x int, y int)")
        yield connection


@pytest.fixture
def crm(postgres: EmbeddedPostgres, db: Connection, spark: SparkSession, tmp_path: Path) -> Crm:
    return Crm(Lake(spark, str(tmp_path / "lake")), postgres.jdbc_url, {"table": "t"})


def create_table(db: Connection, types: list[str], *rows: list[str]) -> None:
    columns = ", ".join(f"c{at} {type_}" for at, type_ in enumerate(types))
    db.execute(f"CREATE TABLE t (id int, {columns})")
    for number, row in enumerate(rows):
        db.execute(f"INSERT INTO t VALUES ({number}, {', '.join(row)})")


@pytest.mark.parametrize("as_query", [False, True], ids=["table", "query"])
def test_every_type_arrives_as_the_page_says(crm: Crm, db: Connection, as_query: bool) -> None:
    create_table(db, [case[0] for case in CASES], [case[1] for case in CASES], ["NULL"] * len(CASES))
    source = crm.declaring(query="SELECT * FROM t") if as_query else crm
    assert source.run().counts == RowCounts(read=2, good=2)
    lake = source.lake.read("silver.t")
    types = [field.dataType.simpleString() for field in lake.schema][1:]
    # In a query the precision of 38 may stand for any greater one, and a domain is not looked into.
    by_text = {"numeric(38,0)", "positive"} if as_query else set()
    expected = ["string" if case[0] in by_text else case[2] for case in CASES]
    assert types == expected
    texts = [
        f"date_format(c{at}, 'yyyy-MM-dd HH:mm:ss.SSSSSS') AS c{at}" if type_ == "timestamp" else f"c{at}"
        for at, type_ in enumerate(types)
    ]
    values, nulls = lake.orderBy("id").selectExpr(*texts).collect()
    assert all(value is None for value in nulls)
    for at, (type_, _, _, value) in enumerate(CASES):
        wanted = str(value) if type_ in by_text else value
        assert repr(values[at]) == repr(wanted), type_  # so that NaN equals itself
    # What reads the lake without Spark sees the same times.
    moments = [f"c{at}" for at, type_ in enumerate(types) if type_ == "timestamp"]
    plain = DeltaTable(source.lake.path("bronze.t")).to_pyarrow_table(columns=["id", *moments]).sort_by("id")
    for name in moments:
        found = plain[name][0].as_py()
        assert f"{found:%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0") == values[int(name[1:])]


def test_the_page_has_these_lines() -> None:
    section = PAGE.read_text().partition("## What each type becomes")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (`.*?`) \| `(.*?)` \|", section, re.MULTILINE)
    said = {(type_, becomes) for types, becomes in lines for type_ in re.findall(r"`(.*?)`", types)}
    named = {"mood": "an enum", "positive": "a domain over integer", "point2d": "a composite", "mood[]": "an enum[]"}
    assert said == {(named.get(type_, type_), becomes) for type_, _, becomes, _ in CASES}


def test_what_the_lake_cannot_hold_costs_its_row_alone(crm: Crm, db: Connection) -> None:
    rows = [[case[1] if at == number else "NULL" for at in range(len(UNFIT))] for number, case in enumerate(UNFIT)]
    create_table(db, [case[0] for case in UNFIT], *rows, ["NULL"] * len(UNFIT))
    assert crm.run().counts == RowCounts(read=len(UNFIT) + 1, good=1, quarantined=len(UNFIT))
    assert crm.quarantined() == sorted((f"c{at}_fits", f"c{at}: {case[2]}") for at, case in enumerate(UNFIT))


def test_digits_of_a_numeric_come_into_a_declared_decimal(crm: Crm, db: Connection) -> None:
    create_table(db, ["numeric"], ["1.50"], ["12345678.9"], ["NULL"])
    source = Crm(crm.lake, crm.url, {"table": "t"}, transforms=({"cast": {"c0": "decimal(5,2)"}},))
    assert source.run().counts == RowCounts(read=3, good=2, quarantined=1)
    assert source.quarantined() == [("c0_is_castable", "c0: found 12345678.9, expected a decimal(5,2)")]
    assert [row["c0"] for row in source.lake.read("silver.t").orderBy("id").collect()] == [Decimal("1.50"), None]


def test_a_quarantined_row_comes_back_with_all_types(crm: Crm, db: Connection) -> None:
    """Judged again from its original, as a rule that has been relaxed would have it."""
    kept = [case for case in CASES if case[0] != "double precision[]"]
    create_table(db, [case[0] for case in kept], [case[1] for case in kept], [case[1] for case in kept])
    strict = {"is_in_range": {"column": "id", "max": 0}}
    spec = crm.spec.model_validate(
        crm.spec.model_dump(exclude={"rules"}, exclude_defaults=True, mode="json") | {"rules": [strict]}
    )
    assert spec.rules
    run = RunContext("run", "test")
    counts = Pipeline(spec, crm.reader, crm.lake).run(run, lambda _: None).counts
    assert counts == RowCounts(read=2, good=1, quarantined=1)
    asked = WithReplays(crm.reader, ReplayReader(crm.lake, crm.spec, Replays()), is_asked=True)
    assert Pipeline(crm.spec, asked, crm.lake).run(run, lambda _: None).counts == RowCounts(read=1, good=1)
    first, again = crm.lake.read("silver.t").drop("id").collect()
    assert first == again
