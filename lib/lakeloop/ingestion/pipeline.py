"""One batch of one pipeline: plan → extract → conform → enrich → check → record in bronze → publish → ledger."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from lakeloop.core import logs
from lakeloop.core.errors import (
    AccountingError,
    DamageError,
    DiskFullError,
    EngineError,
    LakeloopError,
    RuleFailedError,
    SourceError,
    TableError,
)
from lakeloop.core.run_record import RunContext, now
from lakeloop.core.spark_failures import SPARK_FAILURES, said
from lakeloop.ingestion.batch_profile import profile_batch
from lakeloop.ingestion.disk_full import explain_full_disk
from lakeloop.ingestion.events import EventSender
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.judged import Judged
from lakeloop.ingestion.landings import sweep
from lakeloop.ingestion.publishing import keep_changes, publish, require_same_routes
from lakeloop.ingestion.recording import Recorder
from lakeloop.ingestion.soundness import require_agreement, require_sound_logs
from lakeloop.ingestion.sources.protocol import Ended, ExplainingSource, MovingSource, SiftingSource, Source
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Batch, Ledger, Outcome, RunEntry
from lakeloop.lake.rule_results import RuleResult, append_results
from lakeloop.lake.rule_states import append_states
from lakeloop.lake.tables import Lake
from lakeloop.quality import rules_version

log = logs.get(__name__)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Pipeline:
    """A declared pipeline with its source and its services opened. `run` brings at most one new batch to its end."""

    spec: PipelineSpec
    source: Source
    lake: Lake
    services: Mapping[str, Service] = field(default_factory=dict)
    events: tuple[EventSender, ...] = ()

    def run(self, run: RunContext, progress: Progress) -> RunEntry:
        """Read what is new, publish the good rows, and record the result in `ops.runs`.

        A batch that an earlier run planned and did not finish is finished first, instead of a new one. Raises what the
        source raises; RuleFailedError or AccountingError, and then nothing was published; SourceError for a source
        that stopped midway, and then what it gave before has been published and recorded.
        """
        ledger, started_at, batch = Ledger(self.lake.root), now(), None
        name, table = self.spec.pipeline, self.spec.said_tables
        recorder = Recorder(self.spec, self.source, self.lake, self.services)
        try:
            progress("looking for new data")
            batch, resumed = self._next_batch(ledger, run, progress)
            if batch is None:
                entry = RunEntry(name, table, "nothing_new", started_at, "nothing new")
                if not run.is_polling:
                    ledger.record(run, entry)
                return entry
            batch, judged = self._found(batch, recorder, ledger, run, progress) if resumed else (batch, None)
            if judged is None:
                progress(f"checking {batch.plan.summary}")
                try:
                    judged = recorder.record(batch)
                except SPARK_FAILURES as failure:
                    batch = self._planned_anew(batch, failure, ledger, run)
                    judged = recorder.record(batch)
            recorder.accept(batch, judged)
            progress(f"publishing {judged.counts.good:,} rows")
            self._publish(batch)
            self.source.finish(Ended(batch.plan, batch.batch_id, run, judged.by_origin))
        except (LakeloopError, OSError, *SPARK_FAILURES) as problem:
            error = self._explained(problem, batch)
            refused = isinstance(error, AccountingError | RuleFailedError)
            outcome: Outcome = "withdrawn" if refused else "failed"
            batch_id = None if batch is None else batch.batch_id
            if not isinstance(error, DamageError):  # a damaged ledger is left as it is for `lakeloop repair`
                with suppress(DiskFullError):  # the same disk may hold the ledger
                    ledger.record(run, RunEntry(name, table, outcome, started_at, str(error), batch_id))
            if refused and batch is not None:
                self.source.release(batch.plan)
            raise error from problem
        told = ", ".join(f"{rows:,} to {table}" for table, rows in judged.by_route.items())
        notes = (*judged.notes, *profile_batch(self.lake.root, self.spec, batch, judged.counts))
        message = "; ".join([batch.plan.failure or batch.plan.summary, *([told] if told else []), *notes])
        entry = RunEntry(name, table, "succeeded", started_at, message, batch.batch_id, judged.counts, judged.by_route)
        try:
            found = [*judged.results, *(RuleResult(*each) for each in batch.plan.violations)]
            owned = [result.owned_by(self.spec.owner) for result in found]
            append_states(self.lake.root, name, batch.batch_id, judged.states, self.spec.rule_versions)
            append_results(self.lake.root, run, name, batch.batch_id, rules_version(self.spec.all_rules), owned)
            ledger.record(run, entry)
        except DiskFullError as problem:
            raise self._explained(problem, batch) from problem
        self.source.release(batch.plan)
        log.info("batch ended", run_id=run.run_id, pipeline=name, batch_id=batch.batch_id, rows=asdict(judged.counts))
        if batch.plan.failure:
            raise SourceError(batch.plan.failure)
        return entry

    def look_ahead(self) -> None:
        """Do what the next batch would begin with and does not depend on it; for a watcher that waits anyway."""
        for table in (self.spec.record_table, *self.spec.tables):
            self.lake.look_ahead(table)

    def _publish(self, batch: Batch) -> None:
        publish(self.lake, self.spec, batch)
        for sender in self.events:
            sender.send(self.lake, self.spec, batch)

    def _found(
        self, batch: Batch, recorder: Recorder, ledger: Ledger, run: RunContext, progress: Progress
    ) -> tuple[Batch, Judged | None]:
        """What an interrupted run has recorded of a batch, None where it had not.

        Where its source has changed since, nobody can tell whether all rows of that reading were recorded: the batch is
        withdrawn then, and its plan is a batch of its own.
        """
        judged = recorder.find(batch)
        moves = isinstance(self.source, MovingSource) and self.source.has_moved(batch.plan)
        if judged is None or judged.counts.adds_up or not moves:
            return batch, judged
        name, table = self.spec.pipeline, self.spec.said_tables
        progress("reading a batch again, since its source has changed")
        recorder.withdraw(batch)
        said = "read again: its run was interrupted, and the source has changed since"
        ledger.record(run, RunEntry(name, table, "withdrawn", now(), said, batch.batch_id))
        return ledger.plan(name, batch.plan, run, ledger.history(name)), None

    def _planned_anew(
        self, batch: Batch, failure: PySparkException | Py4JJavaError, ledger: Ledger, run: RunContext
    ) -> Batch:
        """A batch without what made Spark fail, in place of one that left nothing; raises the failure otherwise."""
        name, table = self.spec.pipeline, self.spec.said_tables
        if not isinstance(self.source, SiftingSource) or self.lake.find_commit(self.spec.record_table, batch.commit):
            raise failure
        plan = self.source.without_unreadable(batch.plan)
        if plan is None:
            raise failure
        plan = replace(plan, kind=batch.plan.kind)
        ledger.record(run, RunEntry(name, table, "withdrawn", now(), f"planned anew: {plan.summary}", batch.batch_id))
        self.source.release(batch.plan)
        return ledger.plan(name, plan, run, ledger.history(name))

    def _explained(self, problem: Exception, batch: Batch | None) -> LakeloopError:
        """What a run ends with; raises a problem again that is a defect."""
        if (full := explain_full_disk(problem, self.spec, self.lake, batch)) is not None:
            log.error("a disk is full", pipeline=self.spec.pipeline, exc_info=problem)
            return full
        if isinstance(problem, SPARK_FAILURES):
            log.error("Spark failed", pipeline=self.spec.pipeline, exc_info=problem)
            if isinstance(self.source, ExplainingSource) and (known := self.source.explain(problem)) is not None:
                return known
            return EngineError(f"{self.spec.pipeline}: Spark refuses the batch: {said(problem)}")
        if isinstance(problem, LakeloopError):
            return problem
        raise problem

    def _require_own_tables(self) -> None:
        """Raise TableError where another pipeline writes what this one is about to begin."""
        name = self.spec.pipeline
        for table in self.spec.tables:
            if others := self.lake.writers(table) - {name}:
                raise TableError(
                    f"{table} is written by the pipeline {', '.join(sorted(others))}, and a table has one; name "
                    f"another table as the sink of {name}, or move it away"
                )

    def _next_batch(self, ledger: Ledger, run: RunContext, progress: Progress) -> tuple[Batch | None, bool]:
        name = self.spec.pipeline
        require_sound_logs(self.lake.root, self.spec)
        before = ledger.history(name)
        if before.last is None:
            self._require_own_tables()
        require_agreement(self.lake.root, self.spec, before, files=not run.is_polling)
        for target in self.spec.targets:
            keep_changes(self.lake, target)
        interrupted = before.last if before.outcome is None else None
        if interrupted:
            if self.lake.find_commit(self.spec.record_table, interrupted.commit.withdrawal) is None:
                progress("finishing a batch that was interrupted")
                return replace(interrupted, commit=replace(interrupted.commit, run_id=run.run_id)), True
            entry = RunEntry(name, self.spec.said_tables, "withdrawn", now(), "was withdrawn", interrupted.batch_id)
            ledger.record(run, entry)
        require_same_routes(self.lake, self.spec)
        sweep(self.lake.root, name)
        plan = self.source.plan(before.finished, progress)
        return (ledger.plan(name, plan, run, before) if plan else None), False
