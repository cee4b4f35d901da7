"""Which rows `keep` lets go, as conditions on a table; each is true or false of the rows as they are."""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.table_spec import Keep
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.open_tables import OpenTable
from lakeloop.lake.ops_tables import has_table
from lakeloop.lake.quarantine_decisions import QUARANTINE
from lakeloop.lake.select import quoted
from lakeloop.lake.views import ROUTE

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


class RowRule(NamedTuple):
    """Why rows go, in words; a condition on them, or, with `since`, the record that tells their age.

    With `since`, rows of the sink go whose key has no good record that came in since then. With `decided`, only rows
    go that somebody has replayed or discarded.
    """

    words: str
    condition: str
    since: dt.datetime | None = None
    decided: bool = False


def record_rules(root: str, spec: PipelineSpec, keep: Keep, now: dt.datetime) -> Iterator[RowRule]:
    """For the table in bronze: by the time of coming in. A batch that an interrupted run left open is not touched."""
    history = Ledger(root).history(spec.pipeline)
    open_batch = history.last if history.outcome is None else None
    finished = f" AND _batch_id <> {open_batch.batch_id}" if open_batch else ""
    quarantined = "_verdict = 'quarantined'"
    for days, verdict, what, decided in (
        (keep.days, "_verdict <> 'quarantined'", "good and dropped rows", False),
        (keep.days if has_table(root, QUARANTINE) else None, quarantined, "replayed and discarded rows", True),
        (keep.quarantined_days, quarantined, "quarantined rows", False),
    ):
        if days is not None:
            before = now - dt.timedelta(days=days)
            old = f"_ingested_at < {literal(before, UTC_MICROSECONDS)}"
            yield RowRule(
                f"{what} that came in before {before:%Y-%m-%d %H:%M}", f"{old} AND {verdict}{finished}", decided=decided
            )


def sink_rules(spec: PipelineSpec, target: Target, keep: Keep, sink: OpenTable, now: dt.datetime) -> Iterator[RowRule]:
    """For a sink with rows of its own: of a history only closed versions, else rows by `by` or by their record's age.

    Rows whose `by` is NULL stay. Raises ConfigError when that column is missing or no time.
    """
    if keep.days is None:
        return
    before = now - dt.timedelta(days=keep.days)
    day = f"{before:%Y-%m-%d %H:%M}"
    if target.history:
        by = keep.by or "end_time"
        yield RowRule(
            f"closed versions whose {by} is before {day}", f"NOT is_current AND {_older(spec, sink, by, before)}"
        )
    elif keep.by:
        yield RowRule(f"rows whose {keep.by} is before {day}", _older(spec, sink, keep.by, before))
    else:
        yield RowRule(f"rows with no record that came in since {day}", "", before)


def keys_without_record(target: Target, since: dt.datetime) -> str:
    """A SELECT of the keys in `sink` that have no good row of its own in `record` since a time."""
    same = " AND ".join(f"record.{quoted(key)} = sink.{quoted(key)}" for key in target.keys)
    young = f"record._verdict = 'good' AND record._ingested_at >= {literal(since, UTC_MICROSECONDS)}"
    if target.route is not None:
        young += f" AND record.{ROUTE} = '{target.route}'"
    chosen = ", ".join(f"sink.{quoted(key)}" for key in target.keys)
    return f"SELECT {chosen} FROM sink WHERE NOT EXISTS (SELECT 1 FROM record WHERE {young} AND {same})"


def decided_ids(pipeline: str) -> str:
    """A SELECT of the ids in `decided` of rows that are closed."""
    return f"SELECT DISTINCT row_id FROM decided WHERE pipeline = '{pipeline}'"


def literal(at: dt.datetime, kind: pa.DataType) -> str:
    """A time as delta-rs compares it with a column of a type."""
    if pa.types.is_date(kind):
        return f"CAST('{at:%Y-%m-%d}' AS DATE)"
    zone = 'Some("UTC")' if kind.tz else "None"
    return f"arrow_cast('{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}', 'Timestamp(Microsecond, {zone})')"


def _older(spec: PipelineSpec, sink: OpenTable, column: str, before: dt.datetime) -> str:
    if column not in sink.schema.names:
        raise ConfigError(f"{spec.pipeline}: keep counts days from '{column}', which {sink.name} lacks")
    kind = sink.schema.field(column).type
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        raise ConfigError(
            f"{spec.pipeline}: keep counts days from '{column}' of {sink.name}, whose type is {kind}; cast it to "
            "date or timestamp, or name another column under keep.by"
        )
    return f"{quoted(column)} < {literal(before, kind)}"
