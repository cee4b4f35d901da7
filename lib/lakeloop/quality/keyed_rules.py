"""Keyed rules: a row among the rows that share its key, in its batch or among all rows that came before it.

Each gives a window over the rows of a key, and the violation made of it. With `horizon: batch` (the default) only rows
of one batch are compared, and rows that nobody can decide between violate together.
With `horizon: all`, or a length of time around `event_time`, a row is compared with those that arrived before it: the
first one stays good, so the verdicts do not depend on how the rows were cut into batches. Then a row that a row rule
refuses does not count: it does not make a later one a duplicate.
"""

import datetime as dt
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, NamedTuple

from pydantic import Field
from pyspark.sql import Column, Window
from pyspark.sql import functions as F

from lakeloop.quality.horizon import BATCH, Horizon
from lakeloop.quality.named_columns import ColumnName, ColumnNames
from lakeloop.quality.row_rules.columns import try_cast, value_of


class Marked(NamedTuple):
    """A window over the rows, which becomes the column `marker` of the frame, and the violation, which reads it.

    Of a rule that counts rows, the number may come from elsewhere; then it is NULL where a row stands alone.
    """

    mark: Column
    violation: Column


@dataclass(frozen=True)
class Among:
    """The rows that a keyed rule sees.

    `counted` says which rows count: with a horizon of one batch those of the batch that were not dropped, with another
    one those of all times that no row rule refuses. `arrived` orders all rows by their arrival. `marker` is the name of
    the column to add. `event_time` belongs to a horizon that is a length of time.
    """

    counted: Column
    arrived: Column
    marker: str
    horizon: Horizon
    event_time: str | None = None

    @property
    def is_causal(self) -> bool:
        """Whether rows are compared with those before them, of earlier batches, too."""
        return self.horizon != BATCH


def is_unique(columns: ColumnNames, *, among: Among) -> Marked:
    """No two rows have these values. A key with a NULL in it equals no other.

    Within a batch every row of a repeated key violates it, since nobody knows which one is right. With `horizon: all`,
    or a length of time, the first row to arrive holds and every later one violates it; a length of time is the distance
    of `event_time` from which on a key may come again, and a row without `event_time` holds.
    """
    by_key, marker = Window.partitionBy(*map(value_of, columns)), among.marker
    counts = among.counted & _present(columns)
    if not among.is_causal:
        count = F.count(F.when(among.counted, 1)).over(by_key)
        return Marked(count, _in_rows(columns, counts & (F.col(marker) > 1), marker, "one"))
    if isinstance(among.horizon, dt.timedelta):
        time = F.unix_micros(as_time(str(among.event_time)))
        distance = among.horizon // dt.timedelta(microseconds=1) - 1
        by_key, counts = by_key.orderBy(time).rangeBetween(-distance, distance), counts & time.isNotNull()
    first = F.min(F.when(counts, among.arrived)).over(by_key)
    place = F.concat_ws(":", F.col(marker)["origin"], F.col(marker)["record"])
    where = F.when(place != "", F.concat(F.lit(" at "), place)).otherwise("")
    text = F.concat(F.lit(f"{', '.join(columns)}: found "), _as_text(columns), F.lit(" again, first"), where)
    return Marked(first, F.when(counts & (F.col(marker) < among.arrived), text))


def is_primary_key(columns: ColumnNames, *, among: Among) -> Marked:
    """Every one of the values is there, and no two rows share them; otherwise as `is_unique`."""
    mark, repeated = is_unique(columns, among=among)
    found = F.concat_ws(", ", *(F.coalesce(value_of(column).cast("string"), F.lit("NULL")) for column in columns))
    missing = F.concat(F.lit(f"{', '.join(columns)}: found "), found, F.lit(", expected a value in each"))
    return Marked(mark, F.when(~_present(columns), missing).otherwise(repeated))


def occurs_at_most(columns: ColumnNames, times: Annotated[int, Field(ge=2)], *, among: Among) -> Marked:
    """No more rows than this share the values: what one row of a table becomes in a query's join.

    As `is_unique`, which says so of one row: within a batch all of too many rows violate it, with `horizon: all` those
    that come after the first ones.
    """
    window = Window.partitionBy(*map(value_of, columns))
    if among.is_causal:
        window = window.orderBy(among.arrived).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    count = F.count(F.when(among.counted, 1)).over(window)
    violated = among.counted & _present(columns) & (F.col(among.marker) > times)
    return Marked(count, _in_rows(columns, violated, among.marker, f"at most {times}"))


def determines(columns: ColumnNames, column: ColumnName, *, among: Among) -> Marked:
    """Rows that share the values of `columns` share that of `column`, too (a functional dependency). NULLs hold.

    Within a batch all rows of a key with several values violate it; with `horizon: all` those that differ from the
    first one that arrived.
    """
    by_key, name, marker = Window.partitionBy(*map(value_of, columns)), ", ".join(columns), among.marker
    counts = among.counted & value_of(column).isNotNull() & _present(columns)
    found = F.concat(F.lit(f"{column}: found "), value_of(column).cast("string"), F.lit(f" where {name} is "))
    found = F.concat(found, _as_text(columns))
    if among.is_causal:
        known = F.struct(among.arrived.alias("arrived"), value_of(column).alias("value"))
        first = F.min(F.when(counts, known)).over(by_key)
        expected = F.concat(F.lit(", expected "), F.col(marker)["value"].cast("string"), F.lit(" as before"))
        differs = counts & (F.col(marker)["value"] != value_of(column))
        return Marked(first, F.when(differs, F.concat(found, expected)))
    hashed = F.when(counts, F.xxhash64(value_of(column)))
    several = F.min(hashed).over(by_key) != F.max(hashed).over(by_key)
    return Marked(several, F.when(counts & F.col(marker), F.concat(found, F.lit(", expected one value"))))


def is_increasing(column: ColumnName, by: ColumnNames | None = None, strictly: bool = True, *, among: Among) -> Marked:
    """A value is greater than all that arrived before it, per group of `by`; not less, unless `strictly`. NULL holds.

    A group is sorted by one task, so without `by` one task sees all rows.
    """
    marker = among.marker
    less = value_of(column) <= F.col(marker) if strictly else value_of(column) < F.col(marker)
    expected = "more than" if strictly else "at least"
    return Marked(_largest_before(column, by, among), _after(column, among.counted & less, expected, marker))


def has_no_gaps(
    column: ColumnName, by: ColumnNames | None = None, step: Annotated[int, Field(ge=1)] = 1, *, among: Among
) -> Marked:
    """A number is at most `step` above the largest that arrived before it, per group of `by`. NULL and the first hold.

    What arrives late into a gap does not take the finding back from the row after it.
    """
    beyond = among.counted & (value_of(column) > F.try_add(F.col(among.marker), F.lit(step)))
    return Marked(_largest_before(column, by, among), _after(column, beyond, f"at most {step} above", among.marker))


def hashed(columns: Sequence[str]) -> Column:
    """The key as 64 bits, NULL where a part of it is."""
    return F.when(_present(columns), F.xxhash64(*map(value_of, columns)))


def as_time(column: str) -> Column:
    """The column as a timestamp, NULL where it is none."""
    return try_cast(column, "timestamp")


def _in_rows(columns: Sequence[str], violated: Column, marker: str, expected: str) -> Column:
    shown = F.concat(
        F.lit(f"{', '.join(columns)}: found "), _as_text(columns), F.lit(" in "), F.col(marker).cast("string")
    )
    return F.when(violated, F.concat(shown, F.lit(f" rows, expected {expected}")))


def _largest_before(column: ColumnName, by: Sequence[str] | None, among: Among) -> Column:
    before = Window.partitionBy(*map(value_of, by or [])).orderBy(among.arrived)
    counted = F.when(among.counted, value_of(column))
    return F.max(counted).over(before.rowsBetween(Window.unboundedPreceding, -1))


def _after(column: ColumnName, violated: Column, expected: str, marker: str) -> Column:
    shown = F.concat(F.lit(f"{column}: found "), value_of(column).cast("string"), F.lit(f", expected {expected} "))
    return F.when(violated, F.concat(shown, F.col(marker).cast("string")))


def _as_text(columns: Sequence[str]) -> Column:
    return F.concat_ws(", ", *(value_of(column).cast("string") for column in columns))


def _present(columns: Sequence[str]) -> Column:
    return reduce(operator.and_, (value_of(column).isNotNull() for column in columns))


COUNTING = ("is_unique", "is_primary_key", "occurs_at_most")  # what they need within a batch is a number of rows
RULES = (is_unique, is_primary_key, occurs_at_most, determines, is_increasing, has_no_gaps)
