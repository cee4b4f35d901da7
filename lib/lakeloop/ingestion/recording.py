"""Bronze: every row of a batch, conformed, enriched and judged, written in one pass and then counted."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, NumericType, StringType, StructType, TimestampType

from lakeloop.core.errors import (
    AccountingError,
    ConcurrentRunError,
    RuleFailedError,
)
from lakeloop.core.run_record import RowCounts, now
from lakeloop.ingestion.change_publishing import state_before
from lakeloop.ingestion.changes import CHANGE, fill_kept, judged_where_said
from lakeloop.ingestion.conform_types import keep_known_types
from lakeloop.ingestion.enrichment.enriching import Enriched, enrich
from lakeloop.ingestion.enrichment.outcomes import (
    match_counts,
    measures,
    outcome_column,
    shortfalls,
    unmarked,
)
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.judged import Judged, counted_result, looked_at, stops
from lakeloop.ingestion.measuring import Measuring
from lakeloop.ingestion.publishing import is_published, require_routes_of
from lakeloop.ingestion.routing import no_route, routed
from lakeloop.ingestion.sources.line_parsers import rescued_as_json
from lakeloop.ingestion.sources.protocol import (
    AS_JSON,
    FINGERPRINT,
    ORIGINAL,
    POSITION,
    RESCUED,
    SCHEMA_VERSION,
    Extract,
    Source,
)
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import (
    BECAUSE,
    CONFLICTS,
    Conformed,
    conform,
    declared_severities,
    declared_types,
    is_by_row,
)
from lakeloop.lake.batch_counts import BatchCounts, count_batch
from lakeloop.lake.ledger import Batch
from lakeloop.lake.rule_results import RuleResult
from lakeloop.lake.rule_states import States
from lakeloop.lake.tables import Lake, data_columns
from lakeloop.lake.views import ROUTE
from lakeloop.quality import Finding, Rule, compile_rules, judge, rules_version
from lakeloop.quality.judgement import GOOD, QUARANTINED, REASONS, VERDICT, VERDICTS, has_failed

STATS_COLUMNS = 30


@dataclass(frozen=True)
class Recorder:
    """Writes the batches of one pipeline to its record table, and takes back those that are not accepted."""

    spec: PipelineSpec
    source: Source
    lake: Lake
    services: Mapping[str, Service] = field(default_factory=dict)

    def record(self, batch: Batch) -> Judged:
        """Conform, enrich and judge every row of the batch and write it to bronze, then count what is there."""
        extract = self.source.read(batch.plan)
        observed = None if self._goes_row_by_row and not _kept(batch) else Observation()
        counted = F.count(F.lit(1)).alias("read")
        frame = extract.frame if observed is None else extract.frame.observe(observed, counted)
        known = None if self.spec.sink.is_replaced else self.lake.schema(self.spec.record_table)
        enriched, verdicts, findings = self._judged(extract, frame, known, batch)
        measuring = Measuring.of(self.lake, self.spec, batch, verdicts)
        verdicts = measuring.watching(verdicts)
        self.lake.write(
            self.spec.record_table,
            verdicts.select(
                _by_reference(batch.batch_id, "bigint").alias("_batch_id"),
                F.lit(batch.commit.run_id).alias("_run_id"),
                _by_reference(now(), "timestamp").alias("_ingested_at"),
                VERDICT,
                REASONS,
                F.lit(rules_version(self.spec.all_rules)).alias("_rules_version"),
                POSITION,
                _as_text(enriched.rows.frame).alias(ORIGINAL),
                _rescued(enriched.rows.frame),
                F.lit(batch.plan.details.get("schema", {}).get("version")).cast("int").alias(SCHEMA_VERSION),
                *([FINGERPRINT] if FINGERPRINT in verdicts.columns else []),
                *(name for name in (CHANGE, ROUTE, CONFLICTS) if name in verdicts.columns),
                *enriched.outcomes,
                *data_columns(enriched.rows.frame),
            ),
            mode="overwrite" if known is None else "append",
            commit=batch.commit,
            partition_by=[VERDICT],
            stats_columns=_searchable(verdicts) if known is None else (),
        )
        committed = self.lake.find_commit(self.spec.record_table, batch.commit)
        if committed is None or committed.run_id != batch.commit.run_id:
            raise ConcurrentRunError(f"{self.spec.pipeline}: another run has written batch {batch.batch_id} meanwhile")
        found = self._count(batch)
        if observed is None:
            read = found.rows.read
        elif committed.rows == 0:  # Spark leaves the observation out of an empty plan: waiting for it would not end
            read = self.source.read(batch.plan).frame.count()
        else:
            read = observed.get["read"]
            if read != found.rows.read:  # a task that ran again, as after the loss of an executor, was observed twice
                read = self.source.read(batch.plan).frame.count()
        severities = {finding.name: finding.severity for finding in findings}
        measured = measuring.judged(measuring.observed(committed.rows), looked_at(found, severities))
        return self._summed(read, found, severities, batch, measured, enriched.notes)

    def rehearse(self, extract: Extract, batch: Batch) -> Judged:
        """What a batch of these rows would come to, without writing anything."""
        known = self.lake.schema(self.spec.record_table)
        enriched, verdicts, findings = self._judged(extract, extract.frame, known, batch)
        by_verdict = [F.count(F.when(F.col(VERDICT) == name, 1)).alias(name) for name in VERDICTS]
        failures = [F.count(F.when(has_failed(i), 1)).alias(f"finding_{i}") for i in range(len(findings))]
        numbers = verdicts.agg(*by_verdict, *failures, *measures(self.spec.enrich)).first()
        assert numbers is not None
        results = tuple(RuleResult(f.name, f.severity, numbers[f"finding_{i}"]) for i, f in enumerate(findings))
        outcomes = numbers.asDict(recursive=True)
        matches = match_counts(self.spec.enrich, outcomes)
        counts = RowCounts(extract.frame.count(), *(numbers[name] for name in VERDICTS))
        return Judged(counts, results + unmarked(self.spec.enrich, matches), matches, enriched.notes)

    def verdicts(self, extract: Extract, batch: Batch) -> DataFrame:
        """What `rehearse` counts: `_position`, `_verdict` and `_reasons` of each row."""
        known = self.lake.schema(self.spec.record_table)
        _, verdicts, _ = self._judged(extract, extract.frame, known, batch)
        return verdicts.select(POSITION, VERDICT, REASONS)

    def find(self, batch: Batch) -> Judged | None:
        """The counts of a batch whose bronze commit an interrupted run had made already; None if it had not.

        What was read is counted at the source again where that can tell anything: not where rows go one by one, or
        where the batch had been accepted and published.
        """
        if self.lake.find_commit(self.spec.record_table, batch.commit) is None:
            return None
        found = self._count(batch)
        require_routes_of(self.spec, batch, found.by_route)
        known: dict[str, str] = {rule.name: rule.severity for rule in self.spec.rules_of(batch.plan.kind)}
        known |= declared_severities(self.spec.transforms)
        known |= {finding.name: finding.severity for finding in no_route(self.spec)[0]}
        for each in self.spec.enrich:
            known |= each.severities
        published = is_published(self.lake, self.spec, batch)
        if not published and not set(found.by_reason) <= set(known):
            known |= {finding.name: finding.severity for finding in self.source.read(batch.plan).findings}
        severities = {reason: known.get(reason, "error") for reason in found.by_reason}
        severities |= {reason: "drop" for reason in found.dropped_by if known.get(reason) == "drop"}
        is_told = published or self._goes_row_by_row
        read = found.rows.read if is_told else self.source.read(batch.plan).frame.count()
        measuring = Measuring.of(self.lake, self.spec, batch, self.lake.read(self.spec.record_table))
        measured = measuring.judged(measuring.recorded(), looked_at(found, severities))
        return self._summed(read, found, severities, batch, measured)

    def accept(self, batch: Batch, judged: Judged) -> None:
        """Take the batch back out of bronze and raise when it does not add up, fails a rule or matches too little."""
        counts, spec = judged.counts, self.spec
        results = (*judged.results, *(RuleResult(*found) for found in batch.plan.violations))
        failed = [text for each in results if (text := stops(each))]
        failed = [f"{', '.join(failed)} violated"] if failed else []
        if short := shortfalls(spec.enrich, judged.matches):
            failed += [*short, *judged.notes]
        if any(severity == "fail" and rows for _, severity, rows in batch.plan.violations):
            failed.append(batch.plan.summary)
        if counts.adds_up and not failed:
            return
        seen_in = f"{spec.record_table} version {self.lake.version(spec.record_table)}"
        self.withdraw(batch)
        if not counts.adds_up:
            raise AccountingError(
                f"{spec.pipeline}: batch {batch.batch_id} was withdrawn: {counts.read:,} rows were read, but "
                f"{counts.good:,} are good, {counts.quarantined:,} quarantined and {counts.dropped:,} dropped; "
                f"they stand in {seen_in}"
            )
        raise RuleFailedError(
            f"{spec.pipeline}: {'; '.join(failed)}, so {spec.said_tables} was not touched and the batch will "
            f"be read again; its rows and their reasons stand in {seen_in}"
        )

    def withdraw(self, batch: Batch) -> None:
        """Take the batch back out of bronze; doing it again changes nothing."""
        with self.lake.committing(self.spec.record_table, batch.commit.withdrawal):
            self.lake.handle(self.spec.record_table).delete(F.col("_batch_id") == batch.batch_id)

    @property
    def _goes_row_by_row(self) -> bool:
        """Whether rows are projected only; to count what was read beside what was written would say nothing then."""
        spec = self.spec
        return not spec.enrich and is_by_row(spec.transforms) and all(rule.is_by_row for rule in spec.all_rules)

    def _count(self, batch: Batch) -> BatchCounts:
        outcomes = [outcome_column(each.name) for each in self.spec.enrich]
        return count_batch(self.lake.root, self.spec.record_table, batch.batch_id, outcomes)

    def _judged(
        self, extract: Extract, observed: DataFrame, known: StructType | None, batch: Batch
    ) -> tuple[Enriched, DataFrame, list[Finding]]:
        """The enriched rows, the same with their verdicts, and all findings that the verdicts come from.

        Rules with a horizon compare with the rows of earlier batches that are good, or were quarantined by rules that
        look beyond the row alone, as they do within the batch; in a replay with good ones only, since a row that is
        judged again must not meet itself.
        """
        enriched = self._enriched(extract, observed, known, batch)
        conformed = enriched.rows
        dropped = conformed.is_dropped
        unrouted, unwanted = no_route(self.spec)
        rules = self.spec.rules_of(batch.plan.kind)
        before = [*conformed.findings, *unrouted]
        sound = reduce(operator.and_, (f.violation.isNull() for f in before if f.severity != "warn"), ~dropped)
        compiled = compile_rules(
            routed(conformed.frame, self.spec), rules,
            read_table=self.lake.read, counted=~dropped, sound=sound, earlier=self._earlier(rules, batch),
            may_reread=not self.spec.enrich and is_by_row(self.spec.transforms),
        )  # fmt: skip
        checked, findings = compiled.frame, [*before, *compiled.findings]
        if CHANGE in checked.columns:
            findings = judged_where_said(findings, self.spec.targets[0].keys)
        because = F.col(BECAUSE) if BECAUSE in checked.columns else None
        judged = judge(checked, findings, dropped=dropped, because=because, unwanted=unwanted, of_bad=[ORIGINAL])
        return enriched, judged, findings

    def _earlier(self, rules: Sequence[Rule], batch: Batch) -> DataFrame | None:
        if not any(rule.is_causal for rule in rules) or not self.lake.exists(self.spec.record_table):
            return None
        good, beyond = F.col(VERDICT) == GOOD, [rule.name for rule in rules if rule.family in ("keyed", "joined")]
        by_these = (F.col(VERDICT) == QUARANTINED) & F.forall(REASONS, lambda reason: reason["rule"].isin(beyond))
        counts = good if batch.plan.kind == "replay" else good | by_these
        return self.lake.read(self.spec.record_table).where((F.col("_batch_id") < batch.batch_id) & counts)

    def _summed(
        self,
        read: int,
        found: BatchCounts,
        severities: Mapping[str, str],
        batch: Batch,
        measured: tuple[Sequence[RuleResult], States],
        notes: tuple[str, ...] = (),
    ) -> Judged:
        rows = found.rows
        there = [each for each in self.spec.enrich if outcome_column(each.name) in found.outcomes]
        matches = match_counts(there, found.outcomes)
        rows_judged = looked_at(found, severities)
        declared = {rule.name: rule for rule in self.spec.rules_of(batch.plan.kind)}
        results = tuple(
            counted_result(name, severity, found, rows_judged, declared.get(name))
            for name, severity in severities.items()
        )
        results += tuple(measured[0])
        counts = RowCounts(read, rows.good, rows.quarantined, rows.dropped)
        by_route = {table: found.by_route.get(table, 0) for table in self.spec.tables if self.spec.sink.routes}
        results += unmarked(there, matches)
        return Judged(counts, results, matches, notes, found.by_origin, by_route, measured[1])

    def _conformed(self, rows: Conformed, known: StructType | None, batch: Batch) -> Conformed:
        def recorded() -> DataFrame | None:
            if not self.lake.exists(self.spec.record_table):
                return None
            good = self.lake.read(self.spec.record_table).where(F.col(VERDICT) == GOOD)
            return good.where(F.col("_batch_id") != batch.batch_id)

        conformed = conform(rows, self.spec.transforms, recorded)
        conformed = keep_known_types(conformed, known, declared_types(self.spec.transforms))
        if not (kept := _kept(batch)):
            return conformed
        stored = state_before(self.lake, self.spec, batch.batch_id)
        return fill_kept(conformed, kept, self.spec.transforms, self.spec.targets[0].keys, stored)

    def _enriched(self, extract: Extract, observed: DataFrame, known: StructType | None, batch: Batch) -> Enriched:
        rows, enrichments = self._conformed(Conformed(observed, extract.findings), known, batch), self.spec.enrich
        ahead = self._conformed(Conformed(extract.frame, extract.findings), known, batch) if enrichments else rows
        return enrich(rows, ahead, enrichments, lake=self.lake, services=self.services, known=known)


def _kept(batch: Batch) -> list[str]:
    """Columns of the source whose values did not come with all changes of the batch."""
    kept: list[str] = batch.plan.details.get("kept", [])
    return kept


def _by_reference(value: int | datetime | None, sql_type: str) -> Column:
    """A constant that compiled code looks up; as a literal it would be part of the code, and each batch compiled."""
    return F.get(F.array(F.lit(value).cast(sql_type)), F.least(F.spark_partition_id(), F.lit(0)))


def _searchable(frame: DataFrame) -> list[str]:
    """What rows are looked for by; statistics on the rest would cost a tenth of the write and serve nobody."""
    kinds = (NumericType, StringType, DateType, TimestampType)
    data = [field.name for field in frame.schema if isinstance(field.dataType, kinds) and field.name[0] != "_"]
    own = ["_batch_id", "_ingested_at", *([ROUTE] if ROUTE in frame.columns else [])]
    return [*own, *data[:STATS_COLUMNS]]


def _rescued(frame: DataFrame) -> Column:
    """The fields that are not declared as JSON, made here where the source left it to the last projection."""
    is_late = isinstance(frame.schema[RESCUED].dataType, StructType)
    return rescued_as_json(F.col(RESCUED)).alias(RESCUED) if is_late else F.col(RESCUED)


def _as_text(frame: DataFrame) -> Column:
    """The record as it arrived; what has columns is written as JSON, here, where it is done for bad rows only."""
    if isinstance(frame.schema[ORIGINAL].dataType, StructType):
        return F.to_json(ORIGINAL, AS_JSON)
    return F.col(ORIGINAL)
