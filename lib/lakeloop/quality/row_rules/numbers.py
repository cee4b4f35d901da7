"""Rules on numbers. A text is a number where it reads as one from end to end: `12`, `-0.5`, `1e3`, not ` 12`, `12d`."""

import math
import sys
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.named_columns import ColumnName
from lakeloop.quality.row_rules.columns import in_sql, try_cast, violated_when

NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?|[+-]?Infinity"
LARGEST = sys.float_info.max
EXACT = "decimal(38,18)"  # holds a bigint and 18 decimals


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not _is_finite(value):
        raise ValueError(f"a number is needed here, from -{LARGEST:.2g} to {LARGEST:.2g}")
    return value


def _is_finite(value: int | float | Decimal) -> bool:
    # Python's whole numbers have no end, and `isfinite` fails on those beyond a double's.
    return abs(value) <= LARGEST if isinstance(value, int) else math.isfinite(value)


def _positive(value: Any) -> Any:
    if _number(value) <= 0:
        raise ValueError("a number above 0 is needed here")
    return value


Number = Annotated[int | float, PlainValidator(_number, json_schema_input_type=float)]
Limit = Literal["min", "max", "above", "below"]
Positive = Annotated[int | float, PlainValidator(_positive, json_schema_input_type=float)]


def number_of(column: str) -> Column:
    """The value as a double; NULL where it is no number."""
    return try_cast(column, "double")


def is_no_number(column: str) -> Column:
    """Whether a value that is there is NaN or a text that does not read as a number."""
    return F.expr(_no_number(in_sql(column)))


def _no_number(name: str) -> str:
    number = f"try_cast({name} AS double)"
    is_other_text = rf"(typeof({name}) = 'string' AND NOT CAST({name} AS string) RLIKE r'\A(?:{NUMBER})\z')"
    return f"(isnan({number}) OR ({number} IS NULL AND {name} IS NOT NULL) OR {is_other_text})"


def written(number: float) -> str:
    """A declared number as a message shows it."""
    return str(number) if isinstance(number, int) else f"{number:.15g}"


def is_in_range(
    column: ColumnName,
    min: Number | None = None,
    max: Number | None = None,
    above: Number | None = None,
    below: Number | None = None,
) -> Column:
    """A number is `min` or more, `max` or less, more than `above`, less than `below`, as far as they are given.

    NULL holds. NaN and a text that is no number violate it; so do -0.0 with `above: 0`, but not with `min: 0`. Numbers
    that a double cannot tell from a limit are compared exactly, with up to 18 decimals.
    """
    name = in_sql(column)
    limits: list[tuple[Limit, float | None]] = [("min", min), ("max", max), ("above", above), ("below", below)]
    # One text: a thousand rules of a thousand calls to Java each would take longer than the rows.
    outside = " OR ".join([_no_number(name), *(_beyond(name, way, at) for way, at in limits if at is not None)])
    return violated_when(F.expr(outside), column, f"a number {_limits(min, max, above, below)}")


def _beyond(name: str, way: Limit, limit: float) -> str:
    """SQL for a number that is on the wrong side of a limit."""
    number, exact, decimal = f"try_cast({name} AS double)", f"try_cast({name} AS {EXACT})", _decimal(limit)
    wrong = "<" if way in ("min", "above") else ">"
    exactly = f"CAST('{decimal}' AS {EXACT})" if abs(decimal) < 10**20 else f"CAST(NULL AS {EXACT})"
    # A double tells its own values apart; only these may lie beside a limit that the double nearest to them equals.
    is_finer = f"typeof({name}) NOT IN ('double', 'float', 'int', 'smallint', 'tinyint', 'boolean')"
    is_at = f"{number} = {float(limit)!r}D"
    if way in ("min", "max"):
        at_limit = f"({is_finer} AND {is_at} AND {exact} {wrong} {exactly})"
    else:
        inside = ">" if way == "above" else "<"
        at_limit = f"({is_at} AND NOT coalesce({is_finer} AND {exact} {inside} {exactly}, false))"
    return f"{number} {wrong} {float(limit)!r}D OR {at_limit}"


def _decimal(number: float) -> Decimal:
    return Decimal(f"{Decimal(str(number)):f}")  # without an exponent, which Spark takes for a scale below 0


def _limits(min: float | None, max: float | None, above: float | None, below: float | None) -> str:
    if above is None and below is None:
        return f"from {'−∞' if min is None else written(min)} to {'∞' if max is None else written(max)}"
    limits = {"from": min, "above": above, "up to": max, "below": below}
    return " and ".join(f"{word} {written(limit)}" for word, limit in limits.items() if limit is not None)


def is_multiple_of(column: ColumnName, of: Positive) -> Column:
    """A number is `of` times a whole number, 0 included: `{column: price, of: 0.05}`.

    Compared as decimals with 18 places, so 0.15 is a multiple of 0.05; from 10^20 on as doubles. NULL holds; NaN,
    infinity and a text that is no number violate it.
    """
    number, exact = number_of(column), try_cast(column, EXACT, by_text=True)
    rest = F.when(exact.isNotNull(), (exact % F.lit(_decimal(of))) != 0).otherwise((number % of) != 0)
    wrong = is_no_number(column) | (F.abs(number) == math.inf) | rest
    return violated_when(wrong, column, f"a multiple of {written(of)}")


def has_decimals(column: ColumnName, max: Annotated[int, Field(ge=0, le=17)]) -> Column:
    """A number has at most `max` decimals, zeros at its end not counted: 1.50 has one.

    A double has the decimals that Spark writes for it. NULL holds; NaN, infinity and a text that is no number violate
    it. Decimals beyond the 18th are not seen.
    """
    number, exact = number_of(column), try_cast(column, EXACT, by_text=True)
    wrong = is_no_number(column) | (F.abs(number) == math.inf) | (exact != F.round(exact, max))
    return violated_when(wrong, column, f"a number with at most {max} decimals" if max else "a whole number")


RULES = (is_in_range, is_multiple_of, has_decimals)
