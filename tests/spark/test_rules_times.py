"""Row rules on times, by values whose verdict is known by hand."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lakeloop.quality import Rule
from lakeloop.quality.row_rules.time_formats import is_date, is_time_zone, is_timestamp
from lakeloop.quality.row_rules.times import is_between, is_not_ahead, is_not_older
from tests.verdicts import messages, violating

NO_TIMES = [
    "2025",
    "12:30",
    "2024-02-30",
    "x",
    "",
    "2024-03-31\n",
    " 2024-03-31",
    "99999-01-01",
    "now",
    "2024-3-1",
    "20240301",
]
TIMES = [None, "2024-03-31", "2024-03-31 02:30", "2024-03-31T02:30:00Z", "2024-03-31T02:30:00.123456+01:00"]
FROM, UNTIL = "2024-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "rule",
    [
        partial(is_between, "a", FROM, UNTIL),
        partial(is_not_ahead, "a"),
        partial(is_not_older, "a", "36500d"),
        partial(is_between, "a"),
    ],
)
def test_a_text_is_a_time_where_it_has_the_whole_form(spark: SparkSession, rule: Callable[[], Column]) -> None:
    assert violating(spark, "string", [*TIMES, *NO_TIMES], rule()) == NO_TIMES


def test_is_between_takes_its_beginning_and_not_its_end(spark: SparkSession) -> None:
    first, last = dt.datetime(2024, 1, 1), dt.datetime(2024, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - as Spark has it
    out = [first - dt.timedelta(microseconds=1), last + dt.timedelta(microseconds=1)]
    assert violating(spark, "timestamp", [None, first, last, *out], is_between("a", FROM, UNTIL)) == out
    days = [dt.date(2024, 1, 1), dt.date(2023, 12, 31), dt.date(2025, 1, 1), None]
    assert violating(spark, "date", days, is_between("a", FROM, UNTIL)) == days[1:3]
    assert violating(spark, "string", ["2025-01-01T00:30:00+01:00", "2024-12-31T23:30:00-01:00"],
                     is_between("a", FROM, UNTIL)) == ["2024-12-31T23:30:00-01:00"]  # fmt: skip
    assert violating(spark, "int", [None, 20240101], is_between("a", FROM)) == [20240101]
    assert messages(spark, "date", [dt.date(2023, 1, 1)], is_between("a", FROM, "2024-05-01T12:30:00+00:00")) == [
        "a: found 2023-01-01, expected a time from 2024-01-01 and before 2024-05-01T12:30:00Z"
    ]


def test_limits_are_days_or_moments_with_an_offset_in_mind() -> None:
    rule = Rule.model_validate(
        {"is_between": {"column": "a", "since": dt.date(2024, 1, 1), "until": "2024-06-01T00:00:00+02:00"}}
    )
    assert rule.parameters["since"] == "2024-01-01T00:00:00+00:00"
    assert rule.parameters["until"] == "2024-05-31T22:00:00+00:00"


def test_is_not_ahead_and_is_not_older_go_by_the_clock(spark: SparkSession) -> None:
    assert messages(spark, "string", [None, "9999-01-01", "soon"], is_not_ahead("a", by="1d")) == [
        None,
        "a: found 9999-01-01, expected a time that is at most 1d ahead of the clock",
        "a: found soon, expected a time that is at most 1d ahead of the clock",
    ]
    (message,) = messages(spark, "string", ["2020-01-01"], is_not_older("a", "1d"))
    assert message == "a: found 2020-01-01, expected a time that is at most 1d old"
    hour = F.expr("INTERVAL 1 HOUR")
    one = spark.range(1).select((F.current_timestamp() + hour).alias("a"), (F.current_timestamp() - hour).alias("b"))
    rules = [is_not_ahead("a"), is_not_ahead("a", "2h"), is_not_older("b", "30m"), is_not_older("b", "2h")]
    found = one.select(*(rule.isNull().alias(str(place)) for place, rule in enumerate(rules))).first()
    assert found == (False, True, False, True)


DATES: list[tuple[str, list[Any], list[Any]]] = [
    (
        "yyyy-MM-dd",
        [None, "2024-03-31", "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"],
        [
            *("2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-32", "2024-01-00"),
            *("2024-1-5", "0000-01-01", "2025", "12:30", "", " 2024-03-31", "2024-03-31\n", "2024-03-31 00:00"),
        ],
    ),
    (
        "d.M.yyyy",
        ["1.1.2024", "31.12.2024", "29.2.2024"],
        ["01.01.2024", "31.11.2024", "29.2.2023", "31.12.2024 ", "1/1/2024"],
    ),
    ("MM/dd/yyyy", ["12/31/2024"], ["31/12/2024", "2/1/2024", "02/30/2024"]),
    ("yyyyMMdd", ["20240229"], ["20230229", "2024229"]),
    ("dd 'de' MM 'de' yyyy", ["01 de 02 de 2024"], ["01 02 2024", "30 de 02 de 2024"]),
    ("'$1\\'yyyy.MM(dd)", ["$1\\2024.01(31)"], ["2024.01(31)", "$1\\2024x01(31)"]),
]


@pytest.mark.parametrize(("format_", "good", "bad"), DATES, ids=[case[0] for case in DATES])
def test_is_date_wants_a_day_of_the_calendar(
    spark: SparkSession, format_: str, good: list[Any], bad: list[Any]
) -> None:
    assert violating(spark, "string", [*good, *bad], is_date("a", format_)) == bad


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1890, 2110), st.integers(0, 13), st.integers(0, 32)), min_size=50, max_size=80))
def test_the_days_of_the_calendar_are_those_of_python(spark: SparkSession, days: list[tuple[int, int, int]]) -> None:
    def is_day(year: int, month: int, day: int) -> bool:
        try:
            return bool(dt.date(year, month, day))
        except ValueError:
            return False

    days += [(year, 2, 29) for year in (1900, 1904, 2000, 2023, 2024, 2100)]
    texts = {f"{day:02}.{month:02}.{year}": is_day(year, month, day) for year, month, day in days}
    bad = [text for text, is_right in texts.items() if not is_right]
    assert violating(spark, "string", list(texts), is_date("a", "dd.MM.yyyy")) == bad


def test_typed_days_and_moments_hold(spark: SparkSession) -> None:
    assert violating(spark, "date", [dt.date(2024, 1, 1), None], is_date("a", "dd.MM.yyyy")) == []
    assert violating(spark, "timestamp", [dt.datetime(2024, 1, 1), None], is_timestamp("a")) == []  # noqa: DTZ001
    assert violating(spark, "int", [20240101, None], is_date("a")) == [20240101]


def test_is_timestamp_wants_a_day_and_a_clock(spark: SparkSession) -> None:
    good = [
        *(None, "2024-03-31 02:30", "2024-03-31T02:30:00Z", "2024-02-29T23:59:59.123456+05:30"),
        "2024-01-01T00:00-18:00",
    ]  # fmt: skip
    bad = [
        *("2025", "12:30", "2024-03-31", "2024-02-30 10:00", "2024-02-29T10:00:61", "2024-02-29T24:00"),
        *("2024-02-29T23:59:59.1234567", "2024-01-01T00:00+19:00", "2024-01-01 00:00\n", "2024-01-01T00:00 UTC"),
        *("", "2024-02-29 10"),
    ]  # fmt: skip
    assert violating(spark, "string", [*good, *bad], is_timestamp("a")) == bad
    assert messages(spark, "string", ["2025"], is_timestamp("a")) == ["a: found 2025, expected a time as ISO 8601"]


@pytest.mark.parametrize(
    ("format_", "good", "bad"),
    [
        (None, ["2024-03-31 03:00", "2024-03-31 01:59:59", "2024-03-31T02:30:00+01:00", "2024-10-27 02:30", None],
         ["2024-03-31 02:30", "2024-03-31T02:00", "x", "2024-02-30 02:30"]),
        ("dd.MM.yyyy HH:mm", ["31.03.2024 03:00"], ["31.03.2024 02:30", "31.02.2024 03:00", "x"]),
        ("dd.MM.yyyy HH'h'", ["31.03.2024 03h"], ["31.03.2024 02h"]),
        ("yyyyMMdd'T'HHmmss.SSSXXX", ["20240331T023000.123+01:00", "20240331T023000.123Z"], ["20240331T023000.123"]),
    ],
)  # fmt: skip
def test_a_time_that_no_clock_shows_in_a_zone(
    spark: SparkSession, format_: Any, good: list[Any], bad: list[Any]
) -> None:
    assert violating(spark, "string", [*good, *bad], is_timestamp("a", format_, "Europe/Berlin")) == bad


def test_the_zone_of_the_session_does_not_matter_to_a_zone_that_is_given(spark: SparkSession) -> None:
    before = spark.conf.get("spark.sql.session.timeZone")
    texts = ["2024-03-31 02:30", "2024-03-10 02:30", "2024-03-31 03:30"]
    try:
        for zone in ("America/New_York", "Europe/Berlin", "Pacific/Apia"):
            spark.conf.set("spark.sql.session.timeZone", zone)
            assert violating(spark, "string", texts, is_timestamp("a", None, "Europe/Berlin")) == texts[:1]
            assert violating(spark, "string", texts, is_timestamp("a", None, "America/New_York")) == texts[1:2]
            assert violating(spark, "string", texts, is_date("a")) == texts
            moments = ["2024-01-01T00:00:00+00:00", "2023-12-31T23:59:59+00:00"]
            assert violating(spark, "string", moments, is_between("a", FROM)) == moments[1:]
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def test_is_time_zone_takes_names_and_offsets(spark: SparkSession) -> None:
    good = [None, "Europe/Berlin", "America/Argentina/Ushuaia", "UTC", "Z", "+01:00", "-14:00", "+05:45", "+00:00"]
    bad = ["europe/berlin", "Europe/Berlin\n", " UTC", "+14:30", "+1", "+01", "0100", "Mars/Base", "", "GMT+25", "CEST"]
    assert violating(spark, "string", [*good, *bad], is_time_zone("a")) == bad


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"is_date": {"column": "a", "format": "yyyy-mm-dd"}}, "'mm' in 'yyyy-mm-dd' is no part of this format"),
        ({"is_date": {"column": "a", "format": "MM-dd"}}, "is_date: format: 'MM-dd' leaves out yyyy"),
        ({"is_date": {"column": "a", "format": "yyyy-MM-dd'"}}, "a quote is not closed"),
        ({"is_date": {"column": "a", "format": "dd.d.yyyy"}}, "stands twice"),
        ({"is_timestamp": {"column": "a", "format": "yyyy-MM-dd"}}, "leaves out HH"),
        ({"is_timestamp": {"column": "a", "zone": "Mars/Base"}}, "'Mars/Base' is no time zone"),
        ({"is_between": {"column": "a", "since": "2024"}}, "is_between: since: a day or a moment as 2026-01-31"),
        ({"is_between": {"column": "a", "since": 5}}, "a day or a moment"),
        ({"is_not_older": {"column": "a", "than": "0s"}}, "a length of time is a whole number"),
        ({"is_not_ahead": {"column": "a", "by": "soon"}}, "a length of time is a whole number"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Rule.model_validate(declared)
    assert said in str(refused.value)
