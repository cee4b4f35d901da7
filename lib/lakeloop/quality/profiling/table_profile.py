"""The profile of a table: what one pass has found of each column, with the error of what is approximate."""

import bisect
import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from lakeloop.quality.profiling.frequent_values import FrequentValues
from lakeloop.quality.profiling.measures import DISTINCT_ERROR, STEPS, kind_of
from lakeloop.quality.profiling.one_pass import Pass, read_once
from lakeloop.quality.profiling.text_formats import FORMATS, PII_FORMATS

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
MOST_VALUES = 10
LIKE_PII = 0.8  # of the values that are there
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999, which is what Python has
KEY_SLACK = 2 * DISTINCT_ERROR


@dataclass(frozen=True)
class ColumnProfile:
    """One column. Numbers of a time are seconds since 1970 in UTC; those of a text are of the texts that are numbers.

    `hidden`: its values may not be shown, since they tell of a person.
    """

    name: str
    type: str
    kind: str
    rows: int
    measured: Mapping[str, Any]
    values: FrequentValues
    shapes: FrequentValues = field(default_factory=FrequentValues)
    hidden: bool = False

    def count(self, name: str) -> int:
        """A measured number of rows; 0 for what is not measured of this type."""
        return int(self.measured.get(name, 0))

    def number(self, name: str) -> float | None:
        """A measured number; None where there was no value to measure."""
        found = self.measured.get(name)
        return None if found is None else float(found)

    @property
    def nulls(self) -> int:
        """Rows without a value; NaN and the empty text are values."""
        return self.count("nulls")

    @property
    def filled(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def has_exact_values(self) -> bool:
        """Whether `values` holds every value with its exact count."""
        cut = self.kind == "text" and (self.measured.get("length_max") or 0) > 100
        return self.kind != "other" and self.values.is_complete and not cut

    @property
    def distinct(self) -> int | None:
        """Different values: exact for at most 256, else ± 4% (see `measures`); None for nested ones."""
        if self.has_exact_values:
            return len(self.values.counts)
        return min(self.count("distinct"), self.filled) if "distinct" in self.measured else None

    @property
    def distinct_error(self) -> int:
        """How far `distinct` may be off, either way; 0 where it is exact."""
        return 0 if self.distinct is None or self.has_exact_values else round(self.distinct * KEY_SLACK)

    @property
    def is_constant(self) -> bool:
        """Whether there is one value and no other."""
        return self.filled > 0 and self.distinct == 1

    @property
    def may_be_key(self) -> bool:
        """Whether every row may have a value of its own, as far as an approximate count can tell."""
        if not self.rows or self.nulls or self.distinct is None:
            return False
        return self.distinct + self.distinct_error >= self.rows if self.distinct_error else self.distinct == self.rows

    @cached_property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles 0, 0.005, … 1 of numbers or times; none where there is no value."""
        return tuple(map(float, self.measured.get("quantiles") or ()))

    def quantile(self, share: float) -> float | None:
        """The value that this share of all values does not exceed; None where there is none."""
        return self.quantiles[round(share * STEPS)] if self.quantiles else None

    @cached_property
    def mad(self) -> float | None:
        """The median absolute deviation from the median, of 200 quantiles in place of the values.

        So its rank is off by at most 0.5% of the rows more than that of a quantile is.
        """
        if not self.quantiles or self.kind != "number":
            return None
        middle = self.quantiles[STEPS // 2]
        return sorted(abs(value - middle) for value in self.quantiles[1:])[STEPS // 2 - 1]

    def share_up_to(self, value: float) -> float:
        """About which share of the values does not exceed this one."""
        return bisect.bisect_right(self.quantiles, value) / len(self.quantiles) if self.quantiles else 0.0

    @property
    def formats(self) -> dict[str, float]:
        """What share of the values that are there looks like an e-mail address and so on; shares of 0 are left out."""
        shares = {name: self.count(f"like_{name}") / self.filled for name in FORMATS} if self.filled else {}
        return {name: share for name, share in shares.items() if share}

    @property
    def likely_pii(self) -> str | None:
        """The personal data that most values look like: email, phone or iban."""
        return next((name for name in PII_FORMATS if self.formats.get(name, 0) >= LIKE_PII), None)

    def most_frequent(self) -> list[tuple[str, int]]:
        """The ten most frequent values with their counts, each too low by at most `values.error`; none where hidden."""
        return [] if self.hidden else self.values.most_common(MOST_VALUES)

    def moment(self, share: float) -> dt.datetime | None:
        """The time that this share of all times does not exceed, in UTC; 0 and 1 give the earliest and the latest."""
        seconds = self.number("max" if share else "min") if share in {0, 1} else self.quantile(share)
        if seconds is None or not EARLIEST <= seconds <= LATEST:
            return None
        return EPOCH + dt.timedelta(seconds=seconds)

    def metrics(self) -> dict[str, float]:
        """The numbers that `ops.table_profiles` keeps: counts alone where the values may not be shown."""
        found: dict[str, float | None] = {"rows": self.rows, "nulls": self.nulls, "distinct": self.distinct}
        counted = (
            "nan",
            "infinite",
            "empty",
            "blank",
            "padded",
            "zeros",
            "negative",
            "ahead",
            "length_min",
            "length_max",
        )
        found |= {name: self.number(name) for name in counted}
        found |= {f"like_{name}": share for name, share in self.formats.items()}
        if not self.hidden and self.kind in {"number", "time"}:
            names = ("mean", "stddev") if self.kind == "number" else ()
            found |= {name: self.number(name) for name in names} | {"mad": self.mad}
            ends = ("min", "max") if self.kind == "number" else ("earliest_at", "latest_at")
            found |= dict(zip(ends, (self.number("min"), self.number("max")), strict=True))
            found |= {name: self.quantile(share) for name, share in QUANTILES.items()}
        return {name: float(value) for name, value in found.items() if value is not None}

    def shares(self) -> dict[str, float]:
        """The share of each of at most 50 values among those that are there; none where hidden or too many."""
        if self.hidden or not self.filled or not self.has_exact_values or len(self.values.counts) > 50:
            return {}
        return {value: count / self.filled for value, count in self.values.most_common()}


@dataclass(frozen=True)
class TableProfile:
    """What one pass has found. `sample` has at most 10,000 rows as texts, each as likely as any other."""

    columns: tuple[ColumnProfile, ...]
    rows: int
    sample: pa.Table

    def column(self, name: str) -> ColumnProfile:
        """The profile of one column. Raises KeyError."""
        return {column.name: column for column in self.columns}[name]

    @property
    def sampled(self) -> int:
        """Rows of the sample."""
        return int(self.sample.num_rows)


def profile_frame(frame: DataFrame, *, hidden: Collection[str] = ()) -> TableProfile:
    """Profile any frame in one pass. The values of `hidden` columns, and of those that look personal, are not shown.

    Raises TableError for a frame without columns.
    """
    return profile_of(frame.schema, read_once(frame), hidden)


def profile_of(schema: T.StructType, found: Pass, hidden: Collection[str] = ()) -> TableProfile:
    """The profile of what a pass has found."""
    columns = []
    for each in schema:
        name = each.name
        shapes = found.shapes.get(name, FrequentValues())
        kind, is_hidden = kind_of(each.dataType), name.lower() in {other.lower() for other in hidden}
        column = ColumnProfile(
            name,
            each.dataType.simpleString(),
            kind,
            found.rows,
            found.measures[name],
            found.values[name],
            shapes,
            is_hidden,
        )
        if not is_hidden and column.likely_pii:
            column = replace(column, hidden=True)
        columns.append(column)
    return TableProfile(tuple(columns), found.rows, found.sample)
