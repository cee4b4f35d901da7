"""Cursors as texts: stepping back, dividing, and what a plan says of an interval."""

import datetime as dt
import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.ingestion.sources.jdbc import spans
from lakeloop.ingestion.sources.jdbc.order import Order, between, is_before, refuse_overlap, step_back, thinned
from lakeloop.ingestion.sources.jdbc.spans import Span

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "order", "overlap", "expected"),
    [
        ("2026-03-29 02:30:00.000001+00", "instant", HOUR, "2026-03-29 01:30:00.000001+00:00"),
        ("2026-03-29 02:30:00", "moment", HOUR, "2026-03-29 01:30:00"),
        ("2026-03-01", "date", HOUR, "2026-02-28"),
        ("2026-03-01", "date", dt.timedelta(days=2), "2026-02-27"),
        ("0001-01-01 00:30:00+00", "instant", HOUR, "0001-01-01 00:00:00+00:00"),
        ("0001-01-01", "date", HOUR, "0001-01-01"),
        ("10", "integer", Decimal(100), "-90"),
        ("10", "integer", Decimal("0.5"), "9"),
        ("9" * 40, "number", Decimal("0.5"), "9" * 39 + "8.5"),
        ("0.5", "float", Decimal("0.25"), "0.25"),
        ("Oslo", "text", None, "Oslo"),
        ("2026-03-29 02:30:00.5+00", "instant", dt.timedelta(0), "2026-03-29 02:30:00.5+00"),
    ],
)
def test_stepping_back(text: str, order: Order, overlap: dt.timedelta | Decimal | None, expected: str) -> None:
    assert step_back(text, order, overlap) == expected


@pytest.mark.parametrize(
    ("order", "overlap", "said"),
    [
        ("text", HOUR, "texts have no distance; leave the overlap out"),
        ("integer", HOUR, "its overlap is a number"),
        ("date", Decimal(1), "its overlap is a length of time, as 1h"),
    ],
)
def test_an_overlap_that_is_no_distance(order: Order, overlap: dt.timedelta | Decimal, said: str) -> None:
    words = refuse_overlap(order, overlap)
    assert words is not None
    assert said in words
    assert refuse_overlap(order, None) is None


@pytest.mark.parametrize(
    ("least", "greatest", "order", "parts", "expected"),
    [
        ("0", "100", "integer", 4, ["25", "50", "75"]),
        ("5", "5", "integer", 8, []),
        ("-1", "1", "integer", 8, ["0", "1"]),
        ("0.0", "1.0", "float", 4, ["0.25", "0.5", "0.75"]),
        ("0.10", "0.40", "number", 3, ["0.2", "0.3"]),
        ("2026-01-01", "2026-01-03", "date", 2, ["2026-01-02"]),
        ("2026-01-01", "2026-01-02", "date", 8, []),
        ("2026-01-01 00:00:00+00", "2026-01-01 00:00:02+00", "instant", 2, ["2026-01-01 00:00:01+00:00"]),
        ("2026-01-01 00:00:00", "2026-01-01 00:00:00.000001", "moment", 2, ["2026-01-01 00:00:00.000001"]),
    ],
)
def test_dividing(least: str, greatest: str, order: Order, parts: int, expected: list[str]) -> None:
    assert between(least, greatest, order, parts) == expected


@given(st.integers(), st.integers(min_value=0), st.integers(2, 40))
def test_boundaries_ascend_and_lie_behind_the_least(least: int, width: int, parts: int) -> None:
    found = [int(text) for text in between(str(least), str(least + width), "integer", parts)]
    assert len(found) < parts
    assert all(low < high for low, high in pairwise([least, *found]))
    assert all(boundary <= least + width for boundary in found)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_boundaries_of_floats_ascend(one: float, other: float) -> None:
    found = [float(text) for text in between(repr(min(one, other)), repr(max(one, other)), "float", 7)]
    assert all(low < high for low, high in pairwise([min(one, other), *found]))


def test_texts_are_before_each_other_where_they_surely_differ() -> None:
    assert is_before("b", "a", "text")
    assert not is_before("Oslo", "OSLO", "text")
    assert is_before("9", "10", "integer")
    assert is_before("2026-01-01 00:00:00+00", "2026-01-01 00:00:00.5+00:00", "instant")


def test_spans_follow_each_other_and_survive_json() -> None:
    first = spans.first("at", "100", "integer", Decimal(10))
    assert (first.after, first.low, first.known_from) == (None, None, "90")
    second = spans.following(first, "200", "integer", Decimal(10), 0)
    assert second == Span("at", "200", "190", "100", "90", -1, 0, ((0, "100"),))
    assert Span.of_json(json.loads(json.dumps(second.as_json))) == second
    third = spans.following(second, "205", "integer", Decimal(10), 1)
    # What batch 0 and those before it took ends at 100, below the 190 where reading begins again.
    assert (third.low, third.behind, third.until) == ("190", 0, 1)
    assert third.known_from == "195"


def test_a_greater_overlap_holds_from_where_fingerprints_are_known() -> None:
    first = spans.first("at", "100", "integer", Decimal(10))
    second = spans.following(first, "150", "integer", Decimal(80), 0)
    assert (second.low, second.known_from) == ("90", "90")
    third = spans.following(second, "200", "integer", Decimal(80), 1)
    assert (third.low, third.known_from) == ("90", "120")


def test_without_an_overlap_only_the_greatest_value_is_read_again() -> None:
    first = spans.first("at", "Oslo", "text", None)
    assert spans.following(spans.first("at", "Oslo", "text", None, 7), None, "text", None, 8).behind == 7
    second = spans.following(first, None, "text", None, 0)
    assert (second.low, second.after, second.upto, second.behind) == ("Oslo", "Oslo", "Oslo", -1)
    third = spans.following(second, "Rome", "text", None, 1)
    fourth = spans.following(third, None, "text", None, 2)
    assert (third.behind, fourth.behind, fourth.low) == (-1, 1, "Rome")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 50))
def test_no_batch_that_can_have_a_row_of_the_overlap_is_left_out(steps: list[int], overlap: int) -> None:
    span, uptos = spans.first("at", "0", "integer", Decimal(overlap)), [0]
    for batch, step in enumerate(steps):
        span = spans.following(span, str(uptos[-1] + step) if step else None, "integer", Decimal(overlap), batch)
        assert span.low is not None
        assert all(upto < int(span.low) for upto in uptos[: span.behind + 1])
        assert len(span.marks) <= 17
        uptos.append(int(span.upto))


def test_marks_that_are_many_are_thinned_but_for_the_last() -> None:
    marks = [(batch, str(batch)) for batch in range(5)]
    assert thinned(marks, 5) == marks
    assert thinned(marks, 4) == [(0, "0"), (2, "2"), (4, "4")]
