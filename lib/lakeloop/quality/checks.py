"""Rules as aggregates: how many rows violate each, and what the measures come to, without a verdict per row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.lake.rule_results import RuleResult
from lakeloop.quality.joined_rules import ReadTable
from lakeloop.quality.judgement import DROPPED, REASONS, VERDICT, judge
from lakeloop.quality.measurement import (
    States,
    added,
    other_states,
    results_of,
    whole_parts,
    whole_states,
)
from lakeloop.quality.rule import Rule
from lakeloop.quality.rule_set import Compiled, compile_rules, measures_of, refuse_tables

EXAMPLES = 5


@dataclass(frozen=True)
class Checked:
    """The results of rules over a frame, in their order; `states` are numbers that later rows are added to."""

    rows: int
    results: tuple[RuleResult, ...]
    states: States = field(default_factory=dict)

    @property
    def violated(self) -> tuple[RuleResult, ...]:
        """Those that do not hold."""
        return tuple(result for result in self.results if not result.holds)

    def __getitem__(self, rule: str) -> RuleResult:
        """The result of the rule of this name. Raises KeyError where there is none."""
        found = {result.rule: result for result in self.results}
        if rule not in found:
            raise KeyError(f"no rule '{rule}'; {propose(rule, list(found))}")
        return found[rule]


def check_rules(
    frame: DataFrame,
    declared: Sequence[Rule],
    *,
    read_table: ReadTable | None = None,
    earlier: DataFrame | None = None,
    after: Checked | None = None,
    in_order_of: Sequence[str] = (),
) -> Checked:
    """Count the violations of rules of any family in one aggregate over the frame; `per` takes another one.

    `earlier` are rows that came before, for keyed rules with a horizon, and `after` the result on those, for measured
    ones.
    """
    compiled = compile_rules(
        frame, declared, read_table=read_table or refuse_tables, earlier=earlier, in_order_of=in_order_of
    )
    rows, counted = compiled.frame, None
    if any(rule.severity == "drop" for rule in declared):
        rows, counted = judge(rows, compiled.findings), F.col(VERDICT) != DROPPED
    measures = measures_of(rows, declared, read_table=read_table or refuse_tables, counted=counted)
    failures = [
        F.count(F.when(finding.violation.isNotNull(), 1)).alias(f"finding_{at}")
        for at, finding in enumerate(compiled.findings)
    ]
    row = rows.agg(F.count(F.lit(1)).alias("rows"), *failures, *whole_parts(declared, measures)).first()
    assert row is not None  # an aggregate without groups has one row
    numbers = row.asDict()
    states: States = {
        **whole_states(declared, measures, numbers),
        **other_states(rows if counted is None else rows.where(counted), declared, measures),
    }
    before: States = {} if after is None else after.states
    states = added(declared, measures, states, before)
    found = results_of(declared, measures, states, numbers["rows"])
    so_far = {rule: {**before.get(rule, {}), **stretches} for rule, stretches in states.items()}
    return Checked(numbers["rows"], _in_order(declared, compiled, numbers, found), so_far)


def assert_rules_hold(
    frame: DataFrame,
    declared: Sequence[Rule | dict[str, Any]],
    *,
    read_table: ReadTable | None = None,
    examples: int = EXAMPLES,
) -> None:
    """Raise AssertionError that names each violated rule, how many rows violate it, and some rows with their reasons.

    For tests, in the manner of chispa. `declared` are rules, or dictionaries as YAML has them.
    """
    rules = [rule if isinstance(rule, Rule) else Rule.model_validate(rule) for rule in declared]
    checked = check_rules(frame, rules, read_table=read_table)
    if not checked.violated:
        return
    lines = [f"{len(checked.violated)} of {len(rules)} rules do not hold over {checked.rows:,} rows:"]
    lines += [
        f"  {each.rule} ({each.severity}): {each.message or f'{each.violations:,} rows'}" for each in checked.violated
    ]
    if any(checked[rule.name].violations for rule in rules if rule.family != "measured"):
        lines += ["", *_examples(frame, rules, read_table or refuse_tables, examples)]
    raise AssertionError("\n".join(lines))


def _examples(frame: DataFrame, rules: Sequence[Rule], read_table: ReadTable, limit: int) -> list[str]:
    compiled = compile_rules(frame, rules, read_table=read_table)
    judged = judge(compiled.frame, compiled.findings).where(F.col(REASONS).isNotNull())
    shown = judged.select(REASONS, F.struct(*(f"`{name.replace('`', '``')}`" for name in frame.columns)).alias("row"))
    lines = []
    for found in shown.limit(limit).collect():
        lines.append("  " + ", ".join(f"{name}={value!r}" for name, value in found["row"].asDict().items()))
        lines += [f"    {reason['rule']}: {reason['message']}" for reason in found[REASONS]]
    return lines


def _in_order(
    declared: Sequence[Rule], compiled: Compiled, numbers: dict[str, Any], measured: Sequence[RuleResult]
) -> tuple[RuleResult, ...]:
    found = {result.rule: result for result in measured}
    for at, finding in enumerate(compiled.findings):
        rule = next(rule for rule in declared if rule.name == finding.name)
        found[rule.name] = RuleResult(
            rule.name,
            rule.severity,
            numbers[f"finding_{at}"],
            numbers["rows"],
            rule.kind,
            rule.columns,
            owner=rule.owner,
            at_most=rule.at_most,
        )
    return tuple(found[rule.name] for rule in declared)
