"""Watermarks of joins, and which old rows a batch can need; times are small numbers here."""

import datetime as dt
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lakeloop.ingestion.sources.joins.watermark import (
    Arrived,
    Progress,
    Reach,
    Span,
    micros,
    moment,
    needed,
    together,
)

TIMES = st.integers(-20, 20)
LENGTHS = st.integers(0, 6)


def delay(length: int) -> dt.timedelta:
    return dt.timedelta(microseconds=length)


def came(times: list[int]) -> Arrived:
    return Arrived(len(times), min(times, default=None), max(times, default=None), max(times, default=None))


def test_the_watermark_is_that_of_the_slower_side() -> None:
    first = Progress().after(came([3, 10]), came([4]), delay(2), delay(1))
    assert (first.left, first.right, first.before, first.watermark) == (10, 4, None, 3)
    second = first.after(came([]), came([20]), delay(2), delay(1))
    assert (second.before, second.watermark) == (3, 8)


def test_it_waits_for_both_sides_and_for_rows_with_a_time() -> None:
    assert Progress().after(came([3]), Arrived(2), delay(2), delay(1)).watermark is None
    assert Progress().after(came([3]), came([4]), None, delay(1)).watermark is None


def test_it_does_not_go_back_when_a_delay_is_made_longer() -> None:
    before = Progress().after(came([10]), came([10]), delay(1), delay(1))
    after = before.after(came([11]), came([11]), delay(9), delay(9))
    assert (before.watermark, after.before, after.watermark) == (9, 9, 9)


def test_a_time_that_the_clock_has_not_reached_moves_nothing() -> None:
    arrived = Arrived(rows=2, first=5, last=10**15, newest=5)
    assert Progress().after(arrived, came([7]), delay(0), delay(0)).watermark == 5
    assert arrived.span == Span(5, 10**15)


def test_times_and_lengths_are_in_microseconds() -> None:
    assert micros(dt.timedelta(days=400, microseconds=1)) == 34_560_000_000_001
    assert moment(1_777_629_600_000_000) == "2026-05-01 10:00:00"
    assert moment(10**18) == f"{10**18} µs after 1970"


@given(st.lists(st.tuples(TIMES, LENGTHS)))
def test_spans_that_overlap_are_one(pairs: list[tuple[int, int]]) -> None:
    spans = [Span(first, first + length) for first, length in pairs]
    found = together([None, *spans])
    assert {time for first, last in found for time in range(first, last + 1)} == {
        time for first, last in spans for time in range(first, last + 1)
    }
    assert all(one.last < other.first for one, other in pairwise(found))


@given(LENGTHS, LENGTHS, TIMES, st.lists(LENGTHS, min_size=1))
def test_the_time_of_a_row_is_up_in_exactly_one_batch(before: int, after: int, time: int, steps: list[int]) -> None:
    reach, progress, closed = Reach(before, after), Progress(), 0
    for step in steps:
        progress = progress.after(came([(progress.left or 0) + step]), came([1000]), delay(0), delay(0))
        span = reach.closing(progress)
        closed += span is not None and span.first <= time <= span.last
    assert closed == (progress.watermark is not None and progress.watermark > time + after)


@given(LENGTHS, LENGTHS, *(st.lists(TIMES, max_size=4) for _ in range(4)), st.none() | TIMES, LENGTHS)
def test_no_old_row_is_left_out_that_a_batch_needs(
    before: int,
    after: int,
    new_left: list[int],
    old_left: list[int],
    new_right: list[int],
    old_right: list[int],
    mark: int | None,
    step: int,
) -> None:
    reach = Reach(before, after)
    progress = Progress(before=mark, watermark=None if mark is None else mark + step)
    spans = needed(reach, progress, came(new_left), came(new_right), waits=True, counted=True)

    def belong(left: int, right: int) -> bool:
        return left - before <= right <= left + after

    def is_read(time: int, side: int) -> bool:
        return any(first <= time <= last for first, last in spans[side])

    up = [time for time in old_left if mark is not None and mark - after <= time < mark + step - after]
    met = [time for time in old_left if any(belong(time, right) for right in new_right)]
    assert all(is_read(time, 0) for time in [*up, *met])
    assert all(is_read(r, 1) for r in old_right if any(belong(left, r) for left in [*new_left, *up, *met]))
