"""Lengths of time as people write them (`90s`, `30m`, `6h`, `1d`) and as they read them (`1 d 6 h`)."""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

WRONG = PydanticCustomError("duration", "a length of time is a whole number and one of s, m, h, d, as 90s or as 7d")
Written = Annotated[str, Field(pattern=r"^\d{1,6}[dhms]$")]
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse_duration(value: Any) -> dt.timedelta:
    """A length of time above nothing. Raises ValueError that says how one is written."""
    length = parse_wait(value)
    if not length:
        raise WRONG
    return length


def parse_wait(value: Any) -> dt.timedelta:
    """A length of time that may be nothing. Raises ValueError that says how one is written."""
    if isinstance(value, dt.timedelta):
        return value
    match = re.fullmatch(r"(\d{1,6})([dhms])", value) if isinstance(value, str) else None
    if match is None:
        raise WRONG
    return dt.timedelta(seconds=int(match[1]) * UNITS[match[2]])


Duration = Annotated[dt.timedelta, BeforeValidator(parse_duration, json_schema_input_type=Written)]
# May be nothing: `0s`.
Wait = Annotated[dt.timedelta, BeforeValidator(parse_wait, json_schema_input_type=Written)]


def in_words(length: dt.timedelta) -> str:
    """The two largest units of a length of time, whole and rounded down; less than a second is `0 s`."""
    rest, parts = max(0, int(length.total_seconds())), list[str]()
    for unit, seconds in UNITS.items():
        count, rest = divmod(rest, seconds)
        if count or (parts and unit != "s"):
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"
