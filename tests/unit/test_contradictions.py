"""Rule sets that no value can satisfy are refused with the names of the rules, the reason, file and line."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.quality import Rule
from lakeloop.quality.contradictions import contradictions, find_contradictions

REMEDY = "; change one of them, or say with `filter` which rows each is for"


def found(*declared: dict[str, Any]) -> list[str]:
    return contradictions([Rule.model_validate(each) for each in declared])


def span(name: str = "a_is_in_range", **limits: Any) -> dict[str, Any]:
    return {"is_in_range": {"column": "a", "name": name, **limits}}


def order(column: str, operator: str, to: str, **options: Any) -> dict[str, Any]:
    return {"compares": {"column": column, "operator": operator, "to": to, **options}}


def values(kind: str, *allowed: Any, name: str = "v", **options: Any) -> dict[str, Any]:
    return {kind: {"column": "a", "values": list(allowed), "name": name, **options}}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([span(min=5, max=3)], "a_is_in_range can hold for no value: a would have to be at least 5 and at most 3"),
        ([span(min=5, below=5)], "a_is_in_range can hold for no value: a would have to be at least 5 and less than 5"),
        ([span(above=5, max=5)], "a_is_in_range can hold for no value: a would have to be more than 5 and at most 5"),
        (
            [span("low", min=5), span("high", max=3)],
            "low and high contradict each other: a would have to be at least 5, and a would have to be at most 3",
        ),
        (
            [{"has_length": {"column": "a", "min": 5, "max": 3}}],
            "a_has_length can hold for no value: a would have at least 5 and at most 3 characters",
        ),
        (
            [{"has_length": {"column": "a", "min": 1, "max": 0}}],
            "a_has_length can hold for no value: a would have at least 1 and at most 0 characters",
        ),
        (
            [
                {"has_size": {"column": "a", "min": 2, "name": "s"}},
                {"has_size": {"column": "A", "max": 1, "name": "t"}},
            ],
            "s and t contradict each other: a would have at least 2 elements, and A would have at most 1 elements",
        ),
        (
            [values("is_in", 1, 2), values("is_in", 3, name="w")],
            "v and w contradict each other: w leaves none of the values 1, 2",
        ),
        (
            [span("r", min=3), values("is_in", 1, 2, "x")],
            "r and v contradict each other: r leaves none of the values 1, 2, x",
        ),
        (
            [values("is_in", "x"), values("is_not_in", "x", "y", name="w")],
            "v and w contradict each other: w leaves none of the values x",
        ),
        (
            [values("is_in", "abc"), {"has_length": {"column": "a", "max": 2}}],
            "v and a_has_length contradict each other: a_has_length leaves none of the values abc",
        ),
        (
            [values("is_in", 1, 5), span("r", min=3), values("is_not_in", 5, name="w")],
            "v, r and w contradict each other: together they leave none of the values 1, 5",
        ),
        (
            [{"is_null": "a"}, {"is_not_null": "a"}],
            "a_is_null and a_is_not_null contradict each other: a would have to be NULL and have a value",
        ),
        (
            [{"is_not_blank": "a"}, {"is_null": "a"}],
            "a_is_not_blank and a_is_null contradict each other: a would have to be NULL and have a value",
        ),
        (
            [{"is_between": {"column": "a", "since": "2026-01-02", "until": "2026-01-02"}}],
            ("a_is_between can hold for no value: a would have to be at or after 2026-01-02T00:00:00+00:00 and before "
            "2026-01-02T00:00:00+00:00"),
        ),
        (
            [order("a", "<", "b"), order("b", "<", "a")],
            "a_b_compares and b_a_compares contradict each other: a and b cannot be in such an order",
        ),
        (
            [order("a", "=", "b"), order("A", "!=", "B", name="n")],
            "a_b_compares and n contradict each other: a and b cannot be in such an order",
        ),
        ([order("a", "!=", "a")], "a_compares can hold for no value: a is never != itself"),
        (
            [order("a", "<=", "b"), order("b", "<", "c"), order("c", "<=", "a")],
            "a_b_compares, b_c_compares and c_a_compares contradict each other: b ≤ c ≤ a ≤ b would have to be a ring",
        ),
        (
            [{"is_email": "a"}, {"is_iban": "a"}],
            "a_is_email and a_is_iban contradict each other: no text has both formats",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_told_with_names_and_reason(rules: list[dict[str, Any]], said: str) -> None:
    assert found(*rules) == [said + (REMEDY if "contradict" in said else "; change it")]


@pytest.mark.parametrize(
    "rules",
    [
        [span(min=5), span("n", max=5)],
        [span(min=3, max=3)],
        [span("low", min=5), span("high", max=3, severity="warn")],
        [span("low", min=5), span("high", max=3, filter="b = 1")],
        [span("low", min=5, filter="b = 2"), span("high", max=3, filter="b = 1")],
        [values("is_in", 1, 2), values("is_in", 2, 3, name="w")],
        [values("is_in", "a", "b"), values("is_not_in", "a", name="w")],
        [{"is_null": "a"}, values("is_in", 1)],
        [{"is_null": "a"}, {"is_not_null": "b"}],
        [{"is_email": "a"}, {"is_email": {"column": "a", "name": "again"}}],
        [
            {"is_between": {"column": "a", "since": "2026-01-01"}},
            {"is_between": {"column": "a", "until": "2026-01-02", "name": "n"}},
        ],
        [order("a", "<=", "b"), order("b", "<=", "a")],
        [order("a", "<", "b"), order("b", "<", "c"), order("a", "<", "c")],
        [order("a", "<", "b"), order("b", "<", "a", filter="c")],
        [{"has_length": {"column": "a", "min": 2}}, {"has_size": {"column": "a", "max": 1}}],
    ],
)  # fmt: skip
def test_what_can_hold_together_is_left_alone(rules: list[dict[str, Any]]) -> None:
    assert found(*rules) == []


def test_rules_of_one_filter_contradict_each_other() -> None:
    assert len(found(span("low", min=5, filter="b = 1"), span("high", max=3, filter="b = 1"))) == 1


LIMITS = st.fixed_dictionaries({}, optional=dict.fromkeys(("min", "max", "above", "below"), st.integers(0, 3)))
OPERATORS = ("<", "<=", "=", "!=", ">=", ">")


@given(st.lists(LIMITS, min_size=1, max_size=3))
def test_ranges_are_refused_exactly_if_no_number_lies_in_all(limits: list[dict[str, int]]) -> None:
    def allows(limit: dict[str, int], value: float) -> bool:
        low = value >= limit.get("min", -9) and value > limit.get("above", -9)
        return low and value <= limit.get("max", 9) and value < limit.get("below", 9)

    some = any(all(allows(limit, half / 2) for limit in limits) for half in range(-2, 10))
    rules = [span(f"r{place}", **limit) for place, limit in enumerate(limits)]
    assert (found(*rules) == []) is some


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(OPERATORS), st.sampled_from("abc")), max_size=4))
def test_orders_that_are_refused_have_no_solution(orders: list[tuple[str, str, str]]) -> None:
    signs = {"<": "__lt__", "<=": "__le__", "=": "__eq__", "!=": "__ne__", ">=": "__ge__", ">": "__gt__"}

    def solved(row: dict[str, int]) -> bool:
        return all(getattr(row[left], signs[sign])(row[right]) for left, sign, right in orders)

    some = any(solved(dict(zip("abc", row, strict=True))) for row in product(range(3), repeat=3))
    rules = [order(left, sign, right, name=f"r{place}") for place, (left, sign, right) in enumerate(orders)]
    if some:
        assert found(*rules) == []
    elif all(sign != "!=" for _, sign, _ in orders):
        assert found(*rules) != []


def test_the_places_are_those_of_the_rules() -> None:
    rules = [Rule.model_validate(each) for each in ({"is_not_null": "x"}, {"is_null": "a"}, {"is_not_null": "a"})]
    assert [each.places for each in find_contradictions(rules)] == [(1, 2)]


def test_validate_names_the_line_of_the_later_rule(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    file = tmp_path / "base/pipelines/p.yml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "pipeline: p\ndescription: d\nsource: {files: drop, formats: {csv: {}}, fields: [a, b]}\n"
        "sink: {table: silver.p}\nrules:\n  - is_not_null: b\n  - is_in_range: {column: a, min: 5, name: low}\n"
        "  - is_null: b\n  - is_in_range: {column: a, max: 3, name: high}\n"
    )
    problems = [problem for problem in verbs.validate(Project(tmp_path)) if "contradict" in problem]
    told = "\n".join(problems).splitlines()
    assert told[0].startswith(f"{file}:8: rules.2: b_is_not_null and b_is_null contradict each other: b would have to")
    assert told[1].startswith(f"{file}:9: rules.3: low and high contradict each other: a would have to be at least 5,")
    assert len(told) == 2
