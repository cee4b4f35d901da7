"""Row rules on presence, sets and texts, by values whose verdict is known by hand; and what all row rules share."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, SparkSession

from lakeloop.core.errors import TableError
from lakeloop.quality import Rule, judge_rules
from lakeloop.quality.row_rules import ROW_RULES
from lakeloop.quality.row_rules.columns import quoted
from lakeloop.quality.row_rules.numbers import is_in_range
from lakeloop.quality.row_rules.presence import is_not_blank, is_not_empty, is_not_nan, is_not_null, is_null
from lakeloop.quality.row_rules.sets import is_in, is_not_in
from lakeloop.quality.row_rules.texts import does_not_match, has_length, has_size, matches
from tests.verdicts import messages, violating

TEXTS = [None, "", " ", "\t", "\n", "\u00a0", "a", " a "]


def test_is_not_null_is_violated_by_null_alone(spark: SparkSession) -> None:
    missing = "a: found NULL, expected a value"
    assert messages(spark, "string", TEXTS, is_not_null("a")) == [missing, *[None] * 7]
    assert messages(spark, "double", [None, math.nan, math.inf, 0.0], is_not_null("a")) == [missing, *[None] * 3]
    assert messages(spark, "array<int>", [None, [], [None]], is_not_null("a")) == [missing, None, None]


def test_is_null_is_violated_by_every_value(spark: SparkSession) -> None:
    assert violating(spark, "string", TEXTS, is_null("a")) == TEXTS[1:]
    assert messages(spark, "double", [None, 0.5, -math.inf], is_null("a")) == [
        None,
        "a: found 0.5, expected no value",
        "a: found -Infinity, expected no value",
    ]


def test_empty_blank_null_and_nan_are_four_things(spark: SparkSession) -> None:
    assert violating(spark, "string", TEXTS, is_not_empty("a")) == [""]
    assert violating(spark, "string", TEXTS, is_not_blank("a")) == TEXTS[:6]
    assert messages(spark, "string", [None, "", " "], is_not_blank("a")) == [
        "a: found NULL, expected a text that is not blank",
        "a: found , expected a text that is not blank",
        "a: found  , expected a text that is not blank",
    ]
    assert messages(spark, "double", [None, math.nan, math.inf, -0.0], is_not_nan("a")) == [
        None,
        "a: found NaN, expected a number that is not NaN",
        None,
        None,
    ]
    assert len(violating(spark, "float", [None, math.nan, 1.0, -math.nan], is_not_nan("a"))) == 2


@pytest.mark.parametrize(
    ("sql_type", "values"),
    [("string", [None, "NaN"]), ("date", [dt.date(2026, 1, 1)]), ("array<double>", [[math.nan]])],
)
def test_only_numbers_are_nan(spark: SparkSession, sql_type: str, values: list[Any]) -> None:
    assert violating(spark, sql_type, values, is_not_nan("a")) == []


def test_is_in_compares_whole_texts(spark: SparkSession) -> None:
    values = [None, "Yes", "yes", "Yes ", "Yes\n", "", "1", "2026-01-01"]
    assert violating(spark, "string", values, is_in("a", ["Yes", 1])) == ["yes", "Yes ", "Yes\n", "", "2026-01-01"]
    assert violating(spark, "string", values, is_not_in("a", ["Yes", 1])) == ["Yes", "1"]
    assert messages(spark, "string", ["yes"], is_in("a", ["Yes", 1])) == ["a: found yes, expected one of Yes, 1"]
    assert messages(spark, "string", ["1"], is_not_in("a", ["Yes", 1])) == ["a: found 1, expected none of Yes, 1"]


def test_sets_take_booleans_numbers_and_dates_as_yaml_gives_them(spark: SparkSession) -> None:
    assert violating(spark, "boolean", [True, False, None], is_in("a", [True])) == [False]
    assert violating(spark, "int", [1, 2, 3], is_in("a", [1, 2])) == [3]
    assert violating(spark, "date", [dt.date(2026, 1, 2), dt.date(2026, 1, 3)], is_in("a", [dt.date(2026, 1, 2)])) == [
        dt.date(2026, 1, 3)
    ]
    assert violating(spark, "decimal(4,2)", [Decimal("1.50")], is_in("a", [1.5])) == [Decimal("1.50")]


def test_a_long_set_is_shown_in_part(spark: SparkSession) -> None:
    (message,) = messages(spark, "int", [99], is_in("a", list(range(23))))
    assert message == f"a: found 99, expected one of {', '.join(map(str, range(20)))} and 3 more"


PATTERNS = [
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
    (r"(?s).*", "a\nb", True),
    ("(?x) a b # two\n", "ab", True),
    (r"\p{L}+", "Ωж", True),
]


def test_a_pattern_is_about_the_whole_text(spark: SparkSession) -> None:
    columns = ", ".join(f"c{place} string" for place in range(len(PATTERNS)))
    frame = spark.createDataFrame([[value for _, value, _ in PATTERNS], [None] * len(PATTERNS)], columns).coalesce(1)
    for rule, what, refused in ((matches, "a", False), (does_not_match, "no", True)):
        rows = frame.select(*(rule(f"c{place}", pattern) for place, (pattern, _, _) in enumerate(PATTERNS))).collect()
        assert list(rows[0]) == [
            f"c{place}: found {value}, expected {what} text like {pattern}" if is_matched is refused else None
            for place, (pattern, value, is_matched) in enumerate(PATTERNS)
        ]
        assert list(rows[1]) == [None] * len(PATTERNS)


def test_has_length_counts_characters(spark: SparkSession) -> None:
    values = [None, "", "a", "äö", "abc", "abcd", "ab\n", "😀😀😀"]
    assert violating(spark, "string", values, has_length("a", min=1, max=3)) == ["", "abcd"]
    assert messages(spark, "string", ["abcd"], has_length("a", 1, 3)) == ["a: found abcd, expected 1 to 3 characters"]
    assert messages(spark, "string", [""], has_length("a", min=1)) == [
        "a: found , expected 1 to any number of characters"
    ]
    assert messages(spark, "int", [7, 1234], has_length("a", max=3)) == [
        None,
        "a: found 1234, expected 0 to 3 characters",
    ]


def test_has_size_counts_elements_and_entries(spark: SparkSession) -> None:
    assert violating(spark, "array<int>", [None, [], [None], [1, 1]], has_size("a", min=1, max=1)) == [[], [1, 1]]
    assert messages(spark, "map<string,int>", [None, {}, {"x": None}], has_size("a", min=1)) == [
        None,
        "a: found {}, expected 1 to any number of elements",
        None,
    ]


def test_a_long_value_is_shown_in_part(spark: SparkSession) -> None:
    (message,) = messages(spark, "string", ["x" * 5000], has_length("a", max=1))
    assert message == f"a: found {'x' * 200}, expected 0 to 1 characters"


def test_a_column_may_have_any_name(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None, "x")], "`a.b` string, `c``d` string")
    found = frame.select(is_not_null("a.b").alias("one"), has_length("c`d", max=0).alias("two"))
    expected = spark.createDataFrame(
        [("a.b: found NULL, expected a value", "c`d: found x, expected 0 to 0 characters")], "one string, two string"
    )
    assert_df_equality(found, expected)


def every_rule(column: str, other: str) -> dict[str, Any]:
    """A declaration of each row rule on two columns of text."""
    two = {"columns": [column, other]}
    given = {
        "is_castable": {"type": "int"},
        "is_in_range": {"min": 0, "above": 0, "max": 5, "below": 5},
        "is_multiple_of": {"of": 2},
        "has_decimals": {"max": 1},
        "is_in": {"values": ["x"]},
        "is_not_in": {"values": ["v"]},
        "matches": {"pattern": "x"},
        "does_not_match": {"pattern": "v"},
        "has_length": {"min": 9},
        "is_json": {"keys": [column]},
        "has_check_digit": {"method": "isbn"},
        "is_between": {"since": "2026-01-01"},
        "is_not_older": {"than": "1d"},
        "is_timestamp": {"zone": "Europe/Rome"},
        "compares": {"operator": "<", "to": other},
        "adds_up": {"of": [other, column]},
    }
    whole = {"have_one_of": two, "are_all_or_none": two, "sql": {"condition": f"{quoted(column)} > {quoted(other)}"}}
    names = [rule.__name__ for rule in ROW_RULES if rule.__name__ != "has_size"]
    return {name: whole.get(name) or {"column": column, **given.get(name, {})} for name in names}


def compiled(declared: dict[str, Any]) -> dict[str, Column]:
    rules = {kind: Rule.model_validate({kind: given}) for kind, given in declared.items()}
    functions = {rule.__name__: rule for rule in ROW_RULES}
    return {kind: functions[kind](**rule.parameters) for kind, rule in rules.items()}


def test_null_holds_but_where_a_value_is_asked_for(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None, None)], "a string, b string")
    (row,) = frame.select(*(column.alias(kind) for kind, column in compiled(every_rule("a", "b")).items())).collect()
    assert {kind for kind, message in row.asDict().items() if message} == {"is_not_null", "is_not_blank", "have_one_of"}
    assert len(row) == len(ROW_RULES) - 1
    assert messages(spark, "array<int>", [None], has_size("a", min=1)) == [None]


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["a.b`c", "a') OR 1=1 --"])
@example(["$1\\'\"%s{0}", "*"])
@given(st.lists(NAMES, min_size=2, max_size=2, unique_by=str.lower))
def test_a_name_is_data_in_every_rule_and_in_every_message(spark: SparkSession, names: list[str]) -> None:
    column, other = names
    if any("${" in name for name in names):
        return  # refused, see below
    schema = f"{quoted(column)} string, {quoted(other)} string"
    frame = spark.createDataFrame([("v", None), ("v", "w")], schema).coalesce(1)
    rules = compiled(every_rule(column, other))
    rows = frame.select(*(violation.alias(kind) for kind, violation in rules.items())).collect()
    for kind in ("is_null", "is_in_range", "is_castable", "is_email", "is_json", "is_date", "is_between", "matches"):
        assert rows[0][kind].startswith(f"{column}: found v, expected "), kind
    assert rows[0]["are_all_or_none"].startswith(f"{column}, {other}: found v, NULL, expected ")
    assert rows[1]["adds_up"].startswith(f"{column}, {other}: found v, w, expected {column} = {other} + {column}")
    assert rows[1]["sql"].startswith(f"{', '.join(sorted(names))}: found ")
    assert rows[1]["compares"] is None


def test_a_verdict_on_columns_of_hostile_names(spark: SparkSession) -> None:
    names = ["a.b`c", "a') OR 1=1 --", "x\n'\"\\"]
    frame = spark.createDataFrame([("v", "w", None)], ", ".join(f"{quoted(name)} string" for name in names))
    declared = [{"is_in": {"column": name, "values": ["v"], "filter": f"{quoted(name)} > 'a'"}} for name in names]
    declared.append({"is_not_null": {"column": names[2], "severity": "warn"}})
    (row,) = judge_rules(frame, [Rule.model_validate(each) for each in declared]).collect()
    assert [tuple(reason) for reason in row["_reasons"]] == [
        ("a') OR 1=1 --_is_in", "a') OR 1=1 --: found w, expected one of v"),
        (f"{names[2]}_is_not_null", f"{names[2]}: found NULL, expected a value"),
    ]


def test_a_column_that_is_missing_is_named_wherever_a_rule_looks(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("v",)], "A string")
    for declared in (
        {"sql": "a > b"},
        {"is_not_null": {"column": "a", "filter": "b = 1"}},
        {"have_one_of": ["a", "b"]},
    ):
        with pytest.raises(TableError, match="no column 'b'; the row has A"):
            judge_rules(frame, [Rule.model_validate(declared)])


def test_a_name_that_spark_would_replace_is_refused_where_sql_is_needed(spark: SparkSession) -> None:
    name = "${system:user.home}"
    frame = spark.createDataFrame([(None,)], f"`{name}` string")
    assert frame.select(is_not_null(name)).first() == (f"{name}: found NULL, expected a value",)
    with pytest.raises(TableError, match="which Spark replaces in SQL; rename it first"):
        is_in_range(name, min=0)


def test_a_good_row_costs_a_condition_and_no_message(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1.0,)], "a double")
    filtered = frame.where(is_in_range("a", min=0, max=9).isNotNull())
    plan = filtered._jdf.queryExecution().executedPlan().toString()
    assert "concat" not in plan
    assert "typeof" not in plan
    assert "decimal" not in plan
    assert "*(1) Filter" in plan


def test_spark_compiles_every_condition_but_those_on_json_into_its_stage(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("v", "w", 1.0, [1])], "a string, b string, c double, d array<int>")
    rules = compiled(every_rule("a", "b")) | {"is_not_nan": is_not_nan("c"), "has_size": has_size("d", max=1)}
    plans = {
        kind: frame.where(violation.isNotNull())._jdf.queryExecution().executedPlan().toString()
        for kind, violation in rules.items()
    }
    assert len(plans) == len(ROW_RULES)
    assert {kind for kind, plan in plans.items() if not plan.startswith("*(1) ")} == {"is_json"}
