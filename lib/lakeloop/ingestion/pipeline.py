"""One batch of one pipeline: plan → extract → conform → enrich → check → record in bronze → publish → ledger."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakeloop.core import logs
from lakeloop.core.errors import (
    AccountingError,
    ConcurrentRunError,
    EngineError,
    LakeloopError,
    RuleFailedError,
    SourceError,
)
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.conform_types import keep_known_types
from lakeloop.ingestion.enrichment.enriching import Enriched, enrich
from lakeloop.ingestion.enrichment.outcomes import (
    MatchCount,
    match_counts,
    measures,
    outcome_column,
    shortfalls,
    unmarked,
)
from lakeloop.ingestion.enrichment.service import Service
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract, Source
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import BECAUSE, Conformed, conform, declared_types
from lakeloop.lake.history import merge_history
from lakeloop.lake.ledger import Batch, Ledger, Outcome, RunEntry
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.tables import Lake
from lakeloop.quality import findings_of, judge, rules_version
from lakeloop.quality.judgement import GOOD, REASONS, VERDICT, has_failed

log = logs.get(__name__)
Progress = Callable[[str], None]

VERDICT_COUNTS = {"good": GOOD, "quarantined": "quarantined", "dropped": "dropped"}


@dataclass(frozen=True)
class Judged:
    """What one batch came to: its row counts and, per finding, (rule, severity, rows); how its look-ups fared."""

    counts: RowCounts
    results: tuple[tuple[str, str, int], ...] = ()
    matches: tuple[MatchCount, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """A declared pipeline with its source and its services opened. `run` brings at most one new batch to its end."""

    spec: PipelineSpec
    source: Source
    lake: Lake
    services: Mapping[str, Service] = field(default_factory=dict)

    def run(self, run: RunContext, progress: Progress) -> RunEntry:
        """Read what is new, publish the good rows, and record the result in `ops.runs`.

        A batch that an earlier run planned and did not finish is finished first, instead of a new one. Raises what the
        source raises; RuleFailedError or AccountingError, and then nothing was published; SourceError for a source
        that stopped midway, and then what it gave before has been published and recorded.
        """
        ledger, started_at, batch = Ledger(self.lake.root), now(), None
        name, table = self.spec.pipeline, self.spec.sink.table
        try:
            progress("looking for new data")
            batch, resumed = self._next_batch(ledger, run, progress)
            if batch is None:
                entry = RunEntry(name, table, "nothing_new", started_at, "nothing new")
                ledger.record(run, entry)
                return entry
            judged = self._recorded(batch) if resumed else None
            if judged is None:
                progress(f"checking {batch.plan.summary}")
                judged = self._record(batch)
            self._accept(batch, judged)
            progress(f"publishing {judged.counts.good:,} rows")
            self._publish(batch)
            self.source.finish(Ended(batch.plan, batch.batch_id, run, partial(self._by_origin, batch)))
        except (LakeloopError, PySparkException) as problem:
            error = problem if isinstance(problem, LakeloopError) else self._explained(problem)
            refused = isinstance(error, AccountingError | RuleFailedError)
            outcome: Outcome = "withdrawn" if refused else "failed"
            batch_id = None if batch is None else batch.batch_id
            ledger.record(run, RunEntry(name, table, outcome, started_at, str(error), batch_id))
            if refused and batch is not None:
                self.source.release(batch.plan)
            raise error from problem
        message = "; ".join([batch.plan.failure or batch.plan.summary, *judged.notes])
        entry = RunEntry(name, table, "succeeded", started_at, message, batch.batch_id, judged.counts)
        ledger.record_rules(run, name, batch.batch_id, rules_version(self.spec.all_rules), judged.results)
        ledger.record(run, entry)
        self.source.release(batch.plan)
        log.info("batch ended", run_id=run.run_id, pipeline=name, batch_id=batch.batch_id, rows=asdict(judged.counts))
        if batch.plan.failure:
            raise SourceError(batch.plan.failure)
        return entry

    def _explained(self, problem: PySparkException) -> EngineError:
        log.error("Spark failed", pipeline=self.spec.pipeline, exc_info=problem)
        return EngineError(f"{self.spec.pipeline}: Spark refuses the batch: {str(problem).strip().splitlines()[0]}")

    def _next_batch(self, ledger: Ledger, run: RunContext, progress: Progress) -> tuple[Batch | None, bool]:
        before = ledger.history(self.spec.pipeline)
        interrupted = before.last if before.outcome is None else None
        if interrupted and self.lake.find_commit(self.spec.record_table, interrupted.commit.withdrawal) is None:
            progress("finishing a batch that was interrupted")
            return replace(interrupted, commit=replace(interrupted.commit, run_id=run.run_id)), True
        plan = self.source.plan(before.finished, progress)
        first = 0 if before.last or plan is None else self._first_number()
        return (ledger.plan(self.spec.pipeline, plan, run, before, first=first) if plan else None), False

    def _first_number(self) -> int:
        """The number of a first batch: 0, unless the record is older than the ledger, which was lost then."""
        if self.spec.sink.mode == "overwrite" or not self.lake.exists(self.spec.record_table):
            return 0
        greatest = self.lake.read(self.spec.record_table).agg(F.max("_batch_id")).collect()[0][0]
        return 0 if greatest is None else int(greatest) + 1

    def _conformed(self, rows: Conformed, known: StructType | None, batch: Batch) -> Conformed:
        def recorded() -> DataFrame | None:
            if not self.lake.exists(self.spec.record_table):
                return None
            good = self.lake.read(self.spec.record_table).where(F.col(VERDICT) == GOOD)
            return good.where(F.col("_batch_id") != batch.batch_id)

        conformed = conform(rows, self.spec.transforms, recorded)
        return keep_known_types(conformed, known, declared_types(self.spec.transforms))

    def _enriched(self, extract: Extract, observed: DataFrame, known: StructType | None, batch: Batch) -> Enriched:
        rows, enrichments = self._conformed(Conformed(observed, extract.findings), known, batch), self.spec.enrich
        ahead = self._conformed(Conformed(extract.frame, extract.findings), known, batch) if enrichments else rows
        return enrich(rows, ahead, enrichments, lake=self.lake, services=self.services, known=known)

    def _record(self, batch: Batch) -> Judged:
        """Conform, enrich and judge every row of the batch and write it to bronze, in one pass that also counts."""
        extract = self.source.read(batch.plan)
        read, judged = Observation(), Observation()
        frame = extract.frame.observe(read, F.count(F.lit(1)).alias("read"))
        known = self.lake.schema(self.spec.record_table) if self.spec.sink.mode != "overwrite" else None
        enriched = self._enriched(extract, frame, known, batch)
        conformed = enriched.rows
        dropped = conformed.is_dropped
        checked, findings = findings_of(
            conformed.frame, self.spec.all_rules, read_table=self.lake.read, counted=~dropped
        )
        findings = [*conformed.findings, *findings]
        because = F.col(BECAUSE) if BECAUSE in checked.columns else None
        verdicts = judge(checked, findings, dropped=dropped, because=because)
        counts = [F.count(F.when(F.col(VERDICT) == verdict, 1)).alias(name) for name, verdict in VERDICT_COUNTS.items()]
        failures = [F.count(F.when(has_failed(i), 1)).alias(f"finding_{i}") for i in range(len(findings))]
        observed = verdicts.observe(judged, *counts, *failures, *measures(self.spec.enrich))
        self.lake.write(
            self.spec.record_table,
            observed.select(
                F.lit(batch.batch_id).cast("bigint").alias("_batch_id"),
                F.lit(batch.commit.run_id).alias("_run_id"),
                F.lit(now()).alias("_ingested_at"),
                VERDICT,
                REASONS,
                F.lit(rules_version(self.spec.all_rules)).alias("_rules_version"),
                POSITION,
                F.when(F.col(VERDICT) != GOOD, _as_text(conformed.frame)).alias(ORIGINAL),
                RESCUED,
                *enriched.outcomes,
                *_data(conformed.frame),
            ),
            mode="overwrite" if known is None else "append",
            commit=batch.commit,
            partition_by=[VERDICT],
        )
        committed = self.lake.find_commit(self.spec.record_table, batch.commit)
        if committed is None or committed.run_id != batch.commit.run_id:
            raise ConcurrentRunError(f"{self.spec.pipeline}: another run has written batch {batch.batch_id} meanwhile")
        if committed.rows == 0:  # Spark leaves the observation out of an empty plan, and waiting for it would not end
            return Judged(RowCounts(read=self.source.read(batch.plan).frame.count()))
        numbers: dict[str, Any] = judged.get
        found = RowCounts(read.get["read"], *(numbers[name] for name in VERDICT_COUNTS))
        matches = match_counts(self.spec.enrich, numbers)
        results = tuple((f.name, f.severity, numbers[f"finding_{i}"]) for i, f in enumerate(findings))
        return Judged(found, results + unmarked(self.spec.enrich, matches), matches, enriched.notes)

    def _recorded(self, batch: Batch) -> Judged | None:
        """The counts of a batch whose bronze commit an interrupted run had made already; None if it had not.

        What was read is counted at the source again, unless the batch had been accepted and published.
        """
        if self.lake.find_commit(self.spec.record_table, batch.commit) is None:
            return None
        rows = self.lake.read(self.spec.record_table).where(F.col("_batch_id") == batch.batch_id)
        found = {row[VERDICT]: row["count"] for row in rows.groupBy(VERDICT).count().collect()}
        counts = [found.get(verdict, 0) for verdict in VERDICT_COUNTS.values()]
        reasons = rows.select(F.explode(REASONS).alias("reason")).groupBy("reason.rule").count().collect()
        severities: dict[str, str] = {rule.name: rule.severity for rule in self.spec.all_rules}
        for each in self.spec.enrich:
            severities |= each.severities
        enrichments = [each for each in self.spec.enrich if outcome_column(each.name) in rows.columns]
        numbers = rows.agg(*measures(enrichments)).first() if enrichments else None
        matches = match_counts(enrichments, numbers.asDict()) if numbers else ()
        results = tuple((row["rule"], severities.get(row["rule"], "error"), row["count"]) for row in reasons)
        read = sum(counts) if self._is_published(batch) else self.source.read(batch.plan).frame.count()
        return Judged(RowCounts(read, *counts), results + unmarked(enrichments, matches), matches)

    def _accept(self, batch: Batch, judged: Judged) -> None:
        """Take the batch back out of bronze and raise when it does not add up, fails a rule or matches too little."""
        counts, spec = judged.counts, self.spec
        failed = [f"{rule} ({rows:,} rows)" for rule, severity, rows in judged.results if severity == "fail" and rows]
        failed = [f"{', '.join(failed)} violated"] if failed else []
        if short := shortfalls(spec.enrich, judged.matches):
            failed += [*short, *judged.notes]
        if counts.adds_up and not failed:
            return
        seen_in = f"{spec.record_table} version {self.lake.version(spec.record_table)}"
        with self.lake.committing(batch.commit.withdrawal):
            self.lake.handle(spec.record_table).delete(F.col("_batch_id") == batch.batch_id)
        if not counts.adds_up:
            raise AccountingError(
                f"{spec.pipeline}: batch {batch.batch_id} was withdrawn: {counts.read:,} rows were read, but "
                f"{counts.good:,} are good, {counts.quarantined:,} quarantined and {counts.dropped:,} dropped; "
                f"they stand in {seen_in}"
            )
        raise RuleFailedError(
            f"{spec.pipeline}: {'; '.join(failed)}, so {spec.sink.table} was not touched and the batch will "
            f"be read again; its rows and their reasons stand in {seen_in}"
        )

    def _publish(self, batch: Batch) -> None:
        """Bring the batch's good rows from bronze into the sink; a table that only grows is a view that grows."""
        sink = self.spec.sink
        if sink.mode == "append":
            self.lake.publish_view(sink.table, self.spec.record_table, batch.batch_id)
            return
        bronze = self.lake.read(self.spec.record_table)
        good = bronze.where((F.col("_batch_id") == batch.batch_id) & (F.col(VERDICT) == GOOD))
        rows = good.select(*_data(good))
        if sink.history and sink.sequence_by:
            merge_history(
                self.lake, sink.table, rows, keys=sink.keys, sequence_by=sink.sequence_by, commit=batch.commit
            )
        elif sink.mode == "merge":
            merge_latest(self.lake, sink.table, rows, keys=sink.keys, sequence_by=sink.sequence_by, commit=batch.commit)
        else:
            self.lake.write(sink.table, rows, mode="overwrite", commit=batch.commit)

    def _by_origin(self, batch: Batch) -> dict[str, RowCounts]:
        rows = self.lake.read(self.spec.record_table).where(F.col("_batch_id") == batch.batch_id)
        by_verdict = [F.count(F.when(F.col(VERDICT) == verdict, 1)) for verdict in VERDICT_COUNTS.values()]
        counted = rows.groupBy(F.col(POSITION)["origin"]).agg(F.count("*"), *by_verdict).collect()
        return {origin: RowCounts(*counts) for origin, *counts in counted}

    def _is_published(self, batch: Batch) -> bool:
        if self.spec.sink.mode == "append":
            view = self.lake.view(self.spec.sink.table)
            return view is not None and view.accepted >= batch.batch_id
        return self.lake.find_commit(self.spec.sink.table, batch.commit) is not None


def _as_text(frame: DataFrame) -> Column:
    """The record as it arrived; what has columns is written as JSON, here, where it is done for bad rows only."""
    if isinstance(frame.schema[ORIGINAL].dataType, StructType):
        return F.to_json(ORIGINAL, {"ignoreNullFields": "false"})
    return F.col(ORIGINAL)


def _data(frame: DataFrame) -> list[str]:
    """The columns of users, without those of Lakeloop."""
    return [f"`{name}`" for name in frame.columns if not name.startswith("_")]
