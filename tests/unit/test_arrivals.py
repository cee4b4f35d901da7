"""Whether rows are overdue: worked out by hand at each boundary, and never better for waiting longer."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakeloop.core.durations import in_words
from lakeloop.quality.arrivals import Arrival, Expectation, RunEnd, judge_arrival

START = dt.datetime(2026, 1, 1, 6, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
DAILY = Expectation.model_validate({"every": "1d", "grace": "2h"})
ORDER = ["on_time", "late", "missing"]


def run(outcome: str, rows: int, ended_at: dt.datetime) -> RunEnd:
    return RunEnd(outcome, rows, ended_at - HOUR, ended_at)


def state(runs: list[RunEnd], now: dt.datetime) -> str:
    return judge_arrival(DAILY, runs, now).state


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (DAY, "on_time"),
        (DAY + dt.timedelta(seconds=1), "late"),
        (DAY + 2 * HOUR, "late"),
        (DAY + 2 * HOUR + dt.timedelta(seconds=1), "missing"),
    ],
)
def test_rows_are_late_after_every_and_missing_after_grace(waited: dt.timedelta, expected: str) -> None:
    assert state([run("succeeded", 5, START), run("nothing_new", 0, START + HOUR)], START + waited) == expected


def test_an_empty_batch_and_a_withdrawn_one_are_no_arrival() -> None:
    runs = [run("succeeded", 5, START), run("withdrawn", 0, START + DAY), run("succeeded", 0, START + DAY + HOUR)]
    assert judge_arrival(DAILY, runs, START + 2 * DAY) == Arrival("missing", START, has_arrived=True)


def test_before_any_rows_the_wait_counts_from_the_start_of_the_first_run() -> None:
    runs = [run("nothing_new", 0, START + DAY), run("nothing_new", 0, START)]
    assert judge_arrival(DAILY, runs, START + 23 * HOUR) == Arrival("on_time", START - HOUR)
    assert judge_arrival(DAILY, runs, START + DAY) == Arrival("late", START - HOUR)


def test_nothing_is_known_before_the_first_run_or_after_a_failure() -> None:
    assert judge_arrival(DAILY, [], START) == Arrival("unknown")
    for outcome in ("failed", "withdrawn"):
        runs = [run("succeeded", 5, START), run(outcome, 0, START + 2 * DAY)]
        assert state(runs, START + 2 * DAY) == "unknown"
        assert state([*runs, run("nothing_new", 0, START + 2 * DAY + HOUR)], START + 3 * DAY) == "missing"
    assert state([run("succeeded", 5, START), run("failed", 0, START + HOUR)], START + HOUR) == "on_time"


@given(
    runs=st.lists(
        st.builds(
            run,
            st.sampled_from(["succeeded", "nothing_new"]),
            st.integers(0, 2),
            st.integers(0, 200).map(lambda hours: START + hours * HOUR),
        ),
        min_size=1,
    ),
    waits=st.lists(st.integers(0, 400), min_size=2),
)
def test_waiting_longer_never_makes_it_better(runs: list[RunEnd], waits: list[int]) -> None:
    states = [ORDER.index(state(runs, START + hours * HOUR)) for hours in sorted(waits)]
    assert states == sorted(states)


@pytest.mark.parametrize("text", ["1", "0d", "1 d", "-1d", "1w", "1.5h", "P1D", 24, None, "1234567s"])
def test_a_length_of_time_that_cannot_be_read_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="whole number and one of s, m, h, d"):
        Expectation.model_validate({"every": text})


def test_a_length_of_time_in_words() -> None:
    lengths = {0: "0 s", 59: "59 s", 60: "1 m", 61: "1 m 1 s", 7200: "2 h", 90_061: "1 d 1 h", 86_460: "1 d", -5: "0 s"}
    assert {seconds: in_words(dt.timedelta(seconds=seconds)) for seconds in lengths} == lengths
