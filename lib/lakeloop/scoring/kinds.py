"""The kinds of scalar columns, by the names that Spark gives its types, and how a given value becomes one.

A value that is not of its kind raises ValueError with what was found and what is allowed.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
WHOLE = frozenset({"tinyint", "smallint", "int", "bigint"})
NUMERIC = WHOLE | {"float", "double", "boolean"}


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type of a kind. Raises ValueError for a type that no feature can have."""
    if kind in ARROW:
        return ARROW[kind]
    if found := DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    raise ValueError(f"no feature can be of type {kind}; allowed: {', '.join(ARROW)} and decimal(p,s)")


def reader_of(kind: str) -> Callable[[Any], Any]:
    """A function from a given value, not None, to one of the kind: numbers of JSON, ISO texts of dates, or objects."""
    if kind in WHOLE:
        bits = arrow_type(kind).bit_width
        return lambda value: _whole(value, bits, kind)
    if kind == "float":
        return lambda value: float(np.float32(_double(value)))
    if kind.startswith("decimal"):
        places = Decimal(1).scaleb(-int(kind.rstrip(")").split(",")[1]))
        return lambda value: _decimal(value, places, kind)
    return {
        "string": _string,
        "boolean": _boolean,
        "double": _double,
        "date": _date,
        "timestamp": _timestamp,
        "timestamp_ntz": _timestamp,
    }[kind]


def text_of(value: Any) -> str:
    """A value as Spark casts it to a string, session time zone UTC."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return java_text(value)
    if isinstance(value, datetime):
        whole = value.strftime("%Y-%m-%d %H:%M:%S")
        return whole if not value.microsecond else f"{whole}.{value.microsecond:06d}".rstrip("0")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def java_text(value: float) -> str:
    """A double as Java writes it: shortest digits, an exponent below 0.001 and from 10,000,000 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = f"{Decimal(repr(value)):f}"
        return plain if "." in plain else f"{plain}.0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    shown = "".join(map(str, digits)).rstrip("0")
    power = len(digits) + int(exponent) - 1
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{power}"


def _found(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}…"


def _whole(value: Any, bits: int, kind: str) -> int:
    is_whole = isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole:
        raise ValueError(f"found {_found(value)}, a whole number is wanted")
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"found {_found(value)}, which is out of the range of {kind}")
    return int(value)


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | np.number):
        raise ValueError(f"found {_found(value)}, a number is wanted")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("found a number beyond what a double holds") from error


def _decimal(value: Any, places: Decimal, kind: str) -> Decimal:
    try:
        return Decimal(str(value) if isinstance(value, float) else value).quantize(places)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ValueError(f"found {_found(value)}, a {kind} is wanted") from error


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"found {_found(value)}, a text is wanted")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"found {_found(value)}, true or false is wanted")
    return bool(value)


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"found {_found(value)}, a date such as 2025-01-31 is wanted") from error


def _timestamp(value: Any) -> datetime:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"found {_found(value)}, a time such as 2025-01-31T08:30:00Z is wanted") from error
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)
