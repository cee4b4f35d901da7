"""How fast a service is asked, when to stop, and where a key's answer stands: without a service and without a clock."""

import datetime as dt
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.core.run_record import now
from lakeloop.ingestion.enrichment.answers import address, read_fields
from lakeloop.ingestion.enrichment.breaking import Breaker
from lakeloop.ingestion.http.pacing import Pace, back_off, retry_after


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_requests_are_spaced_and_held_back_together() -> None:
    clock = Clock()
    pace = Pace(4, clock, clock.sleep)
    sent = []
    for number in range(5):
        if number == 3:
            pace.hold(2)
        pace.wait()
        sent.append(clock.now)
    assert sent == [100.0, 100.25, 100.5, 102.5, 102.75]
    clock.sleep(10)
    pace.wait()
    assert clock.now == 112.75  # a pause earns no burst
    pace.wait()
    assert clock.now == 113.0


def test_a_breaker_opens_after_failures_in_a_row_and_stays_open() -> None:
    breaker = Breaker(2)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert not breaker.is_open
    breaker.failed()
    breaker.succeeded()
    assert breaker.is_open
    at_once = Breaker(9)
    at_once.failed(for_all=True)
    assert at_once.is_open


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3), ("0", 0), ("86400", 86400), ("-1", None), ("soon", None), ("", None), ("1.5", None)],
)
def test_a_retry_after_is_a_number_of_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    assert retry_after(format_datetime(now() - dt.timedelta(hours=1), usegmt=True)) == 0
    tomorrow = retry_after(format_datetime(now() + dt.timedelta(days=1), usegmt=True))
    assert tomorrow is not None
    assert 86_390 < tomorrow <= 86_400
    assert retry_after("Thu, 01 Jan 2026 00:00:00 -0000") == 0


def test_a_date_counts_by_the_clock_of_the_server_that_says_it() -> None:
    theirs = now() + dt.timedelta(days=365)  # a year ahead of ours
    said, later = (format_datetime(moment, usegmt=True) for moment in (theirs, theirs + dt.timedelta(seconds=7)))
    assert retry_after(later, said) == 7
    assert retry_after(said, later) == 0
    assert retry_after(later, "today") == pytest.approx(365 * 86_400 + 7, abs=60)


@given(st.floats(0, 10), st.integers(0, 20), st.floats(0, 100))
def test_a_pause_is_drawn_from_nothing_to_the_back_off(first: float, tried: int, longest: float) -> None:
    assert 0 <= back_off(first, tried, longest) <= min(first * 2**tried, longest)


@given(st.text(max_size=12), st.text(max_size=12))
def test_no_value_changes_which_resource_is_meant(first: str, second: str) -> None:
    found = address("/a/{x}/b-{y}?q={x}", {"x": first, "y": second})
    if first in ("", ".", ".."):
        assert found is None
    else:
        assert found is not None
        path, question, query = found.partition("?")
        assert (path.count("/"), question, query.count("&"), "#" in found) == (3, "?", 0, False)
        assert query.startswith("q=")
        assert path.startswith("/a/")
        assert found.isascii()


def test_values_are_read_as_they_were_sent() -> None:
    body = b'{"a": {"b": 1.10, "c": [true, {"d": 12345678901234567890}], "e": null, "": 3}, "a.b": 2}'
    paths = ["a.b", "a.c.0", "a.c.1.d", "a.c", "a.e", "a.c.9", "a.b.c", "z"]
    assert read_fields(body, paths) == {
        "a.b": "1.10", "a.c.0": "true", "a.c.1.d": "12345678901234567890",
        "a.c": '[true, {"d": 12345678901234567890}]', "a.e": None, "a.c.9": None, "a.b.c": None, "z": None,
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"null", b"{", b"<a/>", b"\xff{}", b"[" * 100_000])
def test_what_is_no_object_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_fields(body, ["a"])
