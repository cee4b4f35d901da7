"""Changes of a table of PostgreSQL as a source: the whole table first, then what was committed since."""

import datetime as dt
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from lakeloop.core.connections import JdbcConnection
from lakeloop.core.run_record import now
from lakeloop.ingestion.landings import landing_folder
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.planning import SchemaPlanner
from lakeloop.ingestion.source_specs.cdc import CdcSource
from lakeloop.ingestion.sources.cdc.changes import ChangeReader
from lakeloop.ingestion.sources.cdc.checks import PublishedTable, require_server, require_table
from lakeloop.ingestion.sources.cdc.column_types import found_in
from lakeloop.ingestion.sources.cdc.landing import Landing, delete_landed, landing_in, read_landed
from lakeloop.ingestion.sources.cdc.position import (
    Position,
    require_continuity,
    require_usable,
    slot_in_words,
    text_of_time,
)
from lakeloop.ingestion.sources.cdc.probing import probe_changes
from lakeloop.ingestion.sources.cdc.server import connected
from lakeloop.ingestion.sources.cdc.slots import (
    Slot,
    advance,
    await_free,
    await_open_transactions,
    create_slot,
    find_slot,
    lsn,
    lsn_text,
    peek,
)
from lakeloop.ingestion.sources.cdc.snapshot import read_snapshot
from lakeloop.ingestion.sources.cdc.visibility import Snapshot
from lakeloop.ingestion.sources.files.conforming import conform_to_schema
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress
from lakeloop.lake.ledger import Plan
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.lake.slot_states import SlotState, record_state

if TYPE_CHECKING:
    from lakeloop.ingestion.sources.cdc.pgoutput import RelationColumn
    from lakeloop.ingestion.sources.cdc.server import Connection

TOLD_EVERY = 10_000
IDLE_BYTES = 16 << 20  # of other tables' log, after which a batch without a change lets the server forget it


@dataclass(frozen=True)
class CdcReader:
    """Reads whole transactions, a batch at a time, of what was committed by its first look at the log.

    So a run ends beside writers that never do; the next run, or the next pass of `lakeloop watch`, looks anew. The
    ledger remembers how far it came; the slot follows it.

    `keys` are the columns of the table that the sink's keys are made of, `texts` those that transforms want as text.
    """

    spark: SparkSession
    connection: JdbcConnection
    password: str | None
    spec: CdcSource
    root: str
    pipeline: str
    keys: tuple[str, ...]
    texts: Collection[str] = ()
    _first_look: list[int] = field(default_factory=list, repr=False, compare=False)

    def plan(self, last: Plan | None, progress: Progress) -> Plan | None:
        """Land the table, or the transactions that were committed since the last plan.

        Raises SourceError, with the remedy, for a server, table or slot that cannot give all changes, and
        SchemaChangedError for a table whose columns have changed where that is declared to stop the run.
        """
        before = None if last is None else Position.of(last)
        with self._connected() as connection:
            server = require_server(connection, self.spec)
            table = require_table(connection, self.spec, self.keys)
            if before is None or before.slot != self.spec.slot:
                return self._whole_table(connection, server, before, progress)
            return self._changes(connection, server, table, before, progress)

    def read(self, plan: Plan) -> Extract:
        """The landed changes, each with its place, its operation and its time."""
        schema = PlannedSchema.of_json(plan.details["schema"])
        landed = read_landed(self.spark, plan.details["files"], self.spec.origin, schema.schema.names, schema.aliases)
        return conform_to_schema(landed, schema, self.spec.schema_rules)

    def probe(self) -> Iterator[Check]:
        """Look at the server, the table and the slot."""
        with self._connected() as connection:
            yield from probe_changes(connection, self.spec, self.keys)

    def finish(self, ended: Ended) -> None:
        """Let the server forget what the table has now. A slot that is gone is said by the next plan."""
        self._schemas.record(PlannedSchema.of_json(ended.plan.details["schema"]), ended.run)
        position = Position.of(ended.plan)
        with self._connected() as connection:
            slot = find_slot(connection, position.slot)
            if slot is None or slot.wal_status == "lost":
                return
            if slot.confirmed < position.place:
                advance(connection, await_free(connection, slot).name, position.place)
            self._note(connection, find_slot(connection, position.slot) or slot, position)

    def release(self, plan: Plan) -> None:
        """Delete the landed changes; bronze has them."""
        delete_landed(plan.details["folder"])

    def _connected(self) -> Any:
        return connected(self.connection, self.password, self.spec.cdc)

    @property
    def _schemas(self) -> SchemaPlanner:
        return SchemaPlanner(self.spec, SchemaVersions(self.root, self.pipeline), self.texts)

    def _whole_table(self, connection: "Connection", server: str, before: Position | None, progress: Progress) -> Plan:
        slot = find_slot(connection, self.spec.slot)
        if slot is None:
            progress(f"making the slot {self.spec.slot}, which waits for open transactions")
            create_slot(connection, self.spec.slot)
            slot = find_slot(connection, self.spec.slot)
            assert slot is not None
        require_usable(slot, server.partition("/")[2])
        slot = await_free(connection, slot)
        await_open_transactions(connection, self.spec.cdc)
        with landing_in(self._folder()) as landing:
            seen = read_snapshot(
                connection, self.spec, self.keys, landing, progress,
                first_record=before.record if before else 0, replaces=before is not None,
            )  # fmt: skip
            planned = self._planned([seen.table.columns])
        position = Position(
            slot.name, server, seen.table.oid, lsn_text(slot.confirmed), seen.next_record, text_of_time(seen.at),
            snapshot=seen.snapshot, snapshot_upto=lsn_text(seen.upto),
        )  # fmt: skip
        rows = seen.rows - (before is not None)
        summary = f"the whole table, {rows:,} rows; {slot_in_words(slot, None)}"
        if before is not None and find_slot(connection, before.slot) is not None:
            summary += f"; nobody reads the slot {before.slot} now: SELECT pg_drop_replication_slot('{before.slot}')"
        self._note(connection, slot, position)
        return self._plan(position, landing, planned, summary, truncates=before is not None)

    def _changes(
        self, connection: "Connection", server: str, table: PublishedTable, before: Position, progress: Progress
    ) -> Plan | None:
        slot = require_continuity(before, find_slot(connection, before.slot), server, table.oid, self.spec.origin)
        require_usable(slot, server.partition("/")[2])
        slot = await_free(connection, slot)
        if slot.confirmed < before.place:  # a server that crashed may have forgotten how far it was told to go
            advance(connection, slot.name, before.place)
        flushed = self._as_of_first_look(connection)
        shapes: dict[tuple[RelationColumn, ...], None] = {}
        reader = ChangeReader(
            table.oid, table.keys, before.place, before.record, before.time,
            Snapshot.parse(before.snapshot) if before.snapshot else None,
        )  # fmt: skip
        messages = peek(connection, slot.name, self.spec.publication, self.spec.changes_per_batch, flushed)
        with landing_in(self._folder()) as landing:
            for columns, row in reader.read(messages):
                shapes[columns] = None
                landing.write(tuple(column.name for column in columns), row)
                if reader.rows % TOLD_EVERY == 0:
                    progress(f"{reader.rows:,} changes")
            is_full = reader.messages >= self.spec.changes_per_batch
            upto = reader.upto if reader.rows or is_full else max(reader.upto, flushed)
            is_idle = not reader.rows and not is_full and upto - before.place < IDLE_BYTES
            planned = None if is_idle else self._planned(list(shapes))
        slot = find_slot(connection, slot.name) or slot
        self._note(connection, slot, before, always=not is_idle)
        if planned is None:
            return None
        position = before.after(upto, reader.record, reader.at, reader.committed_at)
        summary = (
            f"{reader.rows:,} changes in {reader.transactions:,} transactions up to {position.upto}; "
            f"{slot_in_words(slot, self._lag(connection, position))}"
        )
        if planned.changes:
            summary += f"; the table has changed: {', '.join(f'{case} {name}' for case, name, _ in planned.changes)}"
        return self._plan(position, landing, planned, summary, truncates=reader.truncates, kept=sorted(reader.kept))

    def _plan(
        self,
        position: Position,
        landing: Landing,
        planned: PlannedSchema,
        summary: str,
        *,
        truncates: bool,
        kept: Collection[str] = (),
    ) -> Plan:
        details = {
            "position": position.as_json, "folder": landing.folder, "files": landing.files,
            "schema": planned.as_json, "truncates": truncates, "kept": list(kept),
        }  # fmt: skip
        return Plan(details, summary)

    def _planned(self, shapes: "list[tuple[RelationColumn, ...]]") -> PlannedSchema:
        """The schema of a batch in which the table had these columns, one after the other."""
        known = self._schemas.latest()
        found = [found_in(self.spec.origin, columns, known) for columns in shapes if columns]
        return self._schemas.plan(lambda _values: found)

    def _folder(self) -> str:
        return f"{landing_folder(self.root, self.pipeline)}/{uuid.uuid4().hex}"

    def _note(self, connection: "Connection", slot: Slot, position: Position, *, always: bool = True) -> None:
        state = SlotState(
            self.pipeline, now(), slot.name, slot.retained_bytes, self._lag(connection, position), position.upto,
            slot.wal_status,
        )  # fmt: skip
        record_state(self.root, state, always=always)

    @staticmethod
    def _lag(connection: "Connection", position: Position) -> float | None:
        """Seconds since the last commit that was read, by the server's clock."""
        if position.committed_at is None:
            return None
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        passed: dt.timedelta = row[0] - dt.datetime.fromisoformat(position.committed_at)
        return passed.total_seconds()

    def _as_of_first_look(self, connection: "Connection") -> int:
        if not self._first_look:
            row = connection.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
            assert row is not None
            self._first_look.append(lsn(row[0]))
        return self._first_look[0]
