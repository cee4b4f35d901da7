"""Decisions on quarantined rows, in `ops.quarantine`: replayed, fixed or discarded, by whom, why, and with what."""

from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ops_tables import TIME, created, files_of_table, has_table, uri_of

QUARANTINE = "ops.quarantine"
# Cells of the source, by the names that its columns had; `_original` stands for the whole text of a row.
CELLS = pa.list_(pa.struct([("column", pa.string()), ("before", pa.string()), ("after", pa.string())]))
# `root_batch_id` is the batch that the row first came in with: its plan knows the header of the row's file.
# `judged_by` tells the declaration that a replay judged by, so that the same one need not judge the row again.
# `changes` are the cells that this decision has changed, `corrections` all that differ from the original since then.
DECISION_SCHEMA = pa.schema({
    "pipeline": pa.string(), "row_id": pa.string(), "batch_id": pa.int64(), "origin": pa.string(),
    "record": pa.int64(), "rows": pa.int64(), "status": pa.string(), "why": pa.string(), "user": pa.string(),
    "run_id": pa.string(), "at": TIME, "replayed_to": pa.int64(), "new_row_id": pa.string(),
    "root_batch_id": pa.int64(), "judged_by": pa.string(), "changes": CELLS, "corrections": CELLS,
})  # fmt: skip
PERSONAL = ("changes", "corrections")  # columns that quote what rows hold

Status = Literal["replayed", "fixed", "discarded"]
CAME_BACK: tuple[Status, ...] = ("replayed", "fixed")


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
