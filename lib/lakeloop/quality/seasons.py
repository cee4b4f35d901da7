"""Seasons, trend and noise of numbers over time, by medians: a few wild numbers do not move them.

Times are seconds since 1970 in UTC, oldest first; none of the functions takes NaN.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OF_NORMAL = 1.4826  # from the median deviation to the standard deviation of normal noise
MEMBERS = 4  # numbers that a season must have had at the same hour or weekday, at the median
GAIN, TREND_GAIN = 0.85, 0.95  # a season, or a trend, is believed where it leaves less than this much of the noise
ENOUGH = 28  # numbers before a trend is looked for


def season_of(values: Floats, seconds: Floats, now: float) -> tuple[Floats, float, int]:
    """What the hour and the weekday add to each number, and now; and how many medians were taken for it."""
    best: tuple[Floats, float, int] = (np.zeros(len(values)), 0.0, 0)
    if not np.ptp(values):
        return best
    least_noise = deviation_of(values)
    for seasons in _SEASONS:
        rest, added, used = values, 0.0, 0
        for season in seasons:
            members, here = season(seconds), int(season(np.array([now]))[0])
            names, members, counts = np.unique(members, return_inverse=True, return_counts=True)
            if len(names) < 2 or np.median(counts) < MEMBERS:
                break
            medians = _medians(rest, members, counts) - median_of(rest)
            rest = rest - medians[members]
            added += float(medians[names == here].sum())
            used += len(names) - 1
        else:
            noise = deviation_of(rest) * math.sqrt(len(values) / max(len(values) - used - 1, 1))
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


def weekday_of(seconds: Floats) -> NDArray[np.int64]:
    """The weekdays, Monday is 0."""
    return ((seconds // 86_400 + 3) % 7).astype(np.int64)  # 1970 began on a Thursday


def _hour_by_day_off(seconds: Floats) -> NDArray[np.int64]:
    return _hour(seconds) + 24 * (weekday_of(seconds) >= 5)


def _hour_of_week(seconds: Floats) -> NDArray[np.int64]:
    return _hour(seconds) + 24 * weekday_of(seconds)


# From plain to fine; several stand for one after the other.
_SEASONS = ((weekday_of,), (_hour,), (_hour, weekday_of), (_hour_by_day_off, weekday_of), (_hour_of_week,))


def slope_of(times: Floats, values: Floats, blocks: int = 12) -> float:
    """The trend per second: the median slope between medians of blocks; 0 where it explains little."""
    if len(values) < ENOUGH or not np.ptp(values):
        return 0.0
    parts = [part for part in np.array_split(np.arange(len(values)), blocks) if len(part)]
    x = np.array([median_of(times[part]) for part in parts])
    y = np.array([median_of(values[part]) for part in parts])
    first, second = np.triu_indices(len(parts), 1)
    apart = x[second] - x[first]
    if not np.any(apart > 0):
        return 0.0
    slope = median_of((y[second] - y[first])[apart > 0] / apart[apart > 0])
    return slope if deviation_of(values - slope * times) < TREND_GAIN * deviation_of(values) else 0.0


def deviation_of(values: Floats) -> float:
    """The standard deviation of noise, by the median deviation; that of the outer tenth where it is greater."""
    off = np.sort(np.abs(values - median_of(values)))
    return float(max((off[(len(off) - 1) // 2] + off[len(off) // 2]) / 2 * OF_NORMAL, off[len(off) * 9 // 10] / 1.645))


def median_of(values: Floats) -> float:
    """The median of at least one number."""
    ordered = np.sort(values)  # for few numbers faster than numpy's own median
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)
