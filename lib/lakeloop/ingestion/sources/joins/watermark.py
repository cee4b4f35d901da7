"""How far both sides of a join have come in event time, and which part of the tables a batch can need.

Times are microseconds since 1970, so that no year is too far and no zone is asked.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

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

    rows: int = 0
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

    def after(
        self, left: Arrived, right: Arrived, left_delay: dt.timedelta | None, right_delay: dt.timedelta | None
    ) -> "Progress":
        """With one more batch. Without a delay there is no watermark."""
        newest_left, newest_right = _latest(self.left, left.newest), _latest(self.right, right.newest)
        if newest_left is None or newest_right is None or left_delay is None or right_delay is None:
            return Progress(newest_left, newest_right, self.watermark, self.watermark)
        reached = min(newest_left - micros(left_delay), newest_right - micros(right_delay))
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


def needed(
    reach: Reach, progress: Progress, left: Arrived, right: Arrived, *, waits: bool, counted: bool
) -> tuple[list[Span], list[Span]]:
    """Where the old rows of the left and of the right table lie that a batch with these new ones can need.

    `waits`: whether left rows are told whose time is up; `counted`: whether all partners of a left row are counted.
    """
    met = reach.left_of(right.span) if right.span else None
    up = reach.closing(progress) if waits else None
    with_partners = (left.span, up, met if counted else None)
    return together([met, up]), together(reach.right_of(span) for span in with_partners if span is not None)


def _latest(one: int | None, other: int | None) -> int | None:
    return max((time for time in (one, other) if time is not None), default=None)
