"""The quality of each table at a moment and over its latest batches, gathered from `ops` without Spark."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from lakeloop.ingestion.batch_profile import watched_table
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.batch_profiles import BatchNumbers, past_batches
from lakeloop.lake.rule_history import PastBatch, PastResult, RuleHistory, rule_histories
from lakeloop.monitoring.incidents import OpenIncident, open_incidents
from lakeloop.quality import COUNTED
from lakeloop.quality.arrivals import RunEnd, judge_arrival
from lakeloop.quality.batch_anomalies import Signal, signals_of, silence, state_of_learning

SHOWN_BATCHES = 30
State = Literal["no_data", "good", "watch", "failing"]


@dataclass(frozen=True)
class RuleTrend:
    """One rule over the latest batches, oldest first, with the batch of each result."""

    latest: PastResult
    points: tuple[tuple[PastBatch, PastResult], ...]
    owner: str | None = None

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.latest.rule

    @property
    def shares(self) -> list[float]:
        """Per batch, the violations as a share of the rows that the rule looked at; of a batch without rows 0."""
        return [share_of(result, batch) for batch, result in self.points]

    @property
    def total(self) -> int:
        """The violations of all batches."""
        return sum(result.violations for _, result in self.points)


def share_of(result: PastResult, batch: PastBatch) -> float:
    """The violations as a share of the rows that the rule looked at: those read, where that is not on record."""
    rows = batch.counts.read if result.rows is None else result.rows
    return min(result.violations / rows, 1.0) if rows else 0.0


@dataclass(frozen=True)
class TableQuality:
    """What is known of the tables of one pipeline; `follows`: whose open incident its anomaly is told with."""

    spec: PipelineSpec
    history: RuleHistory = field(default_factory=RuleHistory)
    numbers: BatchNumbers = field(default_factory=BatchNumbers)
    incidents: tuple[OpenIncident, ...] = ()
    is_overdue: bool = False
    silent: Signal | None = None
    learning: str | None = None
    follows: str | None = None

    @property
    def name(self) -> str:
        """The tables, as people say them."""
        return self.spec.said_tables

    @property
    def watched(self) -> str:
        """The table that the learned numbers are of."""
        return watched_table(self.spec)

    @property
    def last(self) -> PastBatch | None:
        """The newest batch."""
        return self.history.batches[-1] if self.history.batches else None

    @property
    def last_rows_at(self) -> dt.datetime | None:
        """When rows came last."""
        return next((batch.at for batch in reversed(self.history.batches) if batch.counts.read), None)

    @property
    def good_shares(self) -> list[float]:
        """The share of good rows per batch that had rows, oldest first; dropped rows count as good."""
        counts = [batch.counts for batch in self.history.batches if batch.counts.read]
        return [1 - each.quarantined / each.read for each in counts]

    @cached_property
    def rules(self) -> tuple[RuleTrend, ...]:
        """The rules of the newest batch, most violated first."""
        if self.last is None:
            return ()
        batches = {(batch.batch_id, batch.run_id): batch for batch in self.history.batches}
        owners = {rule.name: rule.owner for rule in self.spec.all_rules}
        by_rule: dict[str, dict[int, tuple[PastBatch, PastResult]]] = {}
        for result in self.history.results:
            batch = batches[result.batch_id, result.run_id]
            if result.severity != COUNTED:
                by_rule.setdefault(result.rule, {})[batch.batch_id] = (batch, result)
        found = []
        for name, of_rule in by_rule.items():
            points = tuple(sorted(of_rule.values(), key=lambda point: point[0].at))
            if points[-1][0] == self.last:
                latest = points[-1][1]
                found.append(RuleTrend(latest, points, latest.owner or owners.get(name) or self.spec.owner))
        return tuple(sorted(found, key=lambda rule: (-rule.latest.violations, -rule.total, rule.name)))

    @property
    def violated(self) -> int:
        """How many rules the newest batch violates."""
        return sum(rule.latest.violations > 0 for rule in self.rules)

    @cached_property
    def signals(self) -> list[Signal]:
        """What stood out in the newest batch, or that none has come."""
        newest = signals_of(self.numbers, -1) if self.numbers.batch_ids else []
        return [*([self.silent] if self.silent else []), *newest]

    @property
    def state(self) -> State:
        """`failing`: the last run failed or an open incident is an error. `watch`: something else is not right."""
        run = self.history.last_run
        if (run is not None and run.outcome in {"failed", "withdrawn"}) or self.has_error:
            return "failing"
        if self.last is None:
            return "no_data"
        is_fine = not (self.incidents or self.violated or self.signals or self.is_overdue)
        return "good" if is_fine and not self.last.counts.quarantined else "watch"

    @property
    def has_error(self) -> bool:
        """Whether an open incident is an error."""
        return any(incident.last.severity == "error" for incident in self.incidents)


def gather(root: str, specs: Sequence[PipelineSpec], now: dt.datetime) -> list[TableQuality]:
    """The quality of the tables of some pipelines, in their order, but for what they follow.

    Raises DamageError for a table of `ops` that cannot be read.
    """
    names = [spec.pipeline for spec in specs]
    histories = rule_histories(root, names, SHOWN_BATCHES)
    numbers = past_batches(root, [spec.pipeline for spec in specs if spec.watch_over is not None])
    incidents = open_incidents(root)
    found = []
    for spec in specs:
        past = numbers.get(spec.pipeline, BatchNumbers())
        learning = state_of_learning(past, now, spec.watch_over.learn) if spec.watch_over is not None else None
        found.append(
            TableQuality(
                spec,
                histories[spec.pipeline],
                past,
                tuple(incident for incident in incidents if incident.last.pipeline == spec.pipeline),
                _is_overdue(spec, histories[spec.pipeline], now),
                silence(past, now),
                learning,
            )
        )
    return found


def _is_overdue(spec: PipelineSpec, history: RuleHistory, now: dt.datetime) -> bool:
    expected = spec.source.expect if isinstance(spec.source, FilesSource) else None
    if expected is None or history.last_run is None:
        return False
    runs = [RunEnd("succeeded", batch.counts.read, batch.at, batch.at) for batch in history.batches]
    runs.append(RunEnd(history.last_run.outcome, 0, history.last_run.at, history.last_run.at))
    return judge_arrival(expected, runs, now).state in {"late", "missing"}
