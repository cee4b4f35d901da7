"""Conditions in SQL: what may stand in them, which columns they read, and that names are data."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lakeloop.quality import Rule
from lakeloop.quality.row_rules.columns import quoted
from lakeloop.quality.sql_conditions import Condition, columns_of

CONDITION: TypeAdapter[str] = TypeAdapter(Condition)


def refusal(condition: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        CONDITION.validate_python(condition)
    return str(caught.value.errors()[0]["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("a > 1", ("a",)),
        ("a + b = c AND NOT d", ("a", "b", "c", "d")),
        ("`a b` <=> NULL OR `x``y` IS NULL", ("a b", "x`y")),
        ("payload.kind RLIKE 'x' AND exists(items, i -> i.price > 1)", ("items", "payload")),
        ("a = '; DROP TABLE x' OR a = '-- no comment' OR a = '/*'", ("a",)),
        ("\"b\" = a", ("a",)),  # a text between double quotes, as Spark has it
        ("a LIKE ANY ('x', 'y')", ("a",)),
        ("a IN (1, 2) AND b BETWEEN 1 AND c", ("a", "b", "c")),
        ("aggregate(a, 0, (x, y) -> x + y) > b", ("a", "b")),
        ("CASE WHEN a THEN b ELSE c END", ("a", "b", "c")),
        ("a >= current_timestamp() - INTERVAL 1 DAY", ("a",)),
        ("some_function_of_a_library(a)", ("a",)),
        ("filter(a, x -> x > 1)[0] = 1 AND a.b.c = 2", ("a",)),
        ("(a, b) IN ((1, 2))", ("a", "b")),
        ("TRIM(BOTH 'x' FROM a) = r'\\d'", ("a",)),
        ("user = 'x'", ("user",)),
    ],
)  # fmt: skip
def test_a_condition_on_a_row_is_taken_and_tells_its_columns(condition: str, columns: tuple[str, ...]) -> None:
    assert CONDITION.validate_python(condition) == condition
    assert columns_of(condition) == columns


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("a > 1; DROP TABLE x", "in one expression; take the semicolon away"),
        ("a > 1;", "in one expression; take the semicolon away"),
        ("DROP TABLE x", "not a condition in SQL"),
        ("SELECT 1", "not a condition in SQL"),
        ("a > 1) OR (b", "not a condition in SQL"),
        ("a, b", "not a condition in SQL"),
        ("a AS b", "not a condition in SQL"),
        ("", "not a condition in SQL"),
        ("a = 'x", "a text or a comment in it has no end"),
        ("a > (SELECT max(b) FROM t)", "so `(SELECT MAX(b) FROM t)` has no place in it"),
        ("a IN (SELECT b FROM t)", "has no place in it"),
        ("EXISTS (SELECT 1)", "has no place in it"),
        ("sum(a) > 1", "a condition looks at one row by itself, so `SUM(a)` has no place in it"),
        ("count(*) > 1", "has no place in it"),
        ("row_number() OVER (ORDER BY a) = 1", "has no place in it"),
        ("explode(a) = 1", "has no place in it"),
        ("struct(*) = a", "so `*` has no place in it"),
        ("any(a)", "so `any` has no place in it"),
        ("every(a)", "so `every` has no place in it"),
        ("std(a) > 1", "so `std` has no place in it"),
        ("a > 1 -- why", "a condition has no comments; write them behind a # of YAML"),
        ("a > /* 0 */ 1", "a condition has no comments"),
        ("/*+ x */ a > 1", "a condition has no comments"),
        ("-- a", "a condition has no comments"),
        ("a = '${env:HOME}'", "Spark would replace ${ in it; write the value itself"),
        ("a = :b", "nobody gives `:b` a value"),
        ("a = ?", "nobody gives `?` a value"),
        ("(" * 3_000 + "a" + ")" * 3_000, "the condition is nested too deeply"),
        ("NOT " * 2_000 + "a", "the condition is nested too deeply"),
        ("a = '" + "x" * 10_000 + "'", "a text of at most 10000 characters"),
        (True, "Input should be a valid string"),
    ],
)
def test_what_is_no_condition_on_one_row_is_refused(condition: Any, said: str) -> None:
    assert said in refusal(condition)


@pytest.mark.parametrize(
    "call",
    [
        *("rand()", "RANDOM(1)", "randn()", "uuid()", "shuffle(a)", "monotonically_increasing_id()"),
        *("spark_partition_id()", "input_file_name()", "input_file_block_start()"),
    ],
)
def test_a_function_that_changes_from_try_to_try_is_refused(call: str) -> None:
    name = call.split("(", maxsplit=1)[0].lower()
    assert f"`{name}` has no place in it" in refusal(f"a = {call}") or name == "random"
    assert refusal(f"a = {call}").startswith("a condition says the same of a row every time, so `")


@pytest.mark.parametrize(
    "call",
    [
        *("reflect('java.lang.System', 'exit', 1)", "java_method('a', 'b')", "try_reflect('a', 'b')"),
        *("raise_error('x')", "assert_true(a)", "current_user()", "current_database()", "version()"),
        *("`reflect`('a', 'b')", "system.builtin.reflect('a', 'b')", "REFLECT('a', 'b')", "identifier('a')"),
    ],
)
def test_a_function_that_runs_code_or_looks_elsewhere_is_refused(call: str) -> None:
    assert refusal(f"a = 1 OR {call} = a").startswith("a condition looks at the row alone and changes nothing, so `")


def test_every_place_of_a_condition_is_checked() -> None:
    for declared in (
        {"sql": "rand() > a"},
        {"is_not_null": {"column": "a", "filter": "rand() > b"}},
    ):
        with pytest.raises(ValidationError, match="a condition says the same of a row every time, so `rand`"):
            Rule.model_validate(declared)


def test_a_rule_of_sql_reads_a_column_and_names_it() -> None:
    rule = Rule.model_validate({"sql": "net + tax = gross"})
    assert (rule.name, rule.columns) == ("gross_net_tax_sql", ("gross", "net", "tax"))
    with pytest.raises(ValidationError, match="the condition reads no column, so it says the same of every row"):
        Rule.model_validate({"sql": "1 = 1"})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20))
def test_a_name_between_backticks_is_a_name(name: str) -> None:
    condition = f"{quoted(name)} > 1 AND b = 1"
    if "${" in name:
        assert "Spark would replace" in refusal(condition)
    else:
        assert CONDITION.validate_python(condition) == condition
        assert set(columns_of(condition)) == {name, "b"}
