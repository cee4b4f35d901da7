"""Values of a table as JSON and CSV take them."""

import base64
import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def column_values(values: pa.Array) -> list[Any]:
    """The values of a column as Python has them; pyarrow's own way with times would import pandas for half a second."""
    if not pa.types.is_timestamp(values.type):
        found: list[Any] = values.to_pylist()
        return found
    zone = dt.UTC if values.type.tz else None
    micros = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64()).to_pylist()
    return [None if at is None else (EPOCH + dt.timedelta(microseconds=at)).replace(tzinfo=zone) for at in micros]


def json_value(value: Any) -> Any:
    """A value as JSON can hold it: times in ISO 8601, decimals, NaN and infinities as text, bytes in base64."""
    if isinstance(value, dict):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def text_value(value: Any) -> str:
    """A value as a cell: NULL is empty, nested values are JSON."""
    plain = json_value(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, dict | list) else str(plain)


def safe_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe in front."""
    text = text_value(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text
