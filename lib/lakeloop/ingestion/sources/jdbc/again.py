"""A part of a cursor that was read before, read again: what its plan says, and its rows."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.backfill import Asked
from lakeloop.ingestion.sources.jdbc.order import TIMES, Order
from lakeloop.ingestion.sources.jdbc.spans import Span
from lakeloop.ingestion.sources.jdbc.table import Table
from lakeloop.ingestion.sources.jdbc.taken import fingerprint, new_ones_marked, taken_rows
from lakeloop.ingestion.sources.protocol import FINGERPRINT
from lakeloop.lake.tables import Lake

KINDS: Mapping[Order, str] = {
    "instant": "a time, as 2026-03-01 or 2026-03-01T12:00:00+00:00",
    "moment": "a time without zone, as 2026-03-01 or 2026-03-01T12:00:00",
    "date": "a day, as 2026-03-01",
    "integer": "a whole number",
    "number": "a number",
    "float": "a number",
    "text": "a text",
}


@dataclass(frozen=True)
class Part:
    """Cursors from `first` on, before `until`, none above `upto`, which is how far the pipeline has read.

    Rows from `low` on may be met by the next batch of the source, so they have fingerprints: those of them that none of
    the batches (behind, batch] has.
    """

    first: str
    until: str | None
    upto: str
    low: str
    behind: int
    batch: int

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Part":
        """What `as_json` gave."""
        return cls(**values)

    @property
    def as_json(self) -> dict[str, Any]:
        """The part in JSON values."""
        return asdict(self)


def part_of(asked: Asked, following: Span, order: Order, origin: str) -> Part:
    """What is asked, given the span that the source would read next.

    Raises SourceError for values that the cursor cannot have.
    """
    assert following.low is not None
    first = value_of(asked.first, order, "--from", origin)
    until = None if asked.until is None else value_of(asked.until, order, "--to", origin)
    return Part(first, until, following.upto, following.low, following.behind, following.until)


def condition_of(part: Part, table: Table) -> str:
    """The condition of all its rows."""
    end = None if part.until is None else table.literal(part.until)
    return table.interval.part(table.literal(part.first), end, table.literal(part.upto))


def rows_of(part: Part, table: Table, boundaries: list[str], lake: Lake, record_table: str) -> DataFrame:
    """The rows of a part; where the source may meet them again, with the fingerprints of those it has not met yet."""
    condition, low = condition_of(part, table), table.literal(part.low)
    column = table.interval.column
    below = table.rows(f"({condition}) AND {column} < {low}", boundaries=boundaries)
    above = table.rows(f"({condition}) AND {column} >= {low}")
    taken = taken_rows(lake, record_table, part.behind, part.batch)
    marked = new_ones_marked(above.withColumn(FINGERPRINT, fingerprint(above, table.names)), taken)
    return below.withColumn(FINGERPRINT, F.lit(None).cast("binary")).unionByName(marked)


def value_of(text: str, order: Order, option: str, origin: str) -> str:
    """A value that somebody wrote as one of a cursor. Raises SourceError for one that the cursor cannot have."""
    try:
        if order in TIMES:
            return _time_of(text.strip(), order)
        if order == "integer":
            return str(int(text))
        if order != "text" and not Decimal(text).is_finite():
            raise ValueError(text)
    except (ValueError, InvalidOperation) as error:
        raise SourceError(f"{origin}: {option} {text} is not a value of its cursor, which is {KINDS[order]}") from error
    return text


def _time_of(text: str, order: Order) -> str:
    found = dt.datetime.fromisoformat(text)
    if order == "date":
        if found.time() != dt.time() or found.tzinfo:
            raise ValueError(text)
        return found.date().isoformat()
    if order == "moment" and found.tzinfo:
        raise ValueError(text)
    if order == "instant" and not found.tzinfo:
        found = found.replace(tzinfo=dt.UTC)
    return found.isoformat(sep=" ")
