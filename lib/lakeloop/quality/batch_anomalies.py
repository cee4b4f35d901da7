"""All numbers of one batch against their past, and what stands out, in the words and the order that people need."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from lakeloop.core.durations import in_words
from lakeloop.lake.batch_measures import Number
from lakeloop.lake.batch_profiles import HIGH, LOW, SCORE, BatchNumbers
from lakeloop.quality.anomalies import WIDTH, Band, Scale, Series, band_of, still_learning

# Metrics that are judged, in the order in which equal scores are told.
SCALES: Mapping[str, Scale] = {
    "rows": "count",
    "rows_read": "count",
    "wait_seconds": "count",
    "quarantined_share": "share",
    "null_share": "share",
    "mean": "number",
    "share": "share",
}
ONLY_ABOVE = {"wait_seconds", "quarantined_share"}  # that rows come early, or that more are good, is no fault
OFTEN = 0.01  # the least share, in the mean of the past, of a value that is missed
ROWS, READ, WAIT = Number(None, "rows"), Number(None, "rows_read"), Number(None, "wait_seconds")
MARK = Number(None, "mark" + SCORE)  # of a batch that somebody named: it teaches nothing
NEXT_WAIT = Number(None, "next_wait_seconds")  # only its band is known: what the wait for the next batch may be


@dataclass(frozen=True)
class Signal:
    """A number outside of its band. `score` is how many deviations it is above (below: negative) what is expected."""

    number: Number
    value: float
    low: float
    high: float
    score: float

    @property
    def said(self) -> str:
        """One sentence without a full stop."""
        return f"{named(self.number)} {shown(self.number, self.value)}, expected {self.expected}"

    @property
    def expected(self) -> str:
        """The band in words."""
        low, high = shown(self.number, self.low), shown(self.number, self.high)
        if self.number.metric in ONLY_ABOVE or self.low <= 0:
            return f"at most {high}"
        return low if low == high else f"{low} to {high}"


def judge_numbers(
    past: BatchNumbers, numbers: Mapping[Number, float], at: dt.datetime, *, least: int
) -> dict[Number, Band]:
    """The bands of all numbers of a batch of which enough is known, and of the wait for the next batch.

    A wait is judged by the moment that it began, for a Friday is followed by a longer one.
    """
    bands, rows, read = dict[Number, Band](), int(numbers.get(ROWS, 0)), int(numbers.get(READ, 0))
    for number, value in numbers.items():
        if number.metric not in SCALES or number == WAIT:
            continue
        if number.metric == "null_share" and value == 0 and not any(one > 0 for one in past.of(number)):
            continue  # of a column that never had a NULL there is nothing to say, and most are so
        # Its own spread would excuse a batch whose values are all over the place.
        spread = _usual(past.of(number._replace(metric="stddev"))) if number.metric == "mean" else None
        band = band_of(
            _series(past, number),
            at,
            SCALES[number.metric],
            rows=read if number.metric == "quarantined_share" else rows,
            noise=None if spread is None else spread / math.sqrt(max(rows, 1)),
            least=least,
        )
        if band is not None:
            bands[number] = band
    waits, before = _series(past, WAIT), last_rows_at(past)
    if WAIT in numbers and before is not None:
        if (band := band_of(waits, before, "count", least=least)) is not None:
            bands[WAIT] = band
        waits = waits.with_newest(before, numbers[WAIT])
    if read and (band := band_of(waits, at, "count", least=least)) is not None:
        bands[NEXT_WAIT] = band
    return bands


def completed(past: BatchNumbers, numbers: Mapping[Number, float]) -> dict[Number, float]:
    """The numbers, and a share of 0 for each value that a column often had in the past and does not have now."""
    counted = {number.column for number in numbers if number.metric == "share"}
    gone = {
        number: 0.0
        for number, values in past.values.items()
        if number.metric == "share" and number.column in counted and number not in numbers
        if sum(value for value in values if not math.isnan(value)) >= OFTEN * len(values)
    }
    return {**numbers, **gone}


def with_bands(numbers: Mapping[Number, float], bands: Mapping[Number, Band]) -> dict[Number, float]:
    """The numbers as they are kept: beside each the ends of its band, and its score where it is outside.

    The band of a share of nothing, as that of NULLs in a column that has none, is not kept.
    """
    kept = dict(numbers)
    for number, band in bands.items():
        low = 0.0 if number.metric in ONLY_ABOVE else band.low
        value = numbers.get(number)
        is_outside = value is not None and not low <= value <= band.high
        if not is_outside and value == 0 and number.metric == "null_share":
            continue
        kept[number._replace(metric=number.metric + LOW)] = low
        kept[number._replace(metric=number.metric + HIGH)] = band.high
        if is_outside and value is not None:
            kept[number._replace(metric=number.metric + SCORE)] = band.score(value)
    return kept


def signals_of(past: BatchNumbers, position: int) -> list[Signal]:
    """What stood out in one of the batches, most striking first; of a column's shares only the most striking one."""
    found = []
    for number in past.values:
        score = past.of(number, SCORE)[position] if number.metric in SCALES else math.nan
        if not math.isnan(score):
            low, high = past.of(number, LOW)[position], past.of(number, HIGH)[position]
            found.append(Signal(number, past.values[number][position], low, high, score))
    order = list(SCALES)
    found.sort(key=lambda each: (-round(abs(each.score), 3), order.index(each.number.metric), -each.value))
    kept: dict[tuple[str | None, str], Signal] = {}
    for each in found:
        metric = "rows" if each.number == READ else each.number.metric
        kept.setdefault((each.number.column, metric), each)
    return list(kept.values())


def state_of_learning(past: BatchNumbers, at: dt.datetime, least: int) -> str | None:
    """Why the volume of a batch at a moment would not be judged; None where it would."""
    return still_learning(_series(past, ROWS), at, least)


def last_rows_at(past: BatchNumbers) -> dt.datetime | None:
    """When the last batch that had rows ended."""
    return next((at for at in reversed(_began(past)) if at is not None), None)


def silence(past: BatchNumbers, now: dt.datetime) -> Signal | None:
    """A wait for the next batch that is longer than any that was to be expected."""
    known = [
        (high, at) for high, at in zip(past.of(NEXT_WAIT, HIGH), past.ended_at, strict=True) if not math.isnan(high)
    ]
    if not known:
        return None
    high, waited = known[-1][0], (now - known[-1][1]).total_seconds()
    if waited <= high:
        return None
    return Signal(WAIT, waited, 0.0, high, WIDTH * waited / max(high, 1.0))


def named(number: Number) -> str:
    """What a number is of, as people say it."""
    column, metric, category = number
    said = {
        "rows": "good rows",
        "rows_read": "rows read",
        "wait_seconds": "time without rows",
        "quarantined_share": "share quarantined",
        "null_share": f"{column}: NULL in",
        "mean": f"{column}: mean",
        "share": f"{column} = {category}: share",
    }
    return said.get(metric, metric)


def shown(number: Number, value: float) -> str:
    """A value with its unit."""
    if number.metric == "wait_seconds":
        return in_words(dt.timedelta(seconds=min(value, 1e9)))
    if SCALES.get(number.metric) == "share":
        return f"{value:.2%}"
    return f"{value:,.0f}" if SCALES.get(number.metric) == "count" else f"{value:,.4g}"


def _series(past: BatchNumbers, number: Number) -> Series:
    """The past of a number. A share that a batch does not name was 0 there, if its column was measured at all."""
    values, seconds = np.array(past.of(number)), past.seconds
    if number.metric == "share":
        values[np.isnan(values) & past.counted_shares(number.column)] = 0.0
    if number == WAIT:  # a wait belongs to the moment at which it began
        seconds = np.array([math.nan if at is None else at.timestamp() for at in _began(past)[:-1]])
    series = Series(seconds, values, np.array(past.of(number, LOW)), np.array(past.of(number, HIGH)), past.marked)
    return series.where(~(np.isnan(values) | np.isnan(seconds)))


def _began(past: BatchNumbers) -> list[dt.datetime | None]:
    """Per batch, and for the one to come, when the last batch before it that had rows ended."""
    found: list[dt.datetime | None] = [None]
    for at, rows in zip(past.ended_at, past.of(READ), strict=True):
        found.append(at if rows > 0 else found[-1])
    return found


def _usual(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else None
