"""The first read of a table: all of its rows as one transaction sees them, and which transactions it sees."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.ingestion.changes import SNAPSHOT, TRUNCATE
from lakeloop.ingestion.source_specs.cdc import CdcSource
from lakeloop.ingestion.sources.cdc.changes import Row
from lakeloop.ingestion.sources.cdc.checks import PublishedTable, require_table
from lakeloop.ingestion.sources.cdc.landing import Landing
from lakeloop.ingestion.sources.cdc.slots import lsn

if TYPE_CHECKING:
    from lakeloop.ingestion.sources.cdc.server import Connection

TOLD_EVERY = 100_000


@dataclass(frozen=True)
class SnapshotRead:
    """What was read. Every transaction that `snapshot` sees has its commit before `upto`."""

    table: PublishedTable
    snapshot: str
    upto: int
    at: dt.datetime
    rows: int
    next_record: int


def read_snapshot(
    connection: "Connection",
    source: CdcSource,
    keys: tuple[str, ...],
    landing: Landing,
    progress: Callable[[str], None],
    *,
    first_record: int,
    replaces: bool,
) -> SnapshotRead:
    """Land every row of the table. With `replaces`, a truncate comes before them, since the sink has older rows."""
    from psycopg import sql

    schema, name = source.table.split(".")
    identifier = sql.Identifier(schema, name)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Before the snapshot is taken: TRUNCATE and ALTER TABLE would empty the table for a snapshot from before them.
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(identifier))
        seen = connection.execute(
            "SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text, now()"
        ).fetchone()
        assert seen is not None
        at, record = seen[2].astimezone(dt.UTC), first_record
        table = require_table(connection, source, keys)
        names = tuple(column.name for column in table.columns)
        place = lsn(seen[1])
        if replaces:
            landing.write(names, Row(TRUNCATE, place, 0, at, record, (), None, (None,) * len(names)))
            record += 1
        query = sql.SQL("COPY (SELECT {} FROM {}{} {}) TO STDOUT").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL("" if table.is_partitioned else "ONLY "),
            identifier,
            sql.SQL(f"WHERE {table.row_filter}" if table.row_filter else ""),
        )
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            for number, values in enumerate(copy.rows(), start=1):
                landing.write(names, Row(SNAPSHOT, place, record - first_record, at, record, (), None, values))
                record += 1
                if number % TOLD_EVERY == 0:
                    progress(f"reading the table, {number:,} rows")
    return SnapshotRead(table, seen[0], place, at, record - first_record, record)
