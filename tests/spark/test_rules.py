"""Every row rule on values whose verdict is known by hand; `None` in the expectation means that the rule holds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lakeloop.quality import rules
from lakeloop.quality.rule import ROW_RULES


@pytest.fixture
def messages(spark: SparkSession) -> Callable[[str, list[Any], Column], list[str | None]]:
    def judge_values(sql_type: str, values: list[Any], violation: Column) -> list[str | None]:
        frame = spark.createDataFrame([(value,) for value in values], f"a {sql_type}").coalesce(1)
        return [row[0] for row in frame.select(violation).collect()]

    return judge_values


Messages = Callable[[str, list[Any], Column], list[str | None]]
TEXTS = [None, "", " ", "\t", "\n", "\u00a0", "a", " a "]


def test_is_not_null_is_violated_by_null_alone(messages: Messages) -> None:
    missing = "a: found NULL, expected a value"
    assert messages("string", TEXTS, rules.is_not_null("a")) == [missing, *[None] * 7]
    assert messages("double", [None, math.nan, math.inf, 0.0], rules.is_not_null("a")) == [missing, None, None, None]
    assert messages("array<int>", [None, [], [None]], rules.is_not_null("a")) == [missing, None, None]


def test_is_not_blank_wants_a_character_that_is_no_white_space(messages: Messages) -> None:
    found = messages("string", TEXTS, rules.is_not_blank("a"))
    assert found[0] == "a: found NULL, expected a text that is not blank"
    assert found[2] == "a: found  , expected a text that is not blank"
    assert [message is not None for message in found] == [True] * 6 + [False] * 2


@pytest.mark.parametrize(
    ("sql_type", "values", "violated"),
    [
        ("int", [None, -1, 0, 5, 10, 11], [False, True, False, False, False, True]),
        ("bigint", [-(2**63), 2**63 - 1], [True, True]),
        ("double", [math.nan, math.inf, -math.inf, -0.0, 10.000001, 10.0], [True, True, True, False, True, False]),
        (
            "string",
            ["", " ", "x", "NaN", "5", " 5 ", "5\n", "1e1", "11", "-0.0001", "5,5"],
            [True, True, True, True, False, False, False, False, True, True, True],
        ),
        ("boolean", [True, False], [False, False]),
    ],
)
def test_is_in_range_includes_both_ends_and_refuses_what_is_no_number(
    messages: Messages, sql_type: str, values: list[Any], violated: list[bool]
) -> None:
    found = messages(sql_type, values, rules.is_in_range("a", min=0, max=10))
    assert [message is not None for message in found] == violated


def test_is_in_range_may_be_open_at_either_end(messages: Messages) -> None:
    values = [-math.inf, -1.0, 0.0, 1.0, math.inf, math.nan, None]
    nan = "a: found NaN, expected a number from {} to {}"
    assert messages("double", values, rules.is_in_range("a", min=0)) == [
        "a: found -Infinity, expected a number from 0 to ∞",
        "a: found -1.0, expected a number from 0 to ∞",
        *[None] * 3,
        nan.format("0", "∞"),
        None,
    ]
    assert messages("double", values, rules.is_in_range("a")) == [*[None] * 5, nan.format("−∞", "∞"), None]


def test_a_bound_is_shown_as_it_was_declared(messages: Messages) -> None:
    assert messages("int", [7654322], rules.is_in_range("a", min=0.1, max=7654321)) == [
        "a: found 7654322, expected a number from 0.1 to 7654321"
    ]


def test_is_in_compares_whole_texts(messages: Messages) -> None:
    found = messages("string", [None, "Yes", "yes", "Yes ", "Yes\n", "", "1", "2026-01-01"],
                     rules.is_in("a", ["Yes", 1]))  # fmt: skip
    assert [message is not None for message in found] == [False, False, True, True, True, True, False, True]
    assert found[2] == "a: found yes, expected one of Yes, 1"


def test_is_in_takes_booleans_numbers_and_dates_as_yaml_gives_them(messages: Messages) -> None:
    import datetime as dt

    assert messages("boolean", [True, None], rules.is_in("a", [True])) == [None, None]
    assert messages("boolean", [False], rules.is_in("a", [True])) == ["a: found false, expected one of true"]
    assert messages("int", [1, 2], rules.is_in("a", [1, 2])) == [None, None]
    assert messages("date", [dt.date(2026, 1, 2)], rules.is_in("a", [dt.date(2026, 1, 2)])) == [None]


@pytest.mark.parametrize(
    ("pattern", "value", "holds"),
    [
        (r"\w+@\w+\.org", "a@b.org", True),
        (r"\w+@\w+\.org", "a@b.org\n", False),
        (r"\w+@\w+\.org", " a@b.org", False),
        (r"\w+@\w+\.org$", "a@b.org\n", False),
        (r"^\d{4}-[A-Z]{5}$", "0001-ABCDE", True),
        (r"a|b", "b", True),
        (r"a|b", "ab", False),
        (r".*", "", True),
        (r".+", "", False),
        (r".*", "a\nb", False),
        (r"x", None, True),
    ],
)
def test_matches_is_about_the_whole_text(messages: Messages, pattern: str, value: str | None, holds: bool) -> None:
    expected = None if holds else f"a: found {value}, expected a text like {pattern}"
    assert messages("string", [value], rules.matches("a", pattern)) == [expected]


def test_has_length_counts_characters(messages: Messages) -> None:
    values = [None, "", "a", "äö", "abc", "abcd", "ab\n", "😀😀😀"]
    found = messages("string", values, rules.has_length("a", min=1, max=3))
    assert [message is not None for message in found] == [False, True, False, False, False, True, False, False]
    assert found[5] == "a: found abcd, expected 1 to 3 characters"
    assert messages("string", ["", "ab"], rules.has_length("a", min=1)) == [
        "a: found , expected 1 to any number of characters",
        None,
    ]
    assert messages("int", [7, 1234], rules.has_length("a", max=3)) == [
        None,
        "a: found 1234, expected 0 to 3 characters",
    ]


def test_a_long_value_is_shown_in_part(messages: Messages) -> None:
    (message,) = messages("string", ["x" * 5000], rules.has_length("a", max=1))
    assert message == f"a: found {'x' * 200}, expected 0 to 1 characters"


def test_a_column_may_have_any_name(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None, "x")], "`a.b` string, `c``d` string")
    found = frame.select(rules.is_not_null("a.b").alias("one"), rules.has_length("c`d", max=0).alias("two"))
    expected = spark.createDataFrame(
        [("a.b: found NULL, expected a value", "c`d: found x, expected 0 to 0 characters")], "one string, two string"
    )
    assert_df_equality(found, expected)


def test_no_row_rule_fails_on_null_or_changes_the_rows(spark: SparkSession) -> None:
    declared = {"min": 0, "max": 1, "values": [1], "pattern": "x"}
    frame = spark.createDataFrame([(None,)], "a string")
    for rule in ROW_RULES:
        wanted = {name: value for name, value in declared.items() if name in rule.__annotations__}
        (row,) = frame.select(rule("a", **wanted)).collect()
        assert (row[0] is None) == (rule not in (rules.is_not_null, rules.is_not_blank)), rule.__name__


def test_is_not_ahead_goes_by_the_clock(messages: Messages) -> None:
    assert messages("string", [None, "2020-01-01", "2020-01-01T00:00:00Z"], rules.is_not_ahead("a")) == [None] * 3
    assert messages("string", ["9999-01-01", "soon"], rules.is_not_ahead("a", by="1d")) == [
        "a: found 9999-01-01, expected a time that is at most 1d ahead of the clock",
        "a: found soon, expected a time that is at most 1d ahead of the clock",
    ]
    near = F.current_timestamp() + F.expr("INTERVAL 1 HOUR")
    one = SparkSession.active().range(1).select(near.alias("a"))
    found = one.select(rules.is_not_ahead("a").isNull(), rules.is_not_ahead("a", by="2h").isNull()).first()
    assert found is not None
    assert tuple(found) == (False, True)
