"""What became of quarantined rows. Their record in bronze never changes: a row is open until a decision names it.

A row has no key of its own, so its id is made of its batch, its place and its text. Rows that are equal in all of these
(a table of a database has no line numbers) share an id and every decision, which says how many rows it stands for.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import DeltaError

from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ops_tables import TIME, created, files_of_table, has_table, uri_of
from lakeloop.lake.select import MEMORY, SPILL, Reach, Selected, explained

QUARANTINE = "ops.quarantine"
# `root_batch_id` is the batch that the row first came in with: its plan knows the header of the row's file.
# `judged_by` tells the declaration that a replay judged by, so that the same one need not judge the row again.
DECISION_SCHEMA = pa.schema({
    "pipeline": pa.string(), "row_id": pa.string(), "batch_id": pa.int64(), "origin": pa.string(),
    "record": pa.int64(), "rows": pa.int64(), "status": pa.string(), "why": pa.string(), "user": pa.string(),
    "run_id": pa.string(), "at": TIME, "replayed_to": pa.int64(), "new_row_id": pa.string(),
    "root_batch_id": pa.int64(), "judged_by": pa.string(),
})  # fmt: skip

Status = Literal["replayed", "discarded"]


@dataclass(frozen=True)
class Chosen:
    """Which open rows: those with a reason of this rule, and those of this origin; None takes all.

    An origin that is a packed file takes what was inside of it. Equal rows are chosen together.
    """

    rule: str | None = None
    origin: str | None = None


def row_id(batch_id: int, origin: str | None, record: int | None, original: str | None) -> str:
    """The id of a quarantined row, 64 hexadecimal digits; NULL counts as an empty text."""
    place, text = origin or "", original or ""
    parts = f"{batch_id}|{'' if record is None else record}|{len(place)}|{place}|{text}"
    return hashlib.sha256(parts.encode()).hexdigest()


def row_id_sql(table: str = "") -> str:
    """The same as an expression of delta-rs; `table` is an alias with its dot."""
    place, text = f"coalesce({table}_position['origin'], '')", f"coalesce({table}_original, '')"
    record = f"coalesce(CAST({table}_position['record'] AS VARCHAR), '')"
    length = f"CAST(character_length({place}) AS VARCHAR)"
    parts = f"CAST({table}_batch_id AS VARCHAR), '|', {record}, '|', {length}, '|', {place}, '|', {text}"
    return f"encode(sha256(concat({parts})), 'hex')"


@dataclass(frozen=True)
class Quarantine:
    """The quarantined rows of one pipeline and the decisions on them, read and written without Spark.

    `open_batch` is a batch that has not ended: its rows may still be taken back, so they do not count.
    """

    root: str
    pipeline: str
    open_batch: int | None = None

    @property
    def record_table(self) -> str:
        """The table in bronze."""
        return f"bronze.{self.pipeline}"

    def by_rule(self) -> list[dict[str, Any]]:
        """Open rows by rule, most first: `rule`, `rows`, `since`. A row of two reasons counts under both."""
        reasons = "SELECT unnest(_reasons) AS reason, _ingested_at FROM open_rows"
        grouped = f"SELECT reason['rule'] AS rule, count(*) AS rows, min(_ingested_at) AS since FROM ({reasons})"
        return self._rows(f"{grouped} GROUP BY 1 ORDER BY rows DESC, rule")

    def count(self, chosen: Chosen) -> int:
        """How many rows are open."""
        found = self._rows(f"SELECT count(*) AS rows FROM open_rows{_where(chosen)}")
        return int(found[0]["rows"]) if found else 0

    def open_rows(self, chosen: Chosen, limit: int) -> Iterator[pa.RecordBatch]:
        """The first open rows, oldest batch first."""
        columns = (
            "_batch_id AS batch_id, _position['origin'] AS origin, _position['record'] AS record, "
            "_ingested_at AS came_in, _reasons AS reasons, _original AS original"
        )
        return self._select(
            f"SELECT {columns} FROM open_rows{_where(chosen)} ORDER BY batch_id, origin, record LIMIT {int(limit)}"
        )

    def discard(self, chosen: Chosen, run: RunContext, why: str) -> int:
        """Close open rows by decision, in one commit, and give how many; the rows stay in bronze."""
        rows = self.count(chosen)
        found = self._select(
            "SELECT row_id, min(_batch_id) AS batch_id, min(_position['origin']) AS origin, "
            f"min(_position['record']) AS record, count(*) AS rows FROM open_rows{_where(chosen)} GROUP BY row_id"
        )
        if rows:
            append_decisions(self.root, (decisions(batch, self.pipeline, "discarded", run, why) for batch in found))
        return rows

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return [row for batch in self._select(sql) for row in batch.to_pylist()]

    def _select(self, sql: str) -> Iterator[pa.RecordBatch]:
        if not has_table(self.root, self.record_table):
            return iter(())
        builder = QueryBuilder()
        builder.execute(f"SET datafusion.runtime.memory_limit = '{MEMORY}'").read_all()
        builder.execute(f"SET datafusion.runtime.max_temp_directory_size = '{SPILL}'").read_all()
        is_open = "_verdict = 'quarantined'"
        if self.open_batch is not None:
            is_open += f" AND _batch_id <> {int(self.open_batch)}"
        rows = f"SELECT *, {row_id_sql()} AS row_id FROM record WHERE {is_open}"
        try:
            builder.register("record", DeltaTable(uri_of(self.root, self.record_table)))
            if has_table(self.root, QUARANTINE):
                builder.register("decided", DeltaTable(uri_of(self.root, QUARANTINE)))
                mine = f"SELECT decided.row_id AS closed_id FROM decided WHERE pipeline = {_literal(self.pipeline)}"
                # From the right: the side on the left is held in memory, and the rows carry their texts.
                rows = f"SELECT * FROM ({mine}) RIGHT ANTI JOIN ({rows}) ON closed_id = row_id"
            # Asked for here and not when the first row is: a writer that is fed by it could not start another engine.
            reader = pa.RecordBatchReader.from_stream(builder.execute(f"WITH open_rows AS ({rows}) {sql}"))
            return Selected(reader, Reach({})).batches()
        except DeltaError as error:
            raise explained(error, Reach({})) from error


def append_decisions(root: str, batches: Iterable[pa.RecordBatch]) -> None:
    """Append decisions, all in one commit."""
    reader = pa.RecordBatchReader.from_batches(DECISION_SCHEMA, iter(batches))
    write_deltalake(created(root, QUARANTINE, DECISION_SCHEMA), reader, mode="append")


def has_replayed(root: str, pipeline: str, batch_id: int) -> bool:
    """Whether the decisions of a replay are on record."""
    if not has_table(root, QUARANTINE):
        return False
    is_mine = (pc.field("pipeline") == pipeline) & (pc.field("replayed_to") == batch_id)
    rows = DeltaTable(uri_of(root, QUARANTINE)).to_pyarrow_dataset(filesystem=files_of_table(root, QUARANTINE))
    return bool(rows.scanner(filter=is_mine, columns=["row_id"]).head(1).num_rows)


def decisions(
    rows: pa.RecordBatch, pipeline: str, status: Status, run: RunContext, why: str, **columns: pa.Array | Any
) -> pa.RecordBatch:
    """Decisions on rows of `row_id`, `batch_id`, `origin`, `record` and `rows`; `columns` are values or arrays."""
    said = {"pipeline": pipeline, "status": status, "why": why, "user": run.user, "run_id": run.run_id, "at": now()}
    given = said | {name: rows.column(name) for name in rows.schema.names} | columns
    arrays = []
    for column in DECISION_SCHEMA:
        value = given.get(column.name)
        same = value if isinstance(value, pa.Array) else pa.array([value] * rows.num_rows, column.type)
        arrays.append(same.cast(column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=DECISION_SCHEMA)


def _where(chosen: Chosen) -> str:
    conditions = []
    if chosen.rule is not None:
        reasons = "SELECT row_id AS chosen_id, unnest(_reasons) AS reason FROM open_rows"
        same = f"reason['rule'] = {_literal(chosen.rule)}"
        conditions.append(f"row_id IN (SELECT chosen_id FROM ({reasons}) WHERE {same})")
    if chosen.origin is not None:
        place = "_position['origin']"
        inside = f"starts_with({place}, {_literal(chosen.origin + '!/')})"
        conditions.append(f"({place} = {_literal(chosen.origin)} OR {inside})")
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
