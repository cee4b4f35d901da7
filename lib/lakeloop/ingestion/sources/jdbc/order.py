"""Values that have an order, as the texts that a plan keeps: comparing them, stepping back, dividing what lies between.

An `instant` is a time with its zone, a `moment` one without, `text` is in the order of the database, which alone knows
it: of texts only equality is asked here.
"""

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Literal

Order = Literal["instant", "moment", "date", "integer", "number", "float", "text"]
Overlap = dt.timedelta | Decimal | None

TIMES = ("instant", "moment", "date")
MICROSECOND, DAY = dt.timedelta(microseconds=1), dt.timedelta(days=1)
EXACT, ROUNDED = Context(prec=20_000), Context(prec=60)  # PostgreSQL's numeric has at most 147,455 digits, few so many
EPOCH = dt.datetime(1, 1, 1)  # noqa: DTZ001 - moments have no zone


def refuse_overlap(order: Order, overlap: Overlap) -> str | None:
    """Words on an overlap that is no distance between two values of a cursor, None for one that is."""
    if overlap is None or (isinstance(overlap, dt.timedelta) and order in TIMES):
        return None
    if order == "text":
        return "is a text, and texts have no distance; leave the overlap out"
    if order in TIMES:
        return "is a time, so its overlap is a length of time, as 1h; declare that"
    return None if isinstance(overlap, Decimal) else "is a number, so its overlap is a number; declare that"


def step_back(text: str, order: Order, overlap: Overlap) -> str:
    """Where reading begins again; never before the first day of year 1. Of dates whole days are stepped, rounded up."""
    if not overlap:
        return text
    if isinstance(overlap, dt.timedelta):
        back = math.ceil(overlap / DAY) * DAY if order == "date" else overlap
        return _text_of(max(_number(text, order) - back // MICROSECOND, Fraction(0)), order, text)
    if order == "integer":
        return str(int(text) - math.ceil(overlap))
    return repr(float(text) - float(overlap)) if order == "float" else _plain(EXACT.subtract(Decimal(text), overlap))


def is_before(text: str, other: str, order: Order) -> bool:
    """Whether one value surely comes before another; of two texts that differ the first is the earlier one."""
    if order == "text":  # a database may hold 'A' and 'a' for equal
        return text.casefold() != other.casefold()
    return bool(_value(text, order) < _value(other, order))


def between(least: str, greatest: str, order: Order, parts: int) -> list[str]:
    """Boundaries, ascending, that divide the values from `least` to `greatest` evenly: less than `parts` of them.

    None of them is `least` itself; where there are fewer values than parts there are fewer boundaries.
    """
    low, high = _number(least, order), _number(greatest, order)
    found = [low + (high - low) * number / parts for number in range(1, parts)]
    if order not in ("number", "float"):
        found = [Fraction(math.ceil(value)) for value in found]
    texts = dict.fromkeys(_text_of(value, order, least) for value in found if value > low)
    return [text for text in texts if is_before(least, text, order)]


def _value(text: str, order: Order) -> Any:
    if order in TIMES:
        return _moment(text)
    return float(text) if order == "float" else Decimal(text)


def _number(text: str, order: Order) -> Fraction:
    """A value as a number; of times the microseconds since year 1 began."""
    if order in TIMES:
        return Fraction((_moment(text) - EPOCH.replace(tzinfo=_moment(text).tzinfo)) // MICROSECOND)
    return Fraction(_value(text, order))


def _text_of(value: Fraction, order: Order, like: str) -> str:
    if order in TIMES:
        moment = EPOCH.replace(tzinfo=_moment(like).tzinfo) + int(value) * MICROSECOND
        return moment.date().isoformat() if order == "date" else moment.isoformat(sep=" ")
    if order == "integer":
        return str(int(value))
    if order == "float":
        return repr(float(value))
    return _plain(ROUNDED.divide(Decimal(value.numerator), Decimal(value.denominator)))


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _plain(number: Decimal) -> str:
    return format(number, "f")


def thinned(marks: Sequence[tuple[int, str]], most: int = 16) -> list[tuple[int, str]]:
    """Every second mark but the last where there are more than `most`; to leave one out only widens a search."""
    return list(marks) if len(marks) <= most else [*marks[:-1][::2], marks[-1]]
