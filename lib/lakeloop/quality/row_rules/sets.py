"""Rules on sets of values, which are compared as texts."""

import datetime as dt
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pyspark.sql import Column

from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import text_of, violated_when

NAMED = 20  # values that a message names


def as_text(value: Any) -> str:
    """A declared value as Spark writes it: a boolean is `true` or `false`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(values: list[Any]) -> list[Any]:
    for value in values:
        if value is None:
            raise ValueError("NULL is no value of a set; it holds here, and is_not_null refuses it")
        if not isinstance(value, bool | int | float | str | dt.date):
            raise ValueError(f"a value of a set is a text, a number, a boolean or a date, found {value!r}")
    return values


Values = Annotated[list[Any], Field(min_length=1), AfterValidator(_plain)]


def is_in(column: ColumnName, values: Values) -> Column:
    """A value, compared as text, is one of `values`; a boolean is `true` or `false`, as Spark writes it. NULL holds.

    Every character counts: case, blanks and a line break at the end. A `double` is written 1.0, a `decimal(5,2)` 1.00.
    """
    allowed = [as_text(value) for value in values]
    return violated_when(~text_of(column).isin(allowed), column, f"one of {_named(allowed)}")


def is_not_in(column: ColumnName, values: Values) -> Column:
    """A value, compared as text, is none of `values`. NULL holds. Compared as by `is_in`."""
    refused = [as_text(value) for value in values]
    return violated_when(text_of(column).isin(refused), column, f"none of {_named(refused)}")


def _named(values: list[str]) -> str:
    more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
    return ", ".join(values[:NAMED]) + more


RULES = (is_in, is_not_in)
