"""The ledger: which batches were planned and how each ended, so that a killed run is resumed and never repeated.

A batch is planned (written ahead) before it is read. Its writes carry its identity, so a batch that is run again after
a kill changes nothing that was committed. The next batch is planned only when this one has ended.
"""

import datetime as dt
import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakeloop.core.errors import ConcurrentRunError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ops_tables import (
    TIME,
    append_against,
    append_rows,
    created,
    files_of_table,
    has_table,
    read_columns,
    read_rows,
    uri_of,
)
from lakeloop.lake.stream_decisions import last_reset
from lakeloop.lake.tables import Commit

BATCHES = "ops.batches"
RUNS = "ops.runs"
MESSAGES_LOST = "messages_lost"  # a result of a source: what was gone before it was read, and goes on as declared
REPLAY, FIX, BACKFILL = "quarantine replay", "quarantine fix", "backfill"  # the verbs of runs that bring no new data

Outcome = Literal["succeeded", "failed", "withdrawn", "nothing_new", "paused"]

BATCH_SCHEMA = pa.schema({
    "pipeline": pa.string(), "writer": pa.string(), "batch_id": pa.int64(), "run_id": pa.string(), "planned_at": TIME,
    "plan": pa.string(),
})  # fmt: skip
RUN_SCHEMA = pa.schema({
    "run_id": pa.string(), "verb": pa.string(), "name": pa.string(), "table": pa.string(), "batch_id": pa.int64(),
    "outcome": pa.string(), "rows_read": pa.int64(), "rows_good": pa.int64(), "rows_quarantined": pa.int64(),
    "rows_dropped": pa.int64(), "started_at": TIME, "ended_at": TIME, "message": pa.string(),
    "environment": pa.string(), "user": pa.string(),
})  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What one batch reads, in JSON values: reading the same plan again gives the same rows.

    `failure` says why a source stopped before its end; what it gave until then is in the plan. A `replay` reads rows
    that were quarantined and a `backfill` what was read before, so a source does not go on from these. `violations` are
    what the source itself found, as (rule, severity, rows).
    """

    details: dict[str, Any]
    summary: str
    failure: str | None = None
    kind: Literal["source", "replay", "backfill"] = "source"
    violations: tuple[tuple[str, str, int], ...] = ()

    @classmethod
    def of_json(cls, text: str) -> "Plan":
        """What `as_json` gave."""
        values = json.loads(text)
        found = ((rule, severity, rows) for rule, severity, rows in values.pop("violations", ()))
        return cls(**values, violations=tuple(found))

    @property
    def as_json(self) -> str:
        """The plan as text."""
        return json.dumps(vars(self))


@dataclass(frozen=True)
class Batch:
    """One planned batch of a pipeline."""

    commit: Commit
    plan: Plan

    @property
    def batch_id(self) -> int:
        """Position of the batch in the pipeline's order, from 0."""
        return self.commit.batch_id


@dataclass(frozen=True)
class History:
    """The batches of a pipeline so far: how many, the last one and its outcome, and the last plan that succeeded.

    `finished` is a plan of the source since the last reset, never that of a replay or backfill, and `finished_id` its
    number. An `outcome` of None beside a `last` batch means that it has not ended. `succeeded` is the greatest number
    of a batch of the last one's writer that succeeded, `ended` the greatest that any end names, `not_ended` are batches
    before the last without one.
    """

    batches: int
    last: Batch | None
    outcome: Outcome | None
    finished: Plan | None
    finished_id: int | None = None
    succeeded: int | None = None
    ended: int | None = None
    not_ended: tuple[int, ...] = ()


@dataclass(frozen=True)
class RunEntry:
    """How one run of one pipeline or model ended. Grain of `ops.runs`.

    `table` names all tables where there are several; `by_table` has the good rows of each then, which the message says.
    """

    name: str
    table: str | None
    outcome: Outcome
    started_at: dt.datetime
    message: str = ""
    batch_id: int | None = None
    counts: RowCounts = field(default_factory=RowCounts)
    by_table: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """Reads and writes `ops.batches` and `ops.runs`: a few rows at a time, so without Spark.

    `root` is the lake's folder or URI; an object store's credentials come from the environment.
    """

    root: str

    def history(self, pipeline: str) -> History:
        """What was planned for a pipeline so far."""
        planned, ends = self._planned(pipeline), self._ends(pipeline)
        ended = None if ends is None else pc.max(ends["batch_id"]).as_py()
        if planned is None or not planned.num_rows:
            return History(0, None, None, None, ended=ended)
        numbers, outcomes = planned["batch_id"], _outcomes(planned, ends)
        last = planned.slice(planned.num_rows - 1).to_pylist()[0]
        plan = cache(partial(self._plan, pipeline))
        since = last_reset(self.root, pipeline)
        succeeded = pc.fill_null(pc.equal(outcomes, "succeeded"), False)
        counting = numbers.filter(pc.and_(succeeded, pc.greater(numbers, since)))
        finished_id = next((each.as_py() for each in reversed(counting) if plan(each.as_py()).kind == "source"), None)
        of_writer = numbers.filter(pc.and_(succeeded, pc.equal(planned["writer"], last["writer"])))
        return History(
            planned.num_rows,
            Batch(Commit(last["writer"], last["batch_id"], last["run_id"]), plan(last["batch_id"])),
            outcomes[-1].as_py(),
            None if finished_id is None else plan(finished_id),
            finished_id,
            pc.max(of_writer).as_py(),
            ended,
            tuple(numbers.filter(pc.and_(pc.is_null(outcomes), pc.less(numbers, last["batch_id"]))).to_pylist()),
        )

    def plans(self, pipeline: str, batches: Collection[int]) -> Iterator[tuple[int, Plan]]:
        """The plans of some batches, one after the other, in no order."""
        if not batches or not has_table(self.root, BATCHES):
            return
        wanted = (pc.field("pipeline") == pipeline) & pc.field("batch_id").isin(list(batches))
        rows = DeltaTable(uri_of(self.root, BATCHES)).to_pyarrow_dataset(filesystem=files_of_table(self.root, BATCHES))
        for found in rows.to_batches(columns=["batch_id", "plan"], filter=wanted, batch_size=16):
            for row in found.to_pylist():
                yield row["batch_id"], Plan.of_json(row["plan"])

    def backfills(self, pipeline: str) -> Iterator[Plan]:
        """The plans of backfills that succeeded, newest first."""
        found = self._ends(pipeline)
        if found is None or not has_table(self.root, BATCHES):
            return
        ends = set(found.filter(pc.equal(found["outcome_last"], "succeeded"))["batch_id"].to_pylist())
        rows = DeltaTable(uri_of(self.root, BATCHES)).to_pyarrow_dataset(filesystem=files_of_table(self.root, BATCHES))
        is_one = (pc.field("pipeline") == pipeline) & pc.match_substring(pc.field("plan"), '"kind": "backfill"')
        numbers = rows.to_table(columns=["batch_id"], filter=is_one).column("batch_id").to_pylist()
        for number in sorted(ends & set(numbers), reverse=True):
            if (plan := self._plan(pipeline, number)).kind == "backfill":
                yield plan

    def plan(self, pipeline: str, plan: Plan, run: RunContext, before: History) -> Batch:
        """Write a batch ahead of reading it. `before` is what `history` returned.

        Raises ConcurrentRunError when another run has planned a batch of this pipeline since then.
        """
        writer = before.last.commit.writer if before.last else f"{pipeline}-{uuid.uuid4().hex[:12]}"
        batch_id = before.last.batch_id + 1 if before.last else 0
        row = (pipeline, writer, batch_id, run.run_id, now(), plan.as_json)
        uri = created(self.root, BATCHES, BATCH_SCHEMA)
        while True:
            table = DeltaTable(uri)
            mine, files = [("pipeline", "=", pipeline)], files_of_table(self.root, BATCHES)
            known = table.to_pyarrow_table(columns=["batch_id"], filters=mine, filesystem=files)
            if known.num_rows != before.batches:
                raise ConcurrentRunError(
                    f"{pipeline}: another run has begun batch {batch_id} meanwhile; let it end, then run again"
                )
            # Against the version just read: whoever commits in between makes this attempt fail.
            if append_against(table, [row], BATCH_SCHEMA):
                return Batch(Commit(writer, batch_id, run.run_id), plan)

    def record(self, run: RunContext, entry: RunEntry) -> None:
        """Append how a run ended."""
        counts = entry.counts
        row = (
            run.run_id, run.verb, entry.name, entry.table, entry.batch_id, entry.outcome,
            counts.read, counts.good, counts.quarantined, counts.dropped,
            entry.started_at, now(), entry.message, run.environment, run.user,
        )  # fmt: skip
        append_rows(self.root, RUNS, [row], RUN_SCHEMA)

    def runs(self, last: int) -> list[dict[str, Any]]:
        """The latest entries of `ops.runs`, oldest of them first."""
        return sorted(read_rows(self.root, RUNS), key=lambda row: row["ended_at"])[-last:]

    def _planned(self, pipeline: str) -> pa.Table | None:
        keys = ["writer", "batch_id", "run_id", "planned_at"]
        found = read_columns(self.root, BATCHES, [("pipeline", "=", pipeline)], keys)
        return None if found is None else found.sort_by("batch_id")

    def _ends(self, pipeline: str) -> pa.Table | None:
        """The last end of each batch that has one."""
        ended = [("name", "=", pipeline), ("outcome", "in", ["succeeded", "withdrawn"])]
        found = read_columns(self.root, RUNS, ended, ["batch_id", "outcome", "ended_at"])
        if found is None:
            return None
        by_batch = found.sort_by("ended_at").group_by("batch_id", use_threads=False)
        return by_batch.aggregate([("outcome", "last"), ("ended_at", "last")])

    def _plan(self, pipeline: str, batch_id: int) -> Plan:
        planned = [("pipeline", "=", pipeline), ("batch_id", "=", batch_id)]
        return Plan.of_json(read_rows(self.root, BATCHES, planned, ["plan"])[0]["plan"])


def _outcomes(planned: pa.Table, ends: pa.Table | None) -> pa.ChunkedArray:
    """How each planned batch ended; NULL where it has not."""
    if ends is None:
        return pa.chunked_array([pa.nulls(planned.num_rows, pa.string())])
    rows = planned.select(["batch_id", "planned_at"]).join(ends, "batch_id").sort_by("batch_id")
    # An end before the plan belongs to a ledger that was lost since.
    is_its_own = pc.greater_equal(rows["ended_at_last"], rows["planned_at"])
    return pc.if_else(is_its_own, rows["outcome_last"], None)
