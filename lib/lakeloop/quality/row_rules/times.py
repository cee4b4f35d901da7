"""Rules on times. A text is a time where it has the whole form: `2025` and `12:30` are none, though casts take them."""

import datetime as dt
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.durations import parse_duration, parse_wait
from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import is_like, is_of_type, text_of, try_cast, value_of, violated_when

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"  # with an offset Spark reads it only with its seconds
OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-7]):[0-5][0-9]|[+-]18:00)"
TIME = rf"{DAY}(?:[T ]{CLOCK}{OFFSET}?)?"


def _wait(text: Any) -> Any:
    parse_wait(text)
    return text


def _duration(text: Any) -> Any:
    parse_duration(text)
    return text


def _moment(value: Any) -> Any:
    """An instant as text with its offset: a day is its beginning, and what has no offset is meant in UTC."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("a day or a moment as 2026-01-31 or 2026-01-31T12:00:00+01:00 is needed here") from error
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if not isinstance(value, dt.datetime):
        raise ValueError("a day or a moment as 2026-01-31 or 2026-01-31T12:00:00+01:00 is needed here")
    return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).isoformat()


Wait = Annotated[str, AfterValidator(_wait)]
Age = Annotated[str, AfterValidator(_duration)]
Moment = Annotated[str, BeforeValidator(_moment)]


def time_of(column: str) -> Column:
    """The value as an instant; NULL where it is none. A time without an offset is one of the session's time zone."""
    is_time = is_of_type(column, "timestamp", "date", "timestamp_ntz") | is_like(text_of(column), TIME)
    return F.when(is_time, try_cast(column, "timestamp"))


def _unless_time(column: str, wrong: Column, expected: str) -> Column:
    return violated_when(wrong | (time_of(column).isNull() & value_of(column).isNotNull()), column, expected)


def is_between(column: ColumnName, since: Moment | None = None, until: Moment | None = None) -> Column:
    """A time is at `since` or later, and before `until`: half-open, so that neighbouring ranges share no moment.

    Limits without an offset are meant in UTC, a day is its beginning. NULL holds. A text that is no time violates it.
    """
    time, outside = time_of(column), F.lit(False)
    if since is not None:
        outside = outside | (time < F.lit(since).cast("timestamp"))
    if until is not None:
        outside = outside | (time >= F.lit(until).cast("timestamp"))
    limits = {"from": since, "before": until}
    said = " and ".join(f"{word} {_written(limit)}" for word, limit in limits.items() if limit is not None)
    return _unless_time(column, outside, f"a time {said}".rstrip())


def _written(moment: str) -> str:
    return moment.removesuffix("T00:00:00+00:00").replace("+00:00", "Z")


def is_not_ahead(column: ColumnName, by: Wait = "10m") -> Column:
    """A time is not ahead of the clock by more than `by`, when it is judged. A text that is no time violates it.

    For what is told by its time afterwards: a row of a wrong clock would pass for the newest until its time has come.
    """
    latest = F.current_timestamp() + _interval(by)
    return _unless_time(column, time_of(column) > latest, f"a time that is at most {by} ahead of the clock")


def is_not_older(column: ColumnName, than: Age) -> Column:
    """A time lies at most `than` behind the clock, when it is judged.

    NULL holds. A text that is no time violates it.
    """
    earliest = F.current_timestamp() - _interval(than)
    return _unless_time(column, time_of(column) < earliest, f"a time that is at most {than} old")


def _interval(length: str) -> Column:
    return F.expr(f"INTERVAL {int(parse_wait(length).total_seconds())} SECOND")


RULES = (is_between, is_not_ahead, is_not_older)
