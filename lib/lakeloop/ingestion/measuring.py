"""The measured rules of one batch: watched while it is written, or read back from the record."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Batch
from lakeloop.lake.rule_results import RuleResult
from lakeloop.lake.rule_states import States, states_before
from lakeloop.lake.tables import Lake
from lakeloop.quality import Rule, measures_of
from lakeloop.quality.judgement import DROPPED, VERDICT
from lakeloop.quality.measurement import (
    added,
    needs_own_pass,
    other_states,
    outlasts_batch,
    results_of,
    whole_parts,
    whole_states,
)
from lakeloop.quality.measures import Measure


@dataclass(frozen=True)
class Measuring:
    """What measured rules aggregate of one batch. Rows that were dropped do not count."""

    lake: Lake
    spec: PipelineSpec
    batch: Batch
    rules: tuple[Rule, ...]
    measures: Mapping[str, Measure]
    observation: Observation = field(default_factory=Observation)

    @classmethod
    def of(cls, lake: Lake, spec: PipelineSpec, batch: Batch, frame: DataFrame) -> "Measuring":
        """For rows with verdicts that look like `frame`. Raises TableError for a column that is missing."""
        rules = tuple(rule for rule in spec.rules_of(batch.plan.kind) if rule.family == "measured")
        counted = F.col(VERDICT) != DROPPED
        return cls(lake, spec, batch, rules, measures_of(frame, rules, read_table=lake.read, counted=counted))

    def watching(self, verdicts: DataFrame) -> DataFrame:
        """The rows, whose numbers come together while they are written."""
        parts = whole_parts(self.rules, self.measures)
        return verdicts.observe(self.observation, F.count(F.lit(1)).alias("rows"), *parts) if parts else verdicts

    def observed(self, written: int) -> States:
        """The numbers, once that many rows were written.

        Spark leaves an observation out of an empty plan, and a task that ran again was observed twice: then they are
        read back.
        """
        if not written or not whole_parts(self.rules, self.measures):
            return self.recorded()
        numbers = self.observation.get
        if numbers["rows"] != written:
            return self.recorded()
        return {**whole_states(self.rules, self.measures, numbers), **self._others()}

    def recorded(self) -> States:
        """The numbers of the batch, from the record."""
        if not self.rules:
            return {}
        parts = whole_parts(self.rules, self.measures)
        row = self._rows.agg(*parts).first() if parts else None
        return {**whole_states(self.rules, self.measures, row.asDict() if row else {}), **self._others()}

    def judged(self, own: States, rows: int) -> tuple[list[RuleResult], States]:
        """The results of the measured rules on a batch of that many rows, and the numbers for the next batch."""
        lasting = [rule for rule in self.rules if outlasts_batch(rule)]
        place = self.lake.root, self.spec.pipeline, self.batch.batch_id
        before = states_before(*place, self.spec.rule_versions) if lasting else {}
        states = added(self.rules, self.measures, own, before)
        return results_of(self.rules, self.measures, states, rows), {rule.name: states[rule.name] for rule in lasting}

    @property
    def _rows(self) -> DataFrame:
        return self.lake.read(self.spec.record_table).where(F.col("_batch_id") == self.batch.batch_id)

    def _others(self) -> States:
        if not any(map(needs_own_pass, self.rules)):
            return {}
        return other_states(self._rows.where(F.col(VERDICT) != DROPPED), self.rules, self.measures)
