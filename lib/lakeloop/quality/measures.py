"""Measures: numbers of many rows, made of parts that add up, so that batches and whole tables are judged alike."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

Combining = Literal["sum", "min", "max"]
Numbers = Mapping[str, Any]
MILLION = 1_000_000
_COMBINE: Mapping[Combining, Callable[[Any, Any], Any]] = {"sum": operator.add, "min": min, "max": max}


@dataclass(frozen=True)
class Part:
    """One aggregate of the rows, and how its values of two sets of rows become that of both; NULL where none counts.

    `how` is None for one that cannot be told from those of parts, as a number of distinct values.
    """

    column: Column
    how: Combining | None = "sum"


@dataclass(frozen=True)
class Verdict:
    """What a measure came to: its number, NULL where the rows give none, and a sentence where it is not as expected."""

    value: float | None = None
    violation: str | None = None


@dataclass(frozen=True)
class Measure:
    """What to aggregate, and the verdict on the numbers that come of it. Without parts the verdict is known already."""

    parts: Mapping[str, Part]
    judge: Callable[[Numbers], Verdict]
    combine: Callable[[Numbers, Numbers], dict[str, Any]] | None = None

    @property
    def adds_up(self) -> bool:
        """Whether the numbers of two sets of rows make those of both."""
        return self.combine is not None or all(part.how is not None for part in self.parts.values())

    def combined(self, numbers: Numbers, others: Numbers) -> dict[str, Any]:
        """The numbers of two sets of rows together."""
        if self.combine is not None:
            return self.combine(numbers, others)
        return {
            name: _both(_COMBINE[part.how], numbers[name], others[name])
            for name, part in self.parts.items()
            if part.how is not None
        }


@dataclass(frozen=True)
class Bounds:
    """From where to where a number may be, both ends included; None leaves a side open. NaN is outside."""

    min: float | None = None
    max: float | None = None

    def verdict(self, name: str, value: float | None) -> Verdict:
        """The verdict on a number; without rows there is none, and then nothing is violated."""
        if value is None:
            return Verdict()
        is_within = (self.min is None or value >= self.min) and (self.max is None or value <= self.max)
        if is_within and not math.isnan(value):
            return Verdict(value)
        return Verdict(value, f"{name}: found {shown(value)}, expected {self.in_words}")

    @property
    def in_words(self) -> str:
        """As in `from 0 to 10` or `at least 1`; `a number` where both sides are open."""
        if self.min is None and self.max is None:
            return "a number"
        if self.min is None:
            return f"at most {shown(self.max)}"
        return f"at least {shown(self.min)}" if self.max is None else f"from {shown(self.min)} to {shown(self.max)}"


def shown(number: float | int | None) -> str:
    """A number as a person reads it: six digits, or two decimals from a million on."""
    if number is None or isinstance(number, int):
        return "NULL" if number is None else f"{number:,}"
    if MILLION <= abs(number) < MILLION * MILLION:
        return f"{number:,.2f}".rstrip("0").rstrip(".")
    return f"{number:.6g}"


def counted(condition: Column) -> Part:
    """How many rows a condition is true of."""
    return Part(F.count(F.when(condition, 1)))


def spread_parts(number: Column) -> dict[str, Part]:
    """Count, mean and sum of squared differences from it; `together` combines them. NULL does not count."""
    around = F.var_pop(number) * F.count(number)
    return {"n": Part(F.count(number)), "mean": Part(F.avg(number), None), "around": Part(around, None)}


def together(numbers: Numbers, others: Numbers) -> dict[str, Any]:
    """What `spread_parts` gives of two sets of rows as of one (Chan, Golub and LeVeque, 1983): nothing cancels out."""
    if not numbers["n"] or not others["n"]:
        return dict(numbers if numbers["n"] else others)
    n, apart = numbers["n"] + others["n"], others["mean"] - numbers["mean"]
    mean = numbers["mean"] + apart * others["n"] / n
    between = apart * apart * numbers["n"] * others["n"] / n
    return {"n": n, "mean": mean, "around": numbers["around"] + others["around"] + between}


def stddev_of(numbers: Numbers) -> float | None:
    """The standard deviation of a sample, of what `spread_parts` gives; None below two rows."""
    return None if numbers["n"] < 2 else float(numbers["around"] / (numbers["n"] - 1)) ** 0.5


def share_of(numbers: Numbers, part: str, whole: str = "n") -> float | None:
    """One count as a share of another; None of nothing."""
    return numbers[part] / numbers[whole] if numbers[whole] else None


def _both(combine: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return combine(one, other)
