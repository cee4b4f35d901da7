"""What the lines of a model's function call, by the name under which they do."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from lakeloop.core.errors import ScoringError
from lakeloop.scoring.kinds import text_of

Numbers = Sequence[float]


def exp(power: float) -> float:
    """As Java's: infinity where a double is too small for it."""
    try:
        return math.exp(power)
    except OverflowError:
        return math.inf


def softmax(raw: Numbers) -> list[float]:
    """Shares of classes from their raw scores."""
    most = max(raw)
    powers = [math.exp(each - most) for each in raw]
    total = sum(powers)
    return [power / total for power in powers]


def argmax(raw: Numbers) -> float:
    """The place of the largest, the first one of equal ones."""
    return float(max(range(len(raw)), key=raw.__getitem__))


def least(*given: Any) -> Any:
    """The smallest that is not None."""
    return min((each for each in given if each is not None), default=None)


def greatest(*given: Any) -> Any:
    """The largest that is not None."""
    return max((each for each in given if each is not None), default=None)


def known(places: Mapping[str, int], text: str | None, column: str) -> int:
    """The place of a category that must be known."""
    if text is None or text not in places:
        raise ScoringError(f"column {column}: category {text!r} was not there in training")
    return places[text]


def bucket(splits: Numbers, number: float | None, keeps: bool, column: str) -> int:
    """The place of a number between splits, that of NaN after them."""
    if number is None or number != number:  # noqa: PLR0124 (NaN)
        if not keeps:
            raise ScoringError(f"column {column} has a missing number, for which the model has no bucket")
        return len(splits) - 1
    if not splits[0] <= number <= splits[-1]:
        raise ScoringError(f"column {column}: {number} is out of [{splits[0]}, {splits[-1]}]")
    return min(bisect_right(splits, number) - 1, len(splits) - 2)


def interpolated(given: float, boundaries: Numbers, predictions: Numbers) -> float:
    """The straight line between the points around a number, flat outside."""
    after = bisect_right(boundaries, given)
    if after == 0:
        return predictions[0]
    if after == len(boundaries) or boundaries[after - 1] == given:
        return predictions[after - 1]
    low, high = boundaries[after - 1], boundaries[after]
    return predictions[after - 1] + (predictions[after] - predictions[after - 1]) * (given - low) / (high - low)


def weighted(weights: Mapping[int, float], counts: Mapping[int, float]) -> float:
    """The sum of counts times the weights of their places."""
    return sum(weights[place] * count for place, count in counts.items() if place in weights)


def counted(counts: Mapping[int, float], factors: Mapping[int, float], over: float) -> list[float]:
    """Counts times the factors of their places, over a number; those without a factor are left out."""
    return [count * factors[place] / over for place, count in counts.items() if place in factors]


def clipped(number: float, low: float, high: float) -> float:
    """The number, or the limit that it is beyond."""
    return low if number < low else min(number, high)


def gathered(values: Numbers, places: Sequence[int]) -> float:
    """The sum of values at places, in their order."""
    total = 0.0
    for place in places:
        total += values[place]
    return total


def date_of(value: date | datetime) -> date:
    """The day of a time."""
    return value.date() if isinstance(value, datetime) else value


FUNCTIONS: dict[str, Any] = {
    "exp": exp, "log": math.log, "sin": math.sin, "cos": math.cos, "inf": math.inf, "nan": math.nan, "softmax": softmax,
    "argmax": argmax, "least": least, "greatest": greatest, "known": known, "bucket": bucket,
    "interpolated": interpolated, "weighted": weighted, "counted": counted, "clipped": clipped, "gathered": gathered,
    "date_of": date_of, "text_of": text_of,
}  # fmt: skip
