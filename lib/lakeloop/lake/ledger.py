"""The ledger: which batches were planned and how each ended, so that a killed run is resumed and never repeated.

A batch is planned (written ahead) before it is read. Its writes carry its identity, so a batch that is run again after
a kill changes nothing that was committed. The next batch is planned only when this one has ended.
"""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType, TimestampType

from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.tables import Commit, Lake

BATCHES = "ops.batches"
RUNS = "ops.runs"
RULE_RESULTS = "ops.rule_results"

Outcome = Literal["succeeded", "failed", "withdrawn", "nothing_new"]

BATCH_SCHEMA = StructType(
    [
        StructField("pipeline", StringType(), False),
        StructField("writer", StringType(), False),
        StructField("batch_id", LongType(), False),
        StructField("run_id", StringType(), False),
        StructField("planned_at", TimestampType(), False),
        StructField("plan", StringType(), False),
    ]
)
RUN_SCHEMA = StructType(
    [
        StructField("run_id", StringType(), False),
        StructField("verb", StringType(), False),
        StructField("name", StringType(), False),
        StructField("table", StringType()),
        StructField("batch_id", LongType()),
        StructField("outcome", StringType(), False),
        StructField("rows_read", LongType()),
        StructField("rows_good", LongType()),
        StructField("rows_quarantined", LongType()),
        StructField("rows_dropped", LongType()),
        StructField("started_at", TimestampType(), False),
        StructField("ended_at", TimestampType(), False),
        StructField("message", StringType()),
        StructField("environment", StringType()),
        StructField("user", StringType()),
    ]
)
RULE_RESULT_SCHEMA = StructType(
    [
        StructField("run_id", StringType(), False),
        StructField("pipeline", StringType(), False),
        StructField("batch_id", LongType(), False),
        StructField("rules_version", StringType(), False),
        StructField("rule", StringType(), False),
        StructField("severity", StringType(), False),
        StructField("violations", LongType(), False),
    ]
)


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
    """One planned batch of a pipeline. `resumed` when an earlier run planned it and did not bring it to its end."""

    commit: Commit
    plan: Plan
    resumed: bool = False

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
    """Reads and writes `ops.batches`, `ops.runs` and `ops.rule_results`."""

    lake: Lake

    def batches(self, pipeline: str) -> list[tuple[Batch, Outcome | None]]:
        """Every planned batch of a pipeline, oldest first, with its last outcome (None: it has not ended)."""
        if not self.lake.exists(BATCHES):
            return []
        planned = self.lake.read(BATCHES).where(F.col("pipeline") == pipeline)
        if self.lake.exists(RUNS):
            ended = (
                self.lake.read(RUNS)
                .where((F.col("name") == pipeline) & F.col("outcome").isin("succeeded", "withdrawn"))
                .groupBy("batch_id")
                .agg(F.max_by("outcome", "ended_at").alias("outcome"))
            )
            planned = planned.join(ended, "batch_id", "left")
        else:
            planned = planned.withColumn("outcome", F.lit(None).cast("string"))
        rows = planned.orderBy("batch_id").collect()  # one small row per batch of one pipeline
        return [
            (
                Batch(Commit(row["writer"], row["batch_id"], row["run_id"]), Plan(**json.loads(row["plan"]))),
                row["outcome"],
            )
            for row in rows
        ]

    def plan(self, pipeline: str, plan: Plan, run: RunContext, before: Sequence[tuple[Batch, Outcome | None]]) -> Batch:
        """Write a batch ahead of reading it. `before` is what `batches` returned."""
        writer = before[-1][0].commit.writer if before else f"{pipeline}-{uuid.uuid4().hex[:12]}"
        batch_id = before[-1][0].batch_id + 1 if before else 0
        batch = Batch(Commit(writer, batch_id, run.run_id), plan)
        content = json.dumps({"details": plan.details, "summary": plan.summary, "failure": plan.failure})
        self._append(BATCHES, [(pipeline, writer, batch_id, run.run_id, now(), content)], BATCH_SCHEMA)
        return batch

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

    def _append(self, table: str, rows: list[tuple[Any, ...]], schema: StructType) -> None:
        frame = self.lake.spark.createDataFrame(rows, schema).coalesce(1)
        self.lake.write(table, frame, mode="append")
