"""How much of its log a database keeps for a pipeline, and how far behind the pipeline is: `ops.slots`.

Grain: one row per look. A look is recorded with each batch that is planned and each that ends, and otherwise when the
last one is old. `lag_seconds` counts from the last commit that the table has, NULL before the first one.
"""

import datetime as dt
from dataclasses import astuple, dataclass

import pyarrow as pa

from lakeloop.core.run_record import now
from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

SLOTS = "ops.slots"
SCHEMA = pa.schema({
    "pipeline": pa.string(), "at": TIME, "slot": pa.string(), "retained_bytes": pa.int64(),
    "lag_seconds": pa.float64(), "applied_lsn": pa.string(), "wal_status": pa.string(),
})  # fmt: skip
OLD = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class SlotState:
    """One look at the slot of a pipeline."""

    pipeline: str
    at: dt.datetime
    slot: str
    retained_bytes: int
    lag_seconds: float | None
    applied_lsn: str
    wal_status: str | None


def last_state(root: str, pipeline: str) -> SlotState | None:
    """The latest look at a pipeline's slot, or None."""
    rows = read_rows(root, SLOTS, [("pipeline", "=", pipeline)])
    return SlotState(**max(rows, key=lambda row: row["at"])) if rows else None


def record_state(root: str, state: SlotState, *, always: bool = True) -> None:
    """Append a look; unless `always`, only where the last one is old."""
    before = None if always else last_state(root, state.pipeline)
    if before is None or now() - before.at > OLD:
        append_rows(root, SLOTS, [astuple(state)], SCHEMA)
