"""SQL of Spark's over many rows and over one."""

import datetime as dt
from datetime import date
from decimal import Decimal
from math import inf, nan
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.core.errors import ScorerError
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.compiling.statements import made_columns
from lakeloop.scoring.expressions import columns_of, of_row, of_rows
from lakeloop.scoring.kinds import arrow_type, java_text, reader_of, text_of
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.row_functions import FUNCTIONS
from lakeloop.scoring.stages.scalars import Expressions


def time(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - without a zone, as scorers keep times


KINDS = {"a": "double", "b": "double", "n": "int", "s": "string", "d": "date", "t": "timestamp", "m": "decimal(6,2)",
         "y": "boolean"}  # fmt: skip


def both(sql: str, row: dict[str, Any]) -> tuple[Any, Any]:
    """An expression of one row, as a table of it and as a dictionary."""
    (tree,) = made_columns(f"SELECT *, {sql} AS made FROM __THIS__").values()
    given = {name: pa.array([row.get(name)], arrow_type(kind)) for name, kind in KINDS.items()}
    of_table = of_rows(tree, Columns(1, given))[0].as_py()
    code = RowCode(FUNCTIONS)
    for name, kind in KINDS.items():
        code.define(name, lambda name=name, kind=kind: code.assign(f"get({name!r})", kind, can_be_null=True))
    made = of_row(tree, code)
    return of_table, code.function(made.text)(row)


# What Spark 3.5 says of each, by its documentation and in tests/spark/test_scoring_parity.py.
SAID = [
    ("CASE WHEN abs(CAST(`a` AS DOUBLE)) < CAST('Infinity' AS DOUBLE) THEN CAST(`a` AS DOUBLE) END", {"a": 2.0}, 2.0),
    ("CASE WHEN abs(CAST(`a` AS DOUBLE)) < CAST('Infinity' AS DOUBLE) THEN CAST(`a` AS DOUBLE) END", {"a": nan}, None),
    ("CASE WHEN abs(CAST(`a` AS DOUBLE)) < CAST('Infinity' AS DOUBLE) THEN CAST(`a` AS DOUBLE) END", {"a": -inf}, None),
    ("CASE WHEN abs(CAST(`a` AS DOUBLE)) < CAST('Infinity' AS DOUBLE) THEN CAST(`a` AS DOUBLE) END", {}, None),
    ("coalesce(nullif(CAST(`s` AS STRING), ''), 'NULL')", {"s": ""}, "NULL"),
    ("coalesce(nullif(CAST(`s` AS STRING), ''), 'NULL')", {"s": "x"}, "x"),
    ("coalesce(nullif(CAST(`a` AS STRING), ''), 'NULL')", {"a": 1.0}, "1.0"),
    ("coalesce(nullif(CAST(`y` AS STRING), ''), 'NULL')", {"y": True}, "true"),
    ("CAST(`m` AS STRING)", {"m": Decimal("7.50")}, "7.50"),
    ("CAST(`d` AS STRING)", {"d": date(2024, 2, 9)}, "2024-02-09"),
    ("a / b", {"a": 1.0, "b": 0.0}, None),
    ("a / b", {"a": 1.0, "b": 4.0}, 0.25),
    ("ln(a)", {"a": 0.0}, None),
    ("a < b", {"a": 1.0, "b": nan}, True),
    ("a > b", {"a": nan, "b": 1.0}, True),
    ("a = b", {"a": nan, "b": nan}, True),
    ("least(a, b)", {"a": None, "b": 2.0}, 2.0),
    ("greatest(a, 0.5D)", {"a": 0.25}, 0.5),
    ("IF(a IS NULL, 1D, 2D)", {}, 1.0),
    ("month(`d`) - 1", {"d": date(2024, 2, 9)}, 1),
    ("weekday(`d`)", {"d": date(2024, 2, 9)}, 4),
    ("hour(`t`)", {"t": time(2024, 2, 9, 23)}, 23),
    ("CAST(year(`d`) AS DOUBLE)", {"d": date(2024, 2, 9)}, 2024.0),
    ("CAST(datediff(DATE'2024-03-01', CAST(`d` AS DATE)) AS DOUBLE)", {"d": date(2024, 2, 9)}, 21.0),
    ("CAST(datediff(DATE'2024-03-01', CAST(`t` AS DATE)) AS DOUBLE)", {"t": time(2024, 2, 29, 23)}, 1.0),
    ("element_at(CAST(split('0.5,0.25', ',') AS ARRAY<DOUBLE>), CAST(`n` AS INT) + 1)", {"n": 1}, 0.25),
    ("1 / (1 + exp(-(2.0D * a + -1.0D)))", {"a": -1000.0}, 0.0),
    ("coalesce(sin(CAST(a AS DOUBLE)), 0D)", {}, 0.0),
]


@pytest.mark.parametrize(("sql", "row", "wanted"), SAID)
def test_rows_and_row_say_what_spark_says(sql: str, row: dict[str, Any], wanted: Any) -> None:
    assert both(sql, row) == (wanted, wanted)


NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.5, -2.0, nan, inf, -inf]))
SQLS = st.sampled_from([
    "a + b", "a * b - a", "abs(a)", "-a", "a < b", "a > 0.5D", "a = b", "nullif(a, b)", "coalesce(a, b, 1D)",
    "CASE WHEN a < b THEN a WHEN b < a THEN b ELSE 0D END", "IF(a = b, a, b)", "a / b", "NOT a < b", "a IS NULL",
])  # fmt: skip


@given(SQLS, NUMBERS, NUMBERS)
def test_one_row_is_as_many(sql: str, a: float | None, b: float | None) -> None:
    of_table, of_one = both(sql, {"a": a, "b": b})
    assert repr(of_table) == repr(of_one)


@pytest.mark.parametrize("sql", ["upper(s)", "a % b", "CASE a WHEN 1 THEN 2 END", "CAST(s AS BINARY)", "s LIKE 'x'"])
def test_sql_without_counterpart_is_named(sql: str) -> None:
    with pytest.raises(ScorerError, match=r"counterpart|operand"):
        made_columns(f"SELECT *, {sql} AS made FROM __THIS__")


@pytest.mark.parametrize("statement", ["SELECT a AS b FROM __THIS__", "SELECT *, 1 AS a FROM __THIS__ WHERE a > 1"])
def test_statements_that_drop_columns_or_rows_are_refused(statement: str) -> None:
    with pytest.raises(ScorerError, match="SQLTransformer must"):
        made_columns(statement)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.0, "1.0"), (0.001, "0.001"), (0.00099, "9.9E-4"), (1e7, "1.0E7"), (9999999.0, "9999999.0"), (-0.0, "-0.0"),
     (1.5e300, "1.5E300"), (nan, "NaN"), (-inf, "-Infinity"), (123456789.0, "1.23456789E8"), (100.0, "100.0")],
)  # fmt: skip
def test_doubles_are_written_as_java_writes_them(number: float, text: str) -> None:
    assert java_text(number) == text


def test_times_are_written_as_spark_writes_them() -> None:
    assert text_of(time(2024, 1, 2, 3, 4, 5)) == "2024-01-02 03:04:05"
    assert text_of(time(2024, 1, 2, 3, 4, 5, 120_000)) == "2024-01-02 03:04:05.12"


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("int", 1.5, "a whole number is wanted"), ("int", True, "a whole number is wanted"),
        ("int", 2**31, "out of the range of int"), ("double", "1", "a number is wanted"),
        ("double", 10**400, "beyond what a double holds"), ("string", 1, "a text is wanted"),
        ("boolean", 1, "true or false is wanted"), ("date", "yesterday", "a date such as"),
        ("timestamp", "12:30", "a time such as"), ("decimal(4,2)", "x", "a decimal"),
        ("double", {"a": [1]}, "a number"),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_refused(kind: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        reader_of(kind)(value)


def test_values_become_what_their_kind_is() -> None:
    assert reader_of("int")(3.0) == 3
    assert reader_of("float")(0.1) == 0.10000000149011612
    assert reader_of("timestamp")("2024-01-02T03:04:05+02:00") == time(2024, 1, 2, 1, 4, 5)
    assert reader_of("date")("2024-01-02") == date(2024, 1, 2)
    assert reader_of("decimal(4,2)")(1.5) == Decimal("1.50")
    with pytest.raises(ValueError, match="no feature can be of type binary"):
        arrow_type("binary")


@pytest.mark.parametrize(
    ("name", "values"),
    [("s", ["x", None, "", "x", "y"]), ("n", [1, 1, None, -1]), ("y", [True, None, True]), ("s", []),
     ("d", [date(2024, 2, 9)] * 2), ("a", [0.0, -0.0, nan, None, 0.0]), ("m", [Decimal("7.5"), None, Decimal("7.5")])],
)  # fmt: skip
def test_what_follows_from_one_column_is_that_of_its_values(name: str, values: list[Any]) -> None:
    (tree,) = made_columns(f"SELECT *, coalesce(CAST({name} AS STRING), 'NULL') AS made FROM __THIS__").values()
    columns = Columns(len(values), {name: pa.array(values, arrow_type(KINDS[name]))})
    Expressions({"made": tree}).define(columns)
    places, of_values = columns.categories("made")
    assert [of_values[place].as_py() for place in places] == of_rows(tree, columns).to_pylist()
    if name != "a":
        assert len(of_values) == len(set(values))


def test_a_column_that_is_defined_anew_no_longer_follows_from_another() -> None:
    columns = Columns(2, {"s": pa.array(["x", "x"])})
    Expressions({"made": ["cast", "string", ["column", "s"]]}).define(columns)
    columns.define("made", lambda: pa.array(["other", "other"]))
    places, of_values = columns.categories("made")
    assert [of_values[place].as_py() for place in places] == ["other", "other"]


def test_the_columns_that_an_expression_looks_at_are_told() -> None:
    sql = "CASE WHEN a < 1 THEN b ELSE CAST(n AS DOUBLE) END AS x, coalesce(nullif(s, ''), 'NULL') AS y, 1.0 AS z"
    made = made_columns(f"SELECT *, {sql} FROM __THIS__")
    assert [columns_of(tree) for tree in made.values()] == [{"a", "b", "n"}, {"s"}, set()]
