"""The type of a column from its texts, so that each of them is a value of it and none loses a character that counts."""

import datetime as dt
import re
from collections.abc import Iterable

from lakeloop.ingestion.schemas.columns import NESTED

INTEGER = re.compile(r"0|-?[1-9]\d{0,18}")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,2})?")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})?")
DOUBLE_DIGITS = 15  # a double keeps so many decimal digits
FITTING = {
    "int": {"bigint", "float", "double"},
    "bigint": {"double"},
    "float": {"double"},
    "date": {"timestamp"},
    "timestamp_ntz": {"timestamp"},
}
INTEGER_DIGITS = {"int": 10, "bigint": 19}
DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")


def infer_type(texts: Iterable[str | None]) -> str:
    """boolean, bigint, double, date or timestamp where every text is one, else string; NULLs do not count.

    String are also a column without a value, a number with leading zeros, a plus or more than 15 digits and a fraction
    somewhere in the column, and an integer beyond 64 bits.
    """
    kinds: set[str] = set()
    most_digits = 0
    for text in texts:
        if text is None:
            continue
        kind = _kind(text)
        if kind == "string":
            return kind
        if kind in ("bigint", "double"):
            most_digits = max(most_digits, _digits(text))
        kinds.add(kind)
    found = join_types(kinds)
    return "string" if found == "double" and most_digits > DOUBLE_DIGITS else found


def join_types(types: Iterable[str]) -> str:
    """The one of the types that has the values of all; string where there is none."""
    kinds = set(types)
    return next((kind for kind in sorted(kinds) if all(fits(other, kind) for other in kinds)), "string")


def fits(found: str, known: str) -> bool:
    """Whether each value of type `found` is one of type `known`, where `string` takes all."""
    if known in (found, "string") or known in FITTING.get(found, ()):
        return True
    if found == NESTED or not (wanted := DECIMAL.fullmatch(known)):
        return bool(DECIMAL.fullmatch(found)) and known == "double"
    precision, scale = int(wanted[1]), int(wanted[2])
    if found in INTEGER_DIGITS:
        return precision - scale >= INTEGER_DIGITS[found]
    given = DECIMAL.fullmatch(found)
    return given is not None and scale >= int(given[2]) and precision - scale >= int(given[1]) - int(given[2])


def _kind(text: str) -> str:
    if text.lower() in ("true", "false"):
        return "boolean"
    if INTEGER.fullmatch(text):
        return "bigint" if -(2**63) <= int(text) < 2**63 else "string"
    if NUMBER.fullmatch(text):
        return "double"
    if DAY.fullmatch(text) and _exists(text):
        return "date"
    return "timestamp" if MOMENT.fullmatch(text) and _exists(text) else "string"


def _digits(number: str) -> int:
    return len(re.sub(r"[eE].*|\D", "", number).lstrip("0"))


def _exists(moment: str) -> bool:
    try:
        return dt.datetime.fromisoformat(moment).year > 0
    except ValueError:
        return False
