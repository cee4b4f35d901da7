"""What people have decided of a pipeline's intake: `ops.streams`, grain one decision.

A pause holds until it is resumed. A reset lets the source be read from its beginning again: plans up to `batch_id`
count as if they had never been.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

STREAMS = "ops.streams"
Kind = Literal["paused", "resumed", "reset"]
SCHEMA = pa.schema({
    "pipeline": pa.string(), "decision": pa.string(), "batch_id": pa.int64(), "why": pa.string(), "decided_at": TIME,
    "user": pa.string(), "run_id": pa.string(),
})  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """Who decided what, when and why; `batch_id` is the last batch that was planned by then, None where none was."""

    pipeline: str
    kind: Kind
    why: str
    at: dt.datetime
    user: str
    batch_id: int | None = None

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.kind} by {self.user} at {self.at:%F %H:%M}" + (f": {self.why}" if self.why else "")


def decide(
    root: str, run: RunContext, pipeline: str, kind: Kind, *, why: str = "", batch_id: int | None = None
) -> Decision:
    """Append a decision."""
    decision = Decision(pipeline, kind, why, now(), run.user, batch_id)
    append_rows(root, STREAMS, [(pipeline, kind, batch_id, why, decision.at, run.user, run.run_id)], SCHEMA)
    return decision


def decisions(root: str, pipeline: str) -> list[Decision]:
    """All decisions on a pipeline, oldest first."""
    rows = sorted(read_rows(root, STREAMS, [("pipeline", "=", pipeline)]), key=lambda row: row["decided_at"])
    return [
        Decision(pipeline, row["decision"], row["why"], row["decided_at"], row["user"], row["batch_id"]) for row in rows
    ]


def find_pause(root: str, pipeline: str) -> Decision | None:
    """The pause that holds, if one does."""
    of_intake = [decision for decision in decisions(root, pipeline) if decision.kind != "reset"]
    return of_intake[-1] if of_intake and of_intake[-1].kind == "paused" else None


def last_reset(root: str, pipeline: str) -> int:
    """The last batch before the last reset; -1 where there was none."""
    resets = [decision.batch_id for decision in decisions(root, pipeline) if decision.kind == "reset"]
    return max((batch_id for batch_id in resets if batch_id is not None), default=-1)
