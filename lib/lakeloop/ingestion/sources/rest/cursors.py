"""Cursors as APIs write them: which one is greater, and which one lies an overlap before another."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from lakeloop.core.errors import SourceError

NUMBER, TIME, OTHER = 0, 1, 2  # kinds of cursors, in their order


def greatest(cursors: Iterable[str]) -> str | None:
    """The greatest by its meaning; None of none."""
    return max(cursors, key=meaning, default=None)


def meaning(cursor: str) -> tuple[int, Any]:
    """What orders cursors: numbers by value, times by instant (UTC where no zone is given), all else as text."""
    try:
        number = Decimal(cursor)
    except InvalidOperation:
        try:
            moment = dt.datetime.fromisoformat(cursor)
        except ValueError:
            return OTHER, cursor
        return TIME, moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (NUMBER, number) if number.is_finite() else (OTHER, cursor)


def earlier(cursor: str | None, overlap: dt.timedelta | int, where: str) -> str | None:
    """The cursor that lies `overlap` before one, written as that one is.

    Raises SourceError where a length of time is to be taken from what is no time, or a number from what is no number.
    """
    if cursor is None or not overlap:
        return cursor
    kind, value = meaning(cursor)
    if kind == 0 and isinstance(overlap, int):
        return str(value - overlap)
    if kind == 1 and isinstance(overlap, dt.timedelta):
        moment = dt.datetime.fromisoformat(cursor) - overlap
        text = moment.isoformat(sep=cursor[10] if len(cursor) > len("2026-01-01") else "T")
        if len(cursor) == len("2026-01-01"):
            return text[: len(cursor)]
        return text.removesuffix("+00:00") + "Z" if cursor.endswith("Z") else text
    kinds = ("a number", "a time", "a text")
    wanted = "a number, as overlap: 100" if kind == 0 else "a length of time, as overlap: 1h"
    remedy = f"declare {wanted}" if kind < len(kinds) - 1 else "leave it out"
    raise SourceError(f"{where}: the cursor '{cursor}' is {kinds[kind]}, which its overlap does not fit; {remedy}")
