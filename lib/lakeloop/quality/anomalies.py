"""Learned anomalies: whether a number fits what its own past says, by hour, by weekday and by trend.

Pure functions on numbers. The band of what is expected comes from medians and median deviations, so a few wild batches
of the past do not move it. A number is judged on the scale on which its noise is even: counts and waits by their
logarithm, shares by the arcsine of their root, anything else as it is.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from lakeloop.quality.seasons import Floats, deviation_of, median_of, season_of, slope_of, weekday_of

Scale = Literal["count", "share", "number"]

LEAST = 14  # numbers of the past before anything is judged
WIDTH = 4.5  # half of the band, in deviations of the noise
LASTING = 14  # so many numbers outside their bands, one after the other, are what is usual now
LEAST_CHANGE = {"count": 0.1, "share": 0.0, "number": 0.0}  # of a count a tenth, up or down, is never told
LEAST_SHARE = 0.005  # half a percentage point is never told either
RECENT = 28  # numbers that tell the level of today
TINY = 1e-9


class Point(NamedTuple):
    """A number of the past and when it was measured, in UTC; `low` and `high` are its own band, None where unknown.

    `is_marked`: its batch was an anomaly, whichever number showed it.
    """

    at: dt.datetime
    value: float
    low: float | None = None
    high: float | None = None
    is_marked: bool = False


@dataclass(frozen=True)
class Series:
    """The past of one number as columns, oldest first: when in seconds since 1970, and NaN for a band not known."""

    seconds: Floats
    values: Floats
    low: Floats
    high: Floats
    marked: NDArray[np.bool_]

    @classmethod
    def of(cls, points: Sequence[Point]) -> Self:
        """The columns of points that stand in any order."""
        ordered = sorted(points, key=lambda point: point.at)
        low = [math.nan if point.low is None else point.low for point in ordered]
        high = [math.nan if point.high is None else point.high for point in ordered]
        return cls(
            np.array([point.at.timestamp() for point in ordered], dtype=np.float64),
            np.array([point.value for point in ordered], dtype=np.float64),
            np.array(low, dtype=np.float64),
            np.array(high, dtype=np.float64),
            np.array([point.is_marked for point in ordered], dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.values)

    def with_newest(self, at: dt.datetime, value: float) -> "Series":
        """The same and one number more, without a band."""
        return Series(
            np.append(self.seconds, at.timestamp()),
            np.append(self.values, value),
            np.append(self.low, np.nan),
            np.append(self.high, np.nan),
            np.append(self.marked, False),
        )

    def where(self, rows: NDArray[Any]) -> "Series":
        """Some of its rows, by a mask or by their numbers."""
        return Series(self.seconds[rows], self.values[rows], self.low[rows], self.high[rows], self.marked[rows])


@dataclass(frozen=True)
class Band:
    """What is expected at a moment, in the units of the number, and of how many numbers that was learned."""

    expected: float
    low: float
    high: float
    learned_from: int
    deviation: float
    scale: Scale = "number"

    def score(self, value: float) -> float:
        """How many deviations a number is above (or, negative, below) what is expected; infinite for one not finite."""
        if not math.isfinite(value):
            return math.inf
        return (_forward(value, self.scale) - _forward(self.expected, self.scale)) / self.deviation

    def holds(self, value: float) -> bool:
        """Whether a number is what was expected."""
        return math.isfinite(value) and self.low <= value <= self.high


def learned_from(history: Series) -> Series:
    """Those numbers of the past that teach.

    One of a marked batch or outside of its own band does not; but where so many came one after the other outside, the
    change has stayed: what was before it is forgotten, and they teach.
    """
    history = history.where(np.isfinite(history.values))
    outside = (history.values < history.low) | (history.values > history.high)  # false where no band is known
    teaches = ~(history.marked | outside)
    begins, run = 0, 0
    for index in np.flatnonzero(outside).tolist() if outside.sum() >= LASTING else ():
        run = run + 1 if index and outside[index - 1] else 1
        if run >= LASTING:
            begins = index + 1 - run
            teaches[begins : index + 1] = True
    teaches[:begins] = False
    return history.where(teaches)


def still_learning(history: Sequence[Point] | Series, at: dt.datetime, least: int = LEAST) -> str | None:
    """Why nothing is judged at a moment, in words as `learning: 5 of 14 batches`; None where enough is known.

    A weekday of which no earlier day teaches is not judged either: five working days say nothing of a Saturday.
    """
    return _lacking(learned_from(_series(history)), at, least)


def band_of(
    history: Sequence[Point] | Series,
    at: dt.datetime,
    scale: Scale = "number",
    *,
    rows: int | None = None,
    noise: float | None = None,
    least: int = LEAST,
    width: float = WIDTH,
) -> Band | None:
    """What is expected at a moment; None while `still_learning`.

    `rows` is how many rows the number to be judged is of, and `noise` how far it may be off by the luck of these alone
    (standard deviation ÷ √rows). Numbers that are not finite teach nothing; a history without any noise gives a band
    without width, but for what luck and least changes allow.
    """
    points = learned_from(_series(history))
    if _lacking(points, at, least):
        return None
    values, now = _forward_all(points.values, scale), at.timestamp()
    seasons, season_now, used = season_of(values, points.seconds, now)
    rest, times = values - seasons, points.seconds - now
    levelled = rest - slope_of(times, rest) * times
    expected = median_of(levelled[-RECENT:]) + season_now
    freedom = max(len(points) - used - 2, 1)
    # Medians of few numbers lie close to their own numbers, so what is left looks calmer than it is.
    deviation = deviation_of(levelled) * math.sqrt(len(points) / freedom) * (1 + 3 / freedom)
    lucky = []
    if scale == "share" and rows:
        lucky.append(0.5 / math.sqrt(rows))  # of a share, on the scale of the arcsine
    elif scale == "number" and noise is not None:
        lucky.append(noise)
    size = max(abs(expected), float(np.max(np.abs(values))), TINY)
    half = max(width * max(deviation, *lucky, TINY * size), LEAST_CHANGE[scale])
    low, high = _backward(expected - half, scale), _backward(expected + half, scale)
    middle = _backward(expected, scale)
    if scale == "share":
        low, high = max(min(low, middle - LEAST_SHARE), 0.0), min(max(high, middle + LEAST_SHARE), 1.0)
    return Band(middle, low, high, len(points), half / width, scale)


def _series(history: Sequence[Point] | Series) -> Series:
    return history if isinstance(history, Series) else Series.of(history)


def _lacking(points: Series, at: dt.datetime, least: int) -> str | None:
    if len(points) < least:
        return f"learning: {len(points)} of {least} batches"
    now = np.array([at.timestamp()])
    earlier = points.seconds // 86_400 != now // 86_400
    if not np.any((weekday_of(points.seconds) == weekday_of(now)) & earlier):
        return f"learning: no {at:%A} yet"
    return None


def _forward(value: float, scale: Scale) -> float:
    if scale == "count":
        return math.log1p(max(value, 0.0))
    if scale == "share":
        return math.asin(math.sqrt(min(max(value, 0.0), 1.0)))
    return value


def _forward_all(values: Floats, scale: Scale) -> Floats:
    if scale == "count":
        return np.log1p(np.maximum(values, 0.0))
    if scale == "share":
        return np.arcsin(np.sqrt(np.clip(values, 0.0, 1.0)))
    return values


def _backward(value: float, scale: Scale) -> float:
    if scale == "count":
        return max(math.expm1(min(value, 700.0)), 0.0)
    if scale == "share":
        return math.sin(min(max(value, 0.0), math.pi / 2)) ** 2
    return value
