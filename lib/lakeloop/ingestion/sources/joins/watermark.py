"""How far both sides of a join have come in event time, and which part of the tables a batch can need.

Times are microseconds since 1970, so that no year is too far and no zone is asked.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


class Span(NamedTuple):
    """Event times from `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Arrived:
    """What came to one side: rows, and of those with an event time the span; None where no row has one.

    `newest` is the latest time that the clock had reached.
    """

    rows: int
    first: int | None = None
    last: int | None = None
    newest: int | None = None

    @property
    def span(self) -> Span | None:
        """From the first to the last event time."""
        return None if self.first is None or self.last is None else Span(self.first, self.last)


@dataclass(frozen=True)
class Progress:
    """The newest event time seen of each side so far, and the join's watermark before this batch and with it.

    The watermark of a side is its newest time less its delay, that of the join the lesser of the two; None while a side
    has none. It never goes back.
    """

    left: int | None = None
    right: int | None = None
    before: int | None = None
    watermark: int | None = None

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(**values)

    @property
    def as_json(self) -> dict[str, int | None]:
        """In JSON values."""
        return asdict(self)

    def after(
        self, left: Arrived, right: Arrived, left_delay: dt.timedelta | None, right_delay: dt.timedelta | None
    ) -> "Progress":
        """With one more batch. Without a delay there is no watermark."""
        newest_left, newest_right = _latest(self.left, left.newest), _latest(self.right, right.newest)
        reached: int | None = None
        if None not in (newest_left, newest_right, left_delay, right_delay):
            reached = min(newest_left - micros(left_delay), newest_right - micros(right_delay))  # type: ignore[operator, arg-type]
        return Progress(newest_left, newest_right, self.watermark, _latest(self.watermark, reached))


@dataclass(frozen=True)
class Reach:
    """How far a right row may lie from a left row, in microseconds before and after it."""

    before: int
    after: int

    def right_of(self, left: Span) -> Span:
        """Where the partners of left rows lie."""
        return Span(left.first - self.before, left.last + self.after)

    def left_of(self, right: Span) -> Span:
        """Where the partners of right rows lie."""
        return Span(right.first - self.after, right.last + self.before)

    def closing(self, progress: Progress) -> Span | None:
        """Left rows whose time is up with this batch, and was not before it; None where no row can be."""
        if progress.watermark is None:
            return None
        # A first watermark closes all that lies behind it; those rows are as old as they like.
        first = -(1 << 62) if progress.before is None else progress.before - self.after
        last = progress.watermark - self.after - 1
        return Span(first, last) if first <= last else None


def micros(length: dt.timedelta) -> int:
    """A length of time in microseconds."""
    return length // MICROSECOND


def moment(time: int) -> str:
    """A time as people read it, in UTC."""
    try:
        return f"{EPOCH + time * MICROSECOND:%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        return f"{time} µs after 1970"


def together(spans: Iterable[Span | None]) -> list[Span]:
    """The spans that there are, those that overlap as one."""
    merged: list[Span] = []
    for span in sorted(each for each in spans if each is not None):
        if merged and span.first <= merged[-1].last:
            merged[-1] = Span(merged[-1].first, max(merged[-1].last, span.last))
        else:
            merged.append(span)
    return merged


def _latest(one: int | None, other: int | None) -> int | None:
    return max((time for time in (one, other) if time is not None), default=None)
