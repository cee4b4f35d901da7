"""What a batch came to, rule by rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.enrichment.outcomes import MatchCount
from lakeloop.lake.batch_counts import BatchCounts
from lakeloop.lake.rule_results import RuleResult
from lakeloop.lake.rule_states import States
from lakeloop.quality import Rule


@dataclass(frozen=True)
class Judged:
    """What one batch came to: its row counts, what each finding and rule came to, and how its look-ups fared.

    `by_origin` has the rows that were written, by the origin in their position, `by_route` the good ones by their table
    where there are several. `states` are the numbers of measured rules that the next batch is added to.
    """

    counts: RowCounts
    results: tuple[RuleResult, ...] = ()
    matches: tuple[MatchCount, ...] = ()
    notes: tuple[str, ...] = ()
    by_origin: Mapping[str, RowCounts] = field(default_factory=dict)
    by_route: Mapping[str, int] = field(default_factory=dict)
    states: States = field(default_factory=dict)


def looked_at(found: BatchCounts, severities: Mapping[str, str]) -> int:
    """How many rows rules looked at: all but those that were dropped before, which no rule is the reason for."""
    return found.rows.read - sum(rows for reason, rows in found.dropped_by.items() if reason not in severities)


def counted_result(name: str, severity: str, found: BatchCounts, rows: int, rule: Rule | None) -> RuleResult:
    """What one finding came to, by the reasons that rows have; `rule` is the one that it is of, if any."""
    violations = found.by_reason.get(name, 0) + found.dropped_by.get(name, 0)
    if rule is None:
        return RuleResult(name, severity, violations, rows)
    return RuleResult(name, severity, violations, rows, rule.kind, rule.columns, owner=rule.owner, at_most=rule.at_most)


def stops(result: RuleResult) -> str | None:
    """What to say where a result stops the run: a rule that must not be violated, or one that is too often."""
    if result.holds or (result.severity != "fail" and result.at_most is None):
        return None
    if result.at_most is not None:
        tolerated = f"at most {result.at_most * 100:g}% are tolerated"
        return f"{result.rule} ({result.violations:,} of {result.rows:,} rows, {tolerated})"
    return f"{result.rule} ({result.message or f'{result.violations:,} rows'})"
