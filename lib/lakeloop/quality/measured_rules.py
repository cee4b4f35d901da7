"""Measured rules: a number of all rows lies where it should. They mark (`warn`, the default) or stop the run (`fail`).

They look at every row that was not dropped, whatever other rules say of it; a `filter` narrows that down. Their parts
are aggregated in the pass that writes the rows. `horizon: all` judges the rows of all batches so far together, and
`per: 1d` with `event_time` every day (or hour, …) by itself, each as often as rows of it arrive.
"""

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import Declaration, propose
from lakeloop.core.durations import Duration, in_words
from lakeloop.core.errors import TableError
from lakeloop.core.run_record import now
from lakeloop.quality.keyed_rules import as_time, hashed
from lakeloop.quality.measures import (
    Bounds,
    Measure,
    Part,
    Verdict,
    counted,
    share_of,
    shown,
    spread_parts,
    stddev_of,
    together,
)
from lakeloop.quality.named_columns import ColumnName, ColumnNames
from lakeloop.quality.row_rules.columns import quoted, value_of
from lakeloop.quality.sql_conditions import Aggregate

Share = Annotated[float, Field(ge=0, le=1)]
ReadTable = Callable[[str], DataFrame]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Microseconds of the first and the last year that Python has; times of Spark beyond are as good as these.
EARLIEST, LATEST = -62_135_596_800_000_000, 253_370_764_800_000_000
ROUNDING = 1e-12  # of a sum of doubles, as a share of it
SKETCH = 0.01  # the relative standard deviation of `approx_count_distinct`


def row_count(min: int | None = None, max: int | None = None, *, looked_at: Column) -> Measure:
    """The number of rows."""
    bounds = Bounds(min, max)
    return Measure({"n": counted(looked_at)}, lambda found: bounds.verdict("rows", found["n"]))


def null_ratio(column: ColumnName, max: Share, *, looked_at: Column) -> Measure:
    """The share of rows without a value. NaN and the empty string are values."""
    parts = {"n": counted(looked_at), "nulls": counted(looked_at & value_of(column).isNull())}
    bounds = Bounds(max=max)
    return Measure(parts, lambda found: bounds.verdict(f"share of NULL in {column}", share_of(found, "nulls")))


def empty_ratio(column: ColumnName, max: Share, *, looked_at: Column) -> Measure:
    """The share of rows whose text is NULL or has no visible character."""
    blank = ~F.coalesce(value_of(column).cast("string").rlike(r"(?U)\S"), F.lit(False))
    parts, bounds = {"n": counted(looked_at), "empty": counted(looked_at & blank)}, Bounds(max=max)
    return Measure(parts, lambda found: bounds.verdict(f"share of empty {column}", share_of(found, "empty")))


def mean(column: ColumnName, min: float | None = None, max: float | None = None, *, looked_at: Column) -> Measure:
    """The mean of the numbers that are there. NULL, NaN and texts that are no number do not count."""
    bounds = Bounds(min, max)
    parts = spread_parts(_number(column, looked_at))
    return Measure(parts, lambda found: bounds.verdict(f"mean of {column}", found["mean"]), together)


def stddev(column: ColumnName, min: float | None = None, max: float | None = None, *, looked_at: Column) -> Measure:
    """The standard deviation (of a sample) of the numbers that are there; none below two of them."""
    bounds = Bounds(min, max)
    parts = spread_parts(_number(column, looked_at))
    return Measure(parts, lambda found: bounds.verdict(f"standard deviation of {column}", stddev_of(found)), together)


def total(column: ColumnName, min: float | None = None, max: float | None = None, *, looked_at: Column) -> Measure:
    """The sum of the numbers that are there; 0 of none."""
    bounds, parts = Bounds(min, max), {"sum": Part(F.sum(_number(column, looked_at)))}
    return Measure(parts, lambda found: bounds.verdict(f"total of {column}", float(found["sum"] or 0)))


def smallest(column: ColumnName, min: float | None = None, max: float | None = None, *, looked_at: Column) -> Measure:
    """The smallest number that is there."""
    bounds, parts = Bounds(min, max), {"min": Part(F.min(_number(column, looked_at)), "min")}
    return Measure(parts, lambda found: bounds.verdict(f"smallest {column}", found["min"]))


def largest(column: ColumnName, min: float | None = None, max: float | None = None, *, looked_at: Column) -> Measure:
    """The largest number that is there."""
    bounds, parts = Bounds(min, max), {"max": Part(F.max(_number(column, looked_at)), "max")}
    return Measure(parts, lambda found: bounds.verdict(f"largest {column}", found["max"]))


def quantile(
    column: ColumnName, q: Share, min: float | None = None, max: float | None = None, *, looked_at: Column
) -> Measure:
    """The smallest number that a share `q` of the numbers does not exceed: `q: 0.5` is the median.

    Exact without sorting: it is at least `min` when fewer than `q` of the numbers lie below that, and at most `max`
    when no fewer than `q` do not exceed that (F(x) = P(X ≤ x), the inverse of the empirical distribution).
    """
    number = _number(column, looked_at)
    low = number < (-math.inf if min is None else min)
    high = number <= (math.inf if max is None else max)
    parts = {"n": Part(F.count(number)), "below": counted(low), "upto": counted(high)}

    return Measure(parts, lambda found: quantile_verdict(column, q, min, max, found))


def quantile_verdict(column: str, q: float, min: float | None, max: float | None, found: Mapping[str, Any]) -> Verdict:
    """The verdict on a quantile, of the numbers `below` the lower bound, `upto` the upper one, and of all `n`.

    Of `q: 0` it is the smallest number. The value is the share of numbers on the wrong side; NULL where it holds.
    """
    below, upto = share_of(found, "below"), share_of(found, "upto")
    if below is None or upto is None:
        return Verdict()
    if min is not None and found["below"] and below >= q:
        text = f"{q:g} quantile of {column}: {below:.2%} of the numbers are below {shown(min)}"
        return Verdict(below, f"{text}, expected less than {q:.2%}" if q else f"{text}, expected none")
    if max is not None and (upto < q or not found["upto"]):
        text = f"{q:g} quantile of {column}: {1 - upto:.2%} of the numbers are above {shown(max)}"
        return Verdict(1 - upto, f"{text}, expected at most {1 - q:.2%}" if q else f"{text}, expected not all")
    return Verdict()


def distinct_count(
    columns: ColumnNames,
    min: int | None = None,
    max: int | None = None,
    *,
    looked_at: Column,
) -> Measure:
    """How many different values there are; approximately, with a relative standard deviation of 1 %.

    As in SQL, a NULL is no value, and of several columns a row with one in it does not count.
    """
    values, bounds = hashed(columns), Bounds(min, max)
    distinct = Part(F.approx_count_distinct(F.when(looked_at, values), SKETCH), how=None)
    name = f"different {', '.join(columns)}"
    return Measure({"distinct": distinct}, lambda found: bounds.verdict(name, found["distinct"]))


def is_fresh(column: ColumnName, within: Duration, *, looked_at: Column) -> Measure:
    """The latest time is not older than `within`, when it is judged. Rows without any time at all are not fresh."""
    time = F.unix_micros(as_time(column))
    parts = {"latest": Part(F.max(F.when(looked_at, time)), "max"), "n": counted(looked_at)}

    def judge(found: Mapping[str, Any]) -> Verdict:
        if not found["n"]:
            return Verdict()
        if found["latest"] is None:
            return Verdict(None, f"latest {column}: found no time, expected one within {in_words(within)}")
        latest = EPOCH + dt.timedelta(microseconds=max(EARLIEST, min(found["latest"], LATEST)))
        age = now() - latest
        if age <= within:
            return Verdict(age.total_seconds())
        told = f"latest {column}: found {latest.isoformat(' ', 'seconds')[:19]} UTC, {in_words(age)} ago"
        return Verdict(age.total_seconds(), f"{told}, expected within {in_words(within)}")

    return Measure(parts, judge)


def total_matches(
    column: ColumnName,
    table: str,
    other: str | None = None,
    within: Annotated[float, Field(ge=0)] = 0.0,
    *,
    looked_at: Column,
    read_table: ReadTable,
) -> Measure:
    """The sum equals that of the column `other` (default: the same name) of another table, give or take `within`.

    What the order of summing changes, the last of fifteen digits, is no difference.
    The other table is read as it is when the rule is compiled. Raises TableError when it or its column does not exist.
    """
    theirs, name = read_table(table), other or column
    if name not in theirs.columns:
        raise TableError(f"total_matches: no column '{name}' in {table}; {propose(name, theirs.columns)}")
    row = theirs.agg(F.sum(_number(name, F.lit(True)))).first()
    expected = float((row and row[0]) or 0)
    parts = {"sum": Part(F.sum(_number(column, looked_at)))}

    def judge(found: Mapping[str, Any]) -> Verdict:
        sum_here = float(found["sum"] or 0)
        if math.isclose(sum_here, expected, rel_tol=ROUNDING, abs_tol=within):
            return Verdict(sum_here)
        told = f"total of {column}: found {shown(sum_here)}, expected {shown(expected)} as {name} in {table}"
        return Verdict(sum_here, told + (f", give or take {shown(within)}" if within else ""))

    return Measure(parts, judge)


def has_schema(
    columns: Annotated[dict[str, str], Field(min_length=1)],
    ordered: bool = False,
    exactly: bool = False,
    *,
    frame: DataFrame,
) -> Measure:
    """The columns are there in these types, written as Spark does (`int`, `decimal(10,2)`, `array<string>`).

    `ordered`: also in this order; `exactly`: and no others. Hidden columns, which begin with `_`, do not count. Judged
    from the schema, so no row is read, and where there is none it is judged all the same.
    """
    there = {field.name: field.dataType.simpleString() for field in frame.schema if not field.name.startswith("_")}
    kinds = {name: "".join(kind.lower().split()) for name, kind in there.items()}
    wrong = [
        f"{name} is {there.get(name, 'not there')}, expected {kind}"
        for name, kind in columns.items()
        if kinds.get(name) != "".join(kind.lower().split())
    ]
    if exactly and (more := [name for name in there if name not in columns]):
        wrong.append(f"{', '.join(more)} are not expected")
    in_order = [name for name in there if name in columns]
    if ordered and not wrong and in_order != list(columns):
        wrong.append(f"the order is {', '.join(in_order)}, expected {', '.join(columns)}")
    verdict = Verdict(len(wrong), f"schema: {'; '.join(wrong)}" if wrong else None)
    return Measure({}, lambda _: verdict)


class Baseline(Declaration):
    """How a column was distributed: the share of each value, or of each interval that `edges` divide numbers into.

    `shares` of values need not name rare ones, which count together. Of `edges` there is one less than of `intervals`.
    """

    shares: Annotated[dict[str, Share], Field(min_length=1)] | None = None
    edges: Annotated[list[float], Field(min_length=1)] | None = None
    intervals: list[Share] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Baseline":
        if (self.shares is None) == (self.edges is None) or (self.edges is None) != (self.intervals is None):
            raise ValueError("a baseline has `shares` of values, or `edges` and `intervals` of numbers")
        edges, intervals = self.edges or [], self.intervals or []
        if edges and (len(intervals) != len(edges) + 1 or sorted(set(edges)) != edges):
            raise ValueError("`edges` rise, and `intervals` are one more: below the first, between, above the last")
        expected = self.intervals or list((self.shares or {}).values())
        if sum(expected) > 1 + 1e-6 or (self.intervals and sum(expected) < 1 - 1e-2):
            raise ValueError(f"the shares of a baseline add up to 1, these to {sum(expected):g}")
        return self


def is_like(
    column: ColumnName,
    baseline: Baseline,
    distance: Literal["psi", "ks", "variation"] = "psi",
    max: Annotated[float, Field(gt=0)] = 0.2,
    *,
    looked_at: Column,
) -> Measure:
    """The values are distributed as in a baseline. NULL does not count, NaN is above all numbers.

    `psi`, the population stability index Σ (p - q) ln(p / q), of which 0.1 and 0.25 are the usual bounds (Siddiqi,
    Credit Risk Scorecards, 2006); `ks`, the largest difference of the cumulated shares, for numbers; `variation`, half
    the sum of all differences. A share of nothing counts as half a row in `psi`.
    """
    there = looked_at & value_of(column).isNotNull()
    if baseline.shares is not None:
        text, expected = value_of(column).cast("string"), list(baseline.shares.values())
        bins = [text == name for name in baseline.shares]
        bins.append(~text.isin(list(baseline.shares)))
        expected.append(1 - sum(expected))
    else:
        number, edges = F.expr(f"try_cast({quoted(column)} AS double)"), baseline.edges or []
        bins = [number < edges[0], *((number >= low) & (number < high) for low, high in pairwise(edges))]
        bins.append(number >= edges[-1])
        expected = list(baseline.intervals or [])
    parts = {f"bin_{at}": counted(there & condition) for at, condition in enumerate(bins)}

    def judge(found: Mapping[str, Any]) -> Verdict:
        rows = [found[name] for name in parts]
        if not sum(rows):
            return Verdict()
        far = DISTANCES[distance]([count / sum(rows) for count in rows], expected, 0.5 / sum(rows))
        told = f"distribution of {column}: found {far:.4g} by {distance}, expected at most {max:g}"
        return Verdict(far, told if far > max else None)

    return Measure(parts, judge)


def measure(sql: Aggregate, min: float | None = None, max: float | None = None) -> Measure:
    """Any aggregate in SQL, as `sum(paid) / sum(due)`, over the rows of one batch. NULL holds.

    It takes a pass of its own over the rows that count, together with all others of its kind.
    """
    bounds = Bounds(min, max)
    parts = {"value": Part(F.expr(sql).cast("double"), how=None)}
    return Measure(parts, lambda found: bounds.verdict(sql, found["value"]))


def _number(column: ColumnName, looked_at: Column) -> Column:
    number = F.expr(f"try_cast({quoted(column)} AS double)")
    return F.when(looked_at & ~F.isnan(number), number)


def _stability(found: Sequence[float], expected: Sequence[float], least: float) -> float:
    pairs = [(max(p, least), max(q, least)) for p, q in zip(found, expected, strict=True)]
    return sum((p - q) * math.log(p / q) for p, q in pairs)


def _cumulated(found: Sequence[float], expected: Sequence[float], _least: float) -> float:
    so_far, largest_difference = 0.0, 0.0
    for p, q in zip(found, expected, strict=True):
        so_far += p - q
        largest_difference = max(largest_difference, abs(so_far))
    return largest_difference


def _variation(found: Sequence[float], expected: Sequence[float], _least: float) -> float:
    return sum(abs(p - q) for p, q in zip(found, expected, strict=True)) / 2


DISTANCES: Mapping[str, Callable[[Sequence[float], Sequence[float], float], float]] = {
    "psi": _stability,
    "ks": _cumulated,
    "variation": _variation,
}
OF_NUMBERS = ("mean", "stddev", "total", "smallest", "largest", "quantile", "total_matches")
RULES = (
    row_count,
    null_ratio,
    empty_ratio,
    mean,
    stddev,
    total,
    smallest,
    largest,
    quantile,
    distinct_count,
    is_fresh,
    total_matches,
    has_schema,
    is_like,
    measure,
)
