"""Row rules on numbers, on types and on several columns, by values whose verdict is known by hand."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakeloop.quality.row_rules.conditions import sql
from lakeloop.quality.row_rules.numbers import has_decimals, is_in_range, is_multiple_of
from lakeloop.quality.row_rules.several_columns import adds_up, are_all_or_none, compares, have_one_of
from lakeloop.quality.row_rules.types import is_castable
from tests.verdicts import messages, violating

D = Decimal
NAN, INF = math.nan, math.inf
BIG = 2**53  # beyond it a double cannot tell neighbours apart


@pytest.mark.parametrize(
    ("sql_type", "good", "bad"),
    [
        ("int", [None, 0, 5, 10], [-1, 11]),
        ("bigint", [0], [-(2**63), 2**63 - 1]),
        ("double", [None, -0.0, 0.0, 10.0], [NAN, INF, -INF, 10.000001]),
        ("float", [0.0, 10.0], [NAN, -1e-30]),
        ("decimal(38,20)", [D(10), D(0)], [D("10.000000000000000001"), D("-0.000000000000000001")]),
        ("boolean", [True, False], []),
        (
            "string",
            [None, "5", "+5", "5.", ".5", "1e1", "-0.0"],
            ["", " ", "x", "NaN", "Infinity", " 5", "5 ", "5\n", "5d", "5f", "٣", "1e", "11", "-0.0001", "5,5"],
        ),
    ],
)  # fmt: skip
def test_is_in_range_includes_both_ends_and_refuses_what_is_no_number(
    spark: SparkSession, sql_type: str, good: list[Any], bad: list[Any]
) -> None:
    found = messages(spark, sql_type, [*good, *bad], is_in_range("a", min=0, max=10))
    assert [message is not None for message in found] == [False] * len(good) + [True] * len(bad)


def test_is_in_range_may_be_open_at_either_end(spark: SparkSession) -> None:
    values = [-INF, -1.0, 0.0, 1.0, INF, NAN, None]
    nan = "a: found NaN, expected a number from {} to {}"
    assert messages(spark, "double", values, is_in_range("a", min=0)) == [
        "a: found -Infinity, expected a number from 0 to ∞",
        "a: found -1.0, expected a number from 0 to ∞",
        *[None] * 3,
        nan.format("0", "∞"),
        None,
    ]
    assert messages(spark, "double", values, is_in_range("a")) == [*[None] * 5, nan.format("−∞", "∞"), None]


def test_above_and_below_exclude_their_ends(spark: SparkSession) -> None:
    rule = is_in_range("a", above=0, below=1)
    values = [None, 0.0, -0.0, 5e-324, 0.5, 1.0, NAN]
    assert messages(spark, "double", values, rule) == [
        None,
        "a: found 0.0, expected a number above 0 and below 1",
        "a: found -0.0, expected a number above 0 and below 1",
        None,
        None,
        "a: found 1.0, expected a number above 0 and below 1",
        "a: found NaN, expected a number above 0 and below 1",
    ]
    assert messages(spark, "int", [0, 3], is_in_range("a", above=0, max=2)) == [
        "a: found 0, expected a number above 0 and up to 2",
        "a: found 3, expected a number above 0 and up to 2",
    ]


@pytest.mark.parametrize(
    ("limits", "bad"),
    [
        ({"max": BIG}, [BIG + 1]),
        ({"min": BIG}, [BIG - 1]),
        ({"above": BIG}, [BIG - 1, BIG]),
        ({"below": BIG}, [BIG, BIG + 1]),
        ({"below": BIG + 1}, [BIG + 1]),
    ],
)
def test_a_limit_is_exact_where_a_double_is_not(spark: SparkSession, limits: dict[str, Any], bad: list[int]) -> None:
    values, rule = [BIG - 1, BIG, BIG + 1], is_in_range("a", **limits)
    assert violating(spark, "bigint", values, rule) == bad
    assert violating(spark, "string", [str(value) for value in values], rule) == [str(value) for value in bad]
    assert violating(spark, "decimal(20,2)", [D(value) for value in values], rule) == [D(value) for value in bad]


def test_a_limit_may_have_an_exponent(spark: SparkSession) -> None:
    assert violating(spark, "bigint", [10**18, -1], is_in_range("a", min=1e-7, max=1e19)) == [-1]
    assert violating(spark, "decimal(38,18)", [D("1e-7"), D("9e-8")], is_in_range("a", min=1e-7)) == [D("9e-8")]
    assert violating(spark, "bigint", [2 * 10**17, 10**16], is_multiple_of("a", 1e17)) == [10**16]


def test_a_bound_is_shown_as_it_was_declared(spark: SparkSession) -> None:
    assert messages(spark, "int", [7654322], is_in_range("a", min=0.1, max=7654321)) == [
        "a: found 7654322, expected a number from 0.1 to 7654321"
    ]


def test_is_multiple_of_counts_in_decimals(spark: SparkSession) -> None:
    doubles = [0.15, 0.05, -0.05, 0.0, None, 0.07, NAN, INF, -INF]
    assert len(violating(spark, "double", doubles, is_multiple_of("a", 0.05))) == 4
    assert violating(spark, "string", ["0.15", " 0.15", "0.151", "x", ""], is_multiple_of("a", 0.05)) == [
        *(" 0.15", "0.151", "x", "")
    ]
    assert violating(spark, "bigint", [0, 4, -2, None, 2**62 + 1], is_multiple_of("a", 2)) == [2**62 + 1]
    assert messages(spark, "int", [3], is_multiple_of("a", 2)) == ["a: found 3, expected a multiple of 2"]


def test_has_decimals_counts_no_zeros_at_the_end(spark: SparkSession) -> None:
    assert len(violating(spark, "double", [1.5, 0.1, 1e22, None, 1.55, INF, NAN], has_decimals("a", 1))) == 3
    assert violating(spark, "decimal(10,3)", [D("1.500"), D("1.550")], has_decimals("a", 1)) == [D("1.550")]
    assert violating(spark, "string", ["1.50", "12", "1e-3", "x", " 1"], has_decimals("a", 1)) == ["1e-3", "x", " 1"]
    assert messages(spark, "string", ["1.5", "1.0"], has_decimals("a", 0)) == [
        "a: found 1.5, expected a whole number",
        None,
    ]


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("int", ["5", "+5", "-2147483648", "007", None], ["5.7", "5.0", " 5", "5\n", "2147483648", "1e3", "", "٣"]),
        ("tinyint", ["127", "-128"], ["128", "-129"]),
        ("bigint", ["9223372036854775807"], ["9223372036854775808"]),
        ("decimal(5,2)", ["1.50", "1.500", "999.99", "-0.00"], ["1.505", "1000", "x", "1e2", " 1", "1."]),
        ("decimal(38,0)", ["9" * 38], ["9" * 39, "0.5"]),
        ("double", ["1.5", "-.5", "1e300", "NaN", "Infinity", "-Infinity"], ["1.5d", "inf", "1e400", "", " 1"]),
        ("float", ["1.5"], ["1e39"]),
        ("boolean", ["true", "FALSE"], ["yes", "1", "t", "", " true", "true\n"]),
        ("date", ["2024-02-29", None], ["2025", "2024-02-30", "2024-1-1", "2024-01-01 00:00", "2024-01-01\n", "12:30"]),
        (
            "timestamp",
            ["2024-01-01 00:00", "2024-01-01T23:59:59.123456Z", "2024-01-01 00:00:00+05:30"],
            ["2025", "12:30", "2024-01-01", "2024-01-01T25:00", "2024-02-30 10:00", " 2024-01-01 00:00", "now", "",
             "2024-01-01 00:00+05:30"],
        ),
        ("timestamp_ntz", ["2024-01-01 00:00"], ["2024-01-01 00:00Z", "2025"]),
    ],
)  # fmt: skip
def test_is_castable_takes_what_the_text_says_exactly(
    spark: SparkSession, type_: str, good: list[Any], bad: list[Any]
) -> None:
    assert violating(spark, "string", [*good, *bad], is_castable("a", type_)) == bad


def test_what_is_no_text_is_castable_by_its_text(spark: SparkSession) -> None:
    assert messages(spark, "double", [5.0, None], is_castable("a", "int")) == [
        "a: found 5.0, expected a value of type int",
        None,
    ]
    assert violating(spark, "int", [127, 128], is_castable("a", "tinyint")) == [128]


def test_compares_two_columns(spark: SparkSession) -> None:
    bad = {
        "<": [(2.0, 1.0), (1.0, 1.0)],
        "<=": [(2.0, 1.0)],
        "=": [(1.0, 2.0), (2.0, 1.0)],
        "!=": [(1.0, 1.0)],
        ">=": [(1.0, 2.0)],
        ">": [(1.0, 2.0), (1.0, 1.0)],
    }
    rows = [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (None, 1.0), (1.0, None), (None, NAN)]
    with_nan = [(NAN, 1.0), (1.0, NAN), (NAN, NAN)]
    frame = spark.createDataFrame([*rows, *with_nan], "a double, b double").coalesce(1)
    signs: list[Any] = list(bad)
    found = frame.select(*(compares("a", sign, "b").isNotNull().alias(sign) for sign in signs)).collect()
    for sign, wanted in bad.items():
        assert [row for row, verdict in zip(rows, found, strict=False) if verdict[sign]] == wanted
        assert all(verdict[sign] for verdict in found[len(rows) :])


def test_compares_times_texts_and_a_text_with_a_number(spark: SparkSession) -> None:
    days = [(dt.date(2024, 1, 1), dt.date(2024, 1, 2)), (dt.date(2024, 1, 2), dt.date(2024, 1, 1)), (None, None)]
    assert messages(spark, "a date, b date", days, compares("a", "<=", "b")) == [
        None,
        "a, b: found 2024-01-02, 2024-01-01, expected a <= b",
        None,
    ]
    assert violating(spark, "a string, b string", [("10", "9"), ("9", "10"), ("", None)], compares("a", "<=", "b")) == [
        ("9", "10")
    ]
    mixed = [("1", 2), ("10", 9), ("x", 9), (None, 1), ("NaN", 1), ("1", None)]
    assert violating(spark, "a string, b int", mixed, compares("a", "<=", "b")) == [("10", 9), ("x", 9), ("NaN", 1)]
    assert violating(spark, "b int, a string", [(2, "1"), (9, "10")], compares("b", ">", "a")) == [(9, "10")]


def test_values_of_several_columns(spark: SparkSession) -> None:
    rows = [("1", 2), (None, None), (None, 1), ("", None)]
    assert violating(spark, "a string, b int", rows, have_one_of(["a", "b"])) == [(None, None)]
    assert messages(spark, "a string, b int", rows, are_all_or_none(["a", "b"])) == [
        None,
        None,
        "a, b: found NULL, 1, expected values in all of them or in none",
        "a, b: found , NULL, expected values in all of them or in none",
    ]


def test_adds_up_within_a_tolerance(spark: SparkSession) -> None:
    columns = "a double, b double, c string"
    good = [(0.3, 0.1, "0.2"), (1.0, 1.0, None), (None, 1.0, "x"), (1.004, 1.0, "0"), (1e9, 1e9, "0")]
    bad = [(1.01, 1.0, "0"), (1.0, 1.0, "x"), (1.0, 1.0, " 0"), (INF, 1.0, "1"), (INF, INF, "1")]
    assert violating(spark, columns, [*good, *bad], adds_up("a", ["b", "c"], within=0.005)) == bad
    assert len(violating(spark, columns, [(NAN, 1.0, "1"), (1.0, NAN, "1")], adds_up("a", ["b", "c"]))) == 2
    cents = [(D("1000000.03"), D("1000000.01"), D("0.02")), (D("1000000.03"), D("1000000.01"), D("0.01"))]
    assert messages(spark, "a decimal(12,2), b decimal(12,2), c decimal(12,2)", cents, adds_up("a", ["b", "c"])) == [
        None,
        "a, b, c: found 1000000.03, 1000000.01, 0.01, expected a = b + c",
    ]


def test_sql_holds_unless_it_is_false(spark: SparkSession) -> None:
    rows = [(1, 2), (2, 1), (None, 1)]
    assert messages(spark, "a int, b int", rows, sql("a < b")) == [None, "a, b: found 2, 1, expected a < b", None]
    assert violating(spark, "a int, b int", rows, sql("coalesce(a < b, false)")) == [(2, 1), (None, 1)]
