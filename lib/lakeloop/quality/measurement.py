"""Measures over a frame: aggregated in one go, added to what earlier rows gave, and judged."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from lakeloop.lake.rule_results import RuleResult
from lakeloop.quality.horizon import BATCH
from lakeloop.quality.keyed_rules import as_time
from lakeloop.quality.measures import Measure, Numbers
from lakeloop.quality.rule import Rule

WHOLE = ""  # in place of a stretch of time: all rows
SHOWN = 3
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
States = Mapping[str, Mapping[str, Numbers]]


def whole_parts(rules: Sequence[Rule], measures: Mapping[str, Measure]) -> list[Column]:
    """The aggregates of rules that judge all rows together, named for `whole_states` to find them."""
    return [
        part.column.alias(_named(index, name))
        for index, rule in enumerate(rules)
        if rule.name in measures and not needs_own_pass(rule)
        for name, part in measures[rule.name].parts.items()
    ]


def whole_states(rules: Sequence[Rule], measures: Mapping[str, Measure], found: Mapping[str, object]) -> States:
    """What the aggregates of `whole_parts` came to."""
    return {
        rule.name: {WHOLE: {name: found[_named(index, name)] for name in measures[rule.name].parts}}
        for index, rule in enumerate(rules)
        if rule.name in measures and not needs_own_pass(rule)
    }


def needs_own_pass(rule: Rule) -> bool:
    """Whether its numbers are no aggregate of all rows that any other one can stand beside.

    A stretch of time is a group, and an aggregate in SQL may be of distinct values, which are not watched in passing.
    """
    return rule.per is not None or rule.kind == "measure"


def other_states(frame: DataFrame, rules: Sequence[Rule], measures: Mapping[str, Measure]) -> States:
    """The numbers of rules that take passes of their own, over rows of which none was dropped."""
    alone = [(index, rule) for index, rule in enumerate(rules) if rule.name in measures and rule.kind == "measure"]
    states = dict(stretch_states(frame, rules, measures))
    if alone:
        row = frame.agg(*_parts_of(alone, measures)).first()
        assert row is not None  # an aggregate without groups has one row
        states |= {rule.name: {WHOLE: _numbers_of(index, measures[rule.name], row)} for index, rule in alone}
    return states


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
        start = F.unix_seconds(F.window(as_time(event_time), f"{seconds} seconds").getField("start")).alias("_start")
        for row in frame.groupBy(start).agg(*_parts_of(some, measures)).collect():
            stretch = _told(row["_start"])
            for index, rule in some:
                states[rule.name][stretch] = _numbers_of(index, measures[rule.name], row)
    return states


def _parts_of(rules: Sequence[tuple[int, Rule]], measures: Mapping[str, Measure]) -> list[Column]:
    return [
        part.column.alias(_named(index, name))
        for index, rule in rules
        for name, part in measures[rule.name].parts.items()
    ]


def _told(seconds: int) -> str:
    try:
        return (EPOCH + dt.timedelta(seconds=seconds)).isoformat(" ", "seconds")[:19]
    except OverflowError:  # Spark has years beyond those of Python
        return f"{seconds} s after 1970"


def _numbers_of(index: int, measure: Measure, row: Row) -> Numbers:
    return {name: row[_named(index, name)] for name in measure.parts}


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
