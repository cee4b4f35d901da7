"""Row rules: each gives a Column that holds the message where a row violates the rule and NULL where it holds.

Unless said otherwise NULL holds: absence is the business of `is_not_null` alone. A message shows the value it found.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.durations import parse_wait


def _length_of_time(text: str) -> str:
    parse_wait(text)
    return text


def quoted(column: str) -> str:
    """A column name as one SQL identifier, whatever characters it has."""
    return "`" + column.replace("`", "``") + "`"


def value_of(column: str) -> Column:
    """The column of exactly this name: dots and backticks in it are part of the name."""
    return F.col(quoted(column))


def violated_when(condition: Column, column: str, expected: str) -> Column:
    """The message `<column>: found <value>, expected <expected>` where `condition` is true, else NULL."""
    shown = F.coalesce(F.substring(value_of(column).cast("string"), 1, 200), F.lit("NULL"))
    return F.when(condition, F.concat(F.lit(f"{column}: found "), shown, F.lit(f", expected {expected}")))


def is_not_null(column: str) -> Column:
    """A value is there. Violated by NULL only: NaN and the empty string hold."""
    return violated_when(value_of(column).isNull(), column, "a value")


def is_not_blank(column: str) -> Column:
    """A text has a character other than white space. NULL violates it."""
    text = value_of(column).cast("string")
    # Most texts begin with a visible character of ASCII, and then no regular expression is asked.
    readable = ((text >= "!") & (text < "\x7f")) | text.rlike(r"(?U)\S")
    return violated_when(~F.coalesce(readable, F.lit(False)), column, "a text that is not blank")


def is_in_range(column: str, min: float | None = None, max: float | None = None) -> Column:
    """A number lies within [min, max], both ends included. NaN and a text that is no number violate it."""
    number = F.expr(f"try_cast({quoted(column)} AS double)")
    outside = F.isnan(number) | (number.isNull() & value_of(column).isNotNull())
    if min is not None:
        outside = outside | (number < min)
    if max is not None:
        outside = outside | (number > max)
    low, high = ("−∞" if min is None else f"{min:.15g}"), ("∞" if max is None else f"{max:.15g}")
    return violated_when(outside, column, f"a number from {low} to {high}")


def is_in(column: str, values: Annotated[list[Any], Field(min_length=1)]) -> Column:
    """A value, compared as text, is one of `values`; a boolean is `true` or `false`, as Spark writes it."""
    allowed = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    return violated_when(~value_of(column).cast("string").isin(allowed), column, f"one of {', '.join(allowed)}")


def matches(column: str, pattern: str) -> Column:
    r"""A text matches a Java regular expression as a whole: 'a@b.org\n' does not match an address pattern."""
    whole = value_of(column).cast("string").rlike(rf"\A(?:{pattern})\z")
    return violated_when(~whole, column, f"a text like {pattern}")


def has_length(column: str, min: int = 0, max: int | None = None) -> Column:
    """A text has from `min` to `max` characters."""
    length = F.char_length(value_of(column).cast("string"))
    wrong = length < min if max is None else (length < min) | (length > max)
    return violated_when(wrong, column, f"{min} to {'any number of' if max is None else max} characters")


def is_not_ahead(column: str, by: Annotated[str, AfterValidator(_length_of_time)] = "10m") -> Column:
    """A time is not ahead of the clock by more than `by`, when it is judged. A text that is no time violates it.

    For what is told by its time afterwards: a row of a wrong clock would pass for the newest until its time has come.
    """
    time = F.expr(f"try_cast({quoted(column)} AS timestamp)")
    latest = F.current_timestamp() + F.expr(f"INTERVAL {int(parse_wait(by).total_seconds())} SECOND")
    wrong = (time > latest) | (time.isNull() & value_of(column).isNotNull())
    return violated_when(wrong, column, f"a time that is at most {by} ahead of the clock")
