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

Scale = Literal["count", "share", "number"]
Floats = NDArray[np.float64]

LEAST = 14  # numbers of the past before anything is judged
WIDTH = 4.5  # half of the band, in deviations of the noise
LASTING = 14  # so many numbers outside their bands, one after the other, are what is usual now
OF_NORMAL = 1.4826  # from the median deviation to the standard deviation of normal noise
LEAST_CHANGE = {"count": 0.1, "share": 0.0, "number": 0.0}  # of a count a tenth, up or down, is never told
LEAST_SHARE = 0.005  # half a percentage point is never told either
MEMBERS = 4  # numbers that a season must have had at the same hour or weekday, at the median
GAIN = 0.85  # a season or a trend is believed where it leaves at most this much of the noise
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
    seasons, season_now, used = _season(values, points.seconds, now)
    rest, times = values - seasons, points.seconds - now
    levelled = rest - _slope(times, rest) * times
    expected = _median(levelled[-RECENT:]) + season_now
    freedom = max(len(points) - used - 2, 1)
    # Medians of few numbers lie close to their own numbers, so what is left looks calmer than it is.
    deviation = _deviation(levelled) * math.sqrt(len(points) / freedom) * (1 + 3 / freedom)
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
    if not np.any((_weekday(points.seconds) == _weekday(now)) & earlier):
        return f"learning: no {at:%A} yet"
    return None


def _season(values: Floats, seconds: Floats, now: float) -> tuple[Floats, float, int]:
    """What the hour and the weekday add to each number, and now; and how many medians were taken for it."""
    best: tuple[Floats, float, int] = (np.zeros(len(values)), 0.0, 0)
    if not np.ptp(values):
        return best
    least_noise = _deviation(values)
    for seasons in _SEASONS:
        rest, added, used = values, 0.0, 0
        for season in seasons:
            members, here = season(seconds), int(season(np.array([now]))[0])
            names, members, counts = np.unique(members, return_inverse=True, return_counts=True)
            if len(names) < 2 or np.median(counts) < MEMBERS:
                break
            medians = _medians(rest, members, counts) - _median(rest)
            rest = rest - medians[members]
            added += float(medians[names == here].sum())
            used += len(names) - 1
        else:
            noise = _deviation(rest) * math.sqrt(len(values) / max(len(values) - used - 1, 1))
            if noise < GAIN * least_noise:
                best, least_noise = (values - rest, added, used), noise
    return best


def _medians(values: Floats, members: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
    """The median of each group, whose sizes are `counts`."""
    ordered = values[np.lexsort((values, members))]
    starts = np.cumsum(counts) - counts
    return np.asarray((ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2)


def _hour(seconds: Floats) -> NDArray[np.int64]:
    return (seconds // 3_600 % 24).astype(np.int64)


def _weekday(seconds: Floats) -> NDArray[np.int64]:
    return ((seconds // 86_400 + 3) % 7).astype(np.int64)  # 1970 began on a Thursday


def _hour_by_day_off(seconds: Floats) -> NDArray[np.int64]:
    return _hour(seconds) + 24 * (_weekday(seconds) >= 5)


def _hour_of_week(seconds: Floats) -> NDArray[np.int64]:
    return _hour(seconds) + 24 * _weekday(seconds)


# From plain to fine; several stand for one after the other.
_SEASONS = ((_weekday,), (_hour,), (_hour, _weekday), (_hour_by_day_off, _weekday), (_hour_of_week,))


def _slope(times: Floats, values: Floats, blocks: int = 12) -> float:
    """The trend per second: the median slope between medians of blocks; 0 where it explains little."""
    if len(values) < 2 * LEAST or not np.ptp(values):
        return 0.0
    parts = [part for part in np.array_split(np.arange(len(values)), blocks) if len(part)]
    x = np.array([_median(times[part]) for part in parts])
    y = np.array([_median(values[part]) for part in parts])
    first, second = np.triu_indices(len(parts), 1)
    apart = x[second] - x[first]
    if not np.any(apart > 0):
        return 0.0
    slope = _median((y[second] - y[first])[apart > 0] / apart[apart > 0])
    return slope if _deviation(values - slope * times) < 0.95 * _deviation(values) else 0.0


def _deviation(values: Floats) -> float:
    """The standard deviation of noise, by the median deviation; that of the outer tenth where it is greater."""
    off = np.sort(np.abs(values - _median(values)))
    return float(max((off[(len(off) - 1) // 2] + off[len(off) // 2]) / 2 * OF_NORMAL, off[len(off) * 9 // 10] / 1.645))


def _median(values: Floats) -> float:
    ordered = np.sort(values)  # for few numbers faster than numpy's own median
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)


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
