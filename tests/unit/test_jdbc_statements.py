"""The SQL that is sent, run by SQLite as Python has it: parts and intervals have each row exactly once."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc import postgresql, sqlite
from lakeloop.ingestion.sources.jdbc.order import between
from lakeloop.ingestion.sources.jdbc.statements import Interval, Relation, identifier, parts, string

SQLITE = sqlite.Sqlite()
CELLS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary())


def count_of_conditions(values: Sequence[Any], conditions: Sequence[str]) -> list[int]:
    """How many of the conditions hold for each value of the column `c`."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, c)")
        database.executemany("INSERT INTO t (c) VALUES (?)", [(value,) for value in values])
        held = " + ".join(f"coalesce(({condition}), 0)" for condition in conditions)
        return [row[0] for row in database.execute(f"SELECT {held} FROM t ORDER BY n")]


@given(st.lists(CELLS, min_size=1), st.integers(-100, 100), st.integers(0, 1000), st.integers(2, 20))
def test_parts_have_each_row_once_whatever_it_holds(values: list[Any], least: int, width: int, number: int) -> None:
    boundaries = between(str(least), str(least + width), "integer", number)
    divided = parts(identifier("c"), boundaries) or ["1 = 1"]
    assert len(divided) == len(boundaries) + 1
    inside = [least, least + width, *map(int, boundaries), *(int(boundary) - 1 for boundary in boundaries)]
    assert set(count_of_conditions([*values, *inside], divided)) == {1}


@given(st.lists(CELLS, min_size=1), st.lists(st.integers(-50, 50), min_size=1, max_size=8, unique=True))
def test_batches_take_each_row_once(values: list[Any], ends: list[int]) -> None:
    """Up to the first end with all that has no place, then interval by interval; what is beyond the last waits."""
    ordered = SQLITE.ordered(sqlite.column_of("c", "INTEGER"))
    interval, uptos = Interval(identifier("c"), ordered), sorted(ends)
    batches = [interval.until(str(uptos[0]))]
    batches += [interval.fresh(str(after), str(upto)) for after, upto in pairwise(uptos)]
    everything = [*values, *range(-60, 60)]
    waits = [isinstance(value, int) and value > uptos[-1] for value in everything]
    assert count_of_conditions(everything, batches) == [0 if later else 1 for later in waits]
    assert count_of_conditions(everything, [interval.after(str(uptos[-1]))]) == [int(later) for later in waits]
    again = interval.again(str(uptos[0]), str(uptos[-1]))
    assert count_of_conditions(everything, [again]) == [
        int(isinstance(value, int) and uptos[0] <= value <= uptos[-1]) for value in everything
    ]


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("2026-01-01 00:00:00", 1), ("2026-01-01 00:00:00.5", 1), ("2026-01-01 00:00:00.123456789", 1),
        ("2026-02-30 00:00:00", 0), ("2026-01-01 24:00:00", 0), ("0000-01-01 00:00:00", 0), ("2026-01-01 00:00:00.", 0),
        ("2026-01-01T00:00:00", 0), ("2026-01-01 00:00:00Z", 0), ("2026-01-01 00:00:00.5+01:00", 0),
        ("2026-01-01", 0), (1767225600, 0), (None, 0),
    ],
)  # fmt: skip
def test_times_of_sqlite_have_one_form(value: object, holds: int) -> None:
    assert count_of_conditions([value], [SQLITE.ordered(sqlite.column_of("c", "TIMESTAMP"))]) == [holds]


@pytest.mark.parametrize(
    ("value", "holds"),
    [("2026-02-28", 1), ("2026-02-30", 0), ("0000-00-00", 0), ("today", 0), (20260228, 0), (None, 0)],
)
def test_dates_of_sqlite_exist(value: object, holds: int) -> None:
    assert count_of_conditions([value], [SQLITE.ordered(sqlite.column_of("c", "DATE"))]) == [holds]


def test_names_and_texts_are_quoted() -> None:
    assert identifier('My "T') == '"My ""T"'
    assert string("O'Neill") == "'O''Neill'"


def test_a_statement_keeps_the_users_sql_on_lines_of_its_own() -> None:
    table = Relation.of(JdbcSource.model_validate({"jdbc": "crm", "table": "sales.t", "where": "a > 1 -- not all"}))
    assert table.select(["a"], "b = 2 OR c") == (
        'SELECT a FROM "sales"."t" WHERE (\na > 1 -- not all\n) AND (b = 2 OR c)'
    )
    query = Relation.of(JdbcSource.model_validate({"jdbc": "crm", "query": "SELECT 1 -- one"}))
    assert query.select(["*"]) == "SELECT * FROM (\nSELECT 1 -- one\n) AS lakeloop_query"


@pytest.mark.parametrize(
    ("type_", "becomes", "read_as", "order"),
    [
        ("smallint", None, "SMALLINT", "integer"),
        ("numeric(10,2)", "decimal(10,2)", "STRING", "number"),
        ("numeric(38,0)", "decimal(38,0)", "STRING", "number"),
        ("numeric(39,0)", "finite number", "STRING", "number"),
        ("numeric(3,-2)", "finite number", "STRING", "number"),
        ("numeric", "finite number", "STRING", "number"),
        ("timestamp(3) with time zone", "timestamp", "STRING", "instant"),
        ("timestamp without time zone", "timestamp", "STRING", "moment"),
        ("character varying(20)", None, "STRING", "text"),
        ("integer[]", "array<int>", "STRING", None),
        ("numeric(10,2)[]", "array<string>", "STRING", None),
        ("jsonb", None, "STRING", None),
        ("mood", None, "STRING", None),
    ],
)
def test_types_of_postgresql(type_: str, becomes: str | None, read_as: str, order: str | None) -> None:
    column = postgresql.column_of("c", type_)
    assert (column.becomes, column.read_as, column.order) == (becomes, read_as, order)


@pytest.mark.parametrize(
    ("type_", "becomes", "order"),
    [
        ("BIGINT UNSIGNED", "bigint", "integer"), ("boolean", "boolean", None), ("DOUBLE PRECISION", "double", None),
        ("DATETIME", "timestamp", "moment"), ("date", "date", "date"), ("BLOB", "binary", None),
        ("VARCHAR(20)", None, "text"), ("DECIMAL(10,2)", None, "text"), ("", None, "text"),
    ],
)  # fmt: skip
def test_types_of_sqlite(type_: str, becomes: str | None, order: str | None) -> None:
    column = sqlite.column_of("c", type_)
    assert (column.becomes, column.order) == (becomes, order)
