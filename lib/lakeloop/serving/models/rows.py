"""What callers of models send, looked at before it is scored: a wrong value is named by field, with the remedy."""

import difflib
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from lakeloop.scoring.kinds import WHOLE, arrow_type, reader_of
from lakeloop.serving.answers import RefusedError

MOST_BODY_BYTES = 4 << 20
MOST_ROWS = 10_000
LONGEST_TEXT = 10_000
LONGEST_KEY = 200
LARGEST_FLOAT = 3.4028234663852886e38
SHOWN = 60
Check = Callable[[Any], bool]


def read_body(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises RefusedError for what is no JSON, NaN and Infinity among it."""
    try:
        read = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RefusedError(
            400,
            f"the body is not valid JSON: {error}; NaN and Infinity are none, a value that is not known is null",
        ) from error
    if type(read) is not dict:
        raise RefusedError(400, f'the body is {_shown(read)}; send an object such as {{"row": {{…}}}}')
    return read


class Fields:
    """The fields that a model takes, each with what it accepts."""

    def __init__(self, model: str, columns: Mapping[str, str]) -> None:
        self._model, self.columns = model, columns
        self._checks = {name: _check(kind) for name, kind in columns.items()}

    def require(self, row: Any, at: int | None = None) -> dict[str, Any]:
        """The row itself, when a model can answer for it. Raises RefusedError with the first field that is wrong.

        A field that is missing or null is NULL; a row of nothing else than missing fields is refused. `at` is its
        number in a batch, from 1.
        """
        if type(row) is not dict:
            raise RefusedError(400, f"{_place(at)} is {_shown(row)}; it is an object of fields and values")
        checks = self._checks
        for name, value in row.items():
            accepts = checks.get(name)
            if accepts is None:
                raise self._unknown(name, at)
            if value is not None and not accepts(value):
                raise self._wrong(name, value, at)
        if not row and checks:
            raise RefusedError(400, f"{_place(at)} has no field of '{self._model}'; it takes {self._listed()}")
        return row

    def _unknown(self, name: str, at: int | None) -> RefusedError:
        nearest = difflib.get_close_matches(name[:SHOWN], list(self.columns), n=1)
        remedy = f"did you mean '{nearest[0]}'?" if nearest else f"it takes {self._listed()}"
        return RefusedError(400, f"{_place(at)}: '{self._model}' has no field {_shown(name)}; {remedy}")

    def _wrong(self, name: str, value: Any, at: int | None) -> RefusedError:
        kind = self.columns[name]
        if isinstance(value, dict | list):
            said = f"found {'an object' if isinstance(value, dict) else 'a list'}, one value of type {kind} is wanted"
        elif isinstance(value, str) and len(value) > LONGEST_TEXT:
            said = f"found a text of {len(value):,} characters, of {LONGEST_TEXT:,} at most"
        elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1000:
            said = f"found a number of {value.bit_length():,} bits, which is out of the range of {kind}"
        elif isinstance(value, float) and (
            not math.isfinite(value) or (kind == "float" and abs(value) > LARGEST_FLOAT)
        ):
            said = f"found a number that is out of the range of {kind}"
        else:
            said = _complaint(kind, value)
        return RefusedError(400, f"{_place(at)}, field '{name}': {said}; null says that it is not known")

    def _listed(self) -> str:
        names = list(self.columns)
        return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def require_key(value: Any, field: str = "key") -> str:
    """A key or id as text. Raises RefusedError for what identifies nobody."""
    if type(value) is int and value.bit_length() < 64:
        return str(value)
    if type(value) is not str or not 0 < len(value) <= LONGEST_KEY:
        raise RefusedError(400, f"field '{field}' is {_shown(value)}; it is a text of 1 to {LONGEST_KEY} characters")
    return value


def _check(kind: str) -> Check:
    if kind == "string":
        return lambda value: type(value) is str and len(value) <= LONGEST_TEXT
    if kind == "double":
        return lambda value: (
            math.isfinite(value) if type(value) is float else type(value) is int and value.bit_length() < 1000
        )
    if kind == "float":
        return lambda value: (type(value) is float or type(value) is int) and abs(value) <= LARGEST_FLOAT
    if kind == "boolean":
        return lambda value: type(value) is bool
    reader = reader_of(kind)
    if kind in WHOLE:
        limit = 1 << (arrow_type(kind).bit_width - 1)
        return lambda value: (
            -limit <= value < limit
            if type(value) is int
            else type(value) is float and math.isfinite(value) and _reads(reader, value)
        )
    return lambda value: (
        type(value) in (str, int, float)
        and (type(value) is not str or len(value) <= LONGEST_TEXT)
        and (type(value) is not int or value.bit_length() < 1000)
        and (type(value) is not float or math.isfinite(value))
        and _reads(reader, value)
    )


def _reads(reader: Callable[[Any], Any], value: Any) -> bool:
    try:
        read = reader(value)
    except (ValueError, OverflowError):  # a time of year 1 has no counterpart in UTC
        return False
    return not isinstance(read, Decimal) or read.is_finite()


def _complaint(kind: str, value: Any) -> str:
    try:
        reader_of(kind)(value)
    except ValueError as error:
        return str(error)
    except OverflowError:
        pass
    return f"found {_shown(value)}, a {kind} is wanted"


def _place(at: int | None) -> str:
    return "the row" if at is None else f"row {at}"


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= SHOWN else f"{said[: SHOWN - 3]}…"
