"""The ledger: which batches were planned and how each ended, so that a killed run is resumed and never repeated.

A batch is planned (written ahead) before it is read. Its writes carry its identity, so a batch that is run again after
a kill changes nothing that was committed. The next batch is planned only when this one has ended.
"""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from lakeloop.core.errors import ConcurrentRunError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.tables import Commit

BATCHES = "ops.batches"
RUNS = "ops.runs"
RULE_RESULTS = "ops.rule_results"

Outcome = Literal["succeeded", "failed", "withdrawn", "nothing_new"]

TIME = pa.timestamp("us", tz="UTC")
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
RULE_RESULT_SCHEMA = pa.schema({
    "run_id": pa.string(), "pipeline": pa.string(), "batch_id": pa.int64(), "rules_version": pa.string(),
    "rule": pa.string(), "severity": pa.string(), "violations": pa.int64(),
})  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What one batch reads, in JSON values: reading the same plan again gives the same rows.

    `failure` says why a source stopped before its end; what it gave until then is in the plan.
    """

    details: dict[str, Any]
    summary: str
    failure: str | None = None


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
class RunEntry:
    """How one run of one pipeline or model ended. Grain of `ops.runs`."""

    name: str
    table: str | None
    outcome: Outcome
    started_at: dt.datetime
    message: str = ""
    batch_id: int | None = None
    counts: RowCounts = field(default_factory=RowCounts)


@dataclass(frozen=True)
class Ledger:
    """Reads and writes `ops.batches`, `ops.runs` and `ops.rule_results`: a few rows at a time, so without Spark.

    `root` is the lake's folder or URI; an object store's credentials come from the environment.
    """

    root: str

    def batches(self, pipeline: str) -> list[tuple[Batch, Outcome | None]]:
        """Every planned batch of a pipeline, oldest first, with its last outcome (None: it has not ended)."""
        ended = self._rows(RUNS, [("name", "=", pipeline), ("outcome", "in", ["succeeded", "withdrawn"])])
        ends = {row["batch_id"]: row for row in sorted(ended, key=lambda row: row["ended_at"])}
        planned = self._rows(BATCHES, [("pipeline", "=", pipeline)])
        return [
            (
                Batch(Commit(row["writer"], row["batch_id"], row["run_id"]), Plan(**json.loads(row["plan"]))),
                _outcome(row, ends.get(row["batch_id"])),
            )
            for row in sorted(planned, key=lambda row: row["batch_id"])
        ]

    def plan(self, pipeline: str, plan: Plan, run: RunContext, before: Sequence[tuple[Batch, Outcome | None]]) -> Batch:
        """Write a batch ahead of reading it. `before` is what `batches` returned.

        Raises ConcurrentRunError when another run has planned a batch of this pipeline since then.
        """
        writer = before[-1][0].commit.writer if before else f"{pipeline}-{uuid.uuid4().hex[:12]}"
        batch_id = before[-1][0].batch_id + 1 if before else 0
        row = (pipeline, writer, batch_id, run.run_id, now(), json.dumps(asdict(plan)))
        uri = self._created(BATCHES, BATCH_SCHEMA)
        while True:
            table = DeltaTable(uri)
            if table.to_pyarrow_table(filters=[("pipeline", "=", pipeline)]).num_rows != len(before):
                raise ConcurrentRunError(
                    f"{pipeline}: another run has begun batch {batch_id} meanwhile; let it end, then run again"
                )
            try:
                # Against the version just read: whoever commits in between makes this attempt fail.
                attempt = CommitProperties(max_commit_retries=0)
                write_deltalake(table, rows_of([row], BATCH_SCHEMA), mode="append", commit_properties=attempt)
            except CommitFailedError:
                continue
            return Batch(Commit(writer, batch_id, run.run_id), plan)

    def record(self, run: RunContext, entry: RunEntry) -> None:
        """Append how a run ended."""
        counts = entry.counts
        row = (
            run.run_id, run.verb, entry.name, entry.table, entry.batch_id, entry.outcome,
            counts.read, counts.good, counts.quarantined, counts.dropped,
            entry.started_at, now(), entry.message, run.environment, run.user,
        )  # fmt: skip
        self._append(RUNS, [row], RUN_SCHEMA)

    def record_rules(
        self, run: RunContext, pipeline: str, batch_id: int, version: str, results: Sequence[tuple[str, str, int]]
    ) -> None:
        """Append the violations of each rule in a batch as (rule, severity, rows)."""
        rows = [(run.run_id, pipeline, batch_id, version, *result) for result in results]
        if rows:
            self._append(RULE_RESULTS, rows, RULE_RESULT_SCHEMA)

    def runs(self, last: int) -> list[dict[str, Any]]:
        """The latest entries of `ops.runs`, oldest of them first."""
        return sorted(self._rows(RUNS, []), key=lambda row: row["ended_at"])[-last:]

    def _append(self, table: str, rows: list[tuple[Any, ...]], schema: pa.Schema) -> None:
        write_deltalake(self._created(table, schema), rows_of(rows, schema), mode="append")

    def _created(self, table: str, schema: pa.Schema) -> str:
        return create_table(self.root, table, schema)

    def _rows(self, table: str, filters: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
        if not DeltaTable.is_deltatable(self._uri(table)):
            return []
        rows: list[dict[str, Any]] = DeltaTable(self._uri(table)).to_pyarrow_table(filters=filters or None).to_pylist()
        return rows

    def _uri(self, table: str) -> str:
        return f"{self.root}/{table.replace('.', '/')}"


def create_table(root: str, table: str, schema: pa.Schema) -> str:
    """Where a table is, after it was created unless it existed."""
    uri = f"{root}/{table.replace('.', '/')}"
    if not DeltaTable.is_deltatable(uri):
        if "://" not in uri:
            Path(uri).mkdir(parents=True, exist_ok=True)
        with suppress(CommitFailedError):  # another run was first
            DeltaTable.create(uri, schema, mode="ignore")
    return uri


def _outcome(planned: dict[str, Any], end: dict[str, Any] | None) -> Outcome | None:
    # An end before the plan belongs to a ledger that was lost since.
    return None if end is None or end["ended_at"] < planned["planned_at"] else end["outcome"]


def rows_of(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as tuples in the order of a schema's columns, as a table."""
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)
