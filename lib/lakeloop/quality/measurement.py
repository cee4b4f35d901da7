"""Measures over a frame: aggregated in one go, added to what earlier rows gave, and judged."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.lake.rule_results import RuleResult
from lakeloop.quality.horizon import BATCH
from lakeloop.quality.measures import Measure, Numbers
from lakeloop.quality.row_rules.columns import value_of
from lakeloop.quality.rule import Rule

WHOLE = ""  # in place of a stretch of time: all rows
SHOWN = 3
States = Mapping[str, Mapping[str, Numbers]]


def whole_parts(rules: Sequence[Rule], measures: Mapping[str, Measure]) -> list[Column]:
    """The aggregates of rules that judge all rows together, named for `whole_states` to find them."""
    return [
        part.column.alias(_named(index, name))
        for index, rule in enumerate(rules)
        if rule.name in measures and rule.per is None
        for name, part in measures[rule.name].parts.items()
    ]


def whole_states(rules: Sequence[Rule], measures: Mapping[str, Measure], found: Mapping[str, object]) -> States:
    """What the aggregates of `whole_parts` came to."""
    return {
        rule.name: {WHOLE: {name: found[_named(index, name)] for name in measures[rule.name].parts}}
        for index, rule in enumerate(rules)
        if rule.name in measures and rule.per is None
    }


def stretch_states(frame: DataFrame, rules: Sequence[Rule], measures: Mapping[str, Measure]) -> States:
    """The numbers of rules with `per`, by the start of each stretch in UTC; one pass for each length of time.

    A row without a time belongs to no stretch.
    """
    together: dict[tuple[str, dt.timedelta], list[tuple[int, Rule]]] = defaultdict(list)
    for index, rule in enumerate(rules):
        if rule.name in measures and rule.per is not None and rule.event_time is not None:
            together[rule.event_time, rule.per].append((index, rule))
    states: dict[str, dict[str, Numbers]] = {rule.name: {} for some in together.values() for _, rule in some}
    for (event_time, per), some in together.items():
        seconds = int(per.total_seconds())
        start = F.window(value_of(event_time).cast("timestamp"), f"{seconds} seconds").getField("start")
        parts = [
            part.column.alias(_named(index, name))
            for index, rule in some
            for name, part in measures[rule.name].parts.items()
        ]
        for row in frame.groupBy(F.date_format(start, "yyyy-MM-dd HH:mm:ss").alias("_start")).agg(*parts).collect():
            for index, rule in some:
                numbers = {name: row[_named(index, name)] for name in measures[rule.name].parts}
                states[rule.name][row["_start"]] = numbers
    return states


def added(rules: Sequence[Rule], measures: Mapping[str, Measure], states: States, before: States) -> States:
    """The numbers of some rows with those of rows before them, for rules that judge more than one batch."""
    return {
        rule.name: {
            stretch: measures[rule.name].combined(before[rule.name][stretch], numbers)
            if outlasts_batch(rule) and stretch in before.get(rule.name, {})
            else numbers
            for stretch, numbers in states[rule.name].items()
        }
        for rule in rules
        if rule.name in states
    }


def outlasts_batch(rule: Rule) -> bool:
    """Whether a measured rule judges the rows of several batches together."""
    return rule.per is not None or rule.reach != BATCH


def results_of(rules: Sequence[Rule], measures: Mapping[str, Measure], states: States, rows: int) -> list[RuleResult]:
    """The verdict of each measured rule on its numbers."""
    return [
        _result(rule, measures[rule.name], states.get(rule.name, {}), rows) for rule in rules if rule.name in measures
    ]


def _result(rule: Rule, measure: Measure, numbers: Mapping[str, Numbers], rows: int) -> RuleResult:
    verdicts = {stretch: measure.judge(found) for stretch, found in sorted(numbers.items())}
    violated = {stretch: verdict.violation for stretch, verdict in verdicts.items() if verdict.violation}
    said = [f"{text} (from {stretch} UTC)" if stretch else str(text) for stretch, text in violated.items()]
    more = [f"and {len(said) - SHOWN} more"] if len(said) > SHOWN else []
    value = next(reversed(verdicts.values())).value if verdicts else None
    message = "; ".join([*said[:SHOWN], *more]) or None
    return RuleResult(
        rule.name, rule.severity, len(violated), rows, rule.kind, rule.columns, value, message, rule.owner
    )


def _named(index: int, part: str) -> str:
    return f"measure_{index}_{part}"
