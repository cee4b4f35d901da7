"""Every rule finds what was planted for it, and nothing else."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.planted_faults import CASES, COUNTRIES, RULES, SCHEMA, planted, planted_rows, precision_and_recall
from lakeloop.quality import Rule, judge_rules


@pytest.fixture(scope="module")
def rows_by_rule(spark: SparkSession) -> dict[str, set[int]]:
    countries = spark.createDataFrame([(code,) for code in COUNTRIES], "code string")
    frame = spark.createDataFrame(planted_rows(), SCHEMA)
    named = [{kind: {**given, "name": name}} for name, rule in RULES.items() for kind, given in rule.items()]
    rules = [Rule.model_validate(each) for each in named]
    judged = judge_rules(frame, rules, read_table=lambda _: countries)
    found = judged.select("row", F.explode("_reasons.rule").alias("rule")).collect()
    return {rule.name: {row["row"] for row in found if row["rule"] == rule.name} for rule in rules}


@pytest.mark.parametrize("name", RULES)
def test_finds_what_was_planted_and_nothing_else(name: str, rows_by_rule: dict[str, set[int]]) -> None:
    found = rows_by_rule[name]
    differing = {number: CASES[number].cells for number in found ^ planted(name)}
    assert (precision_and_recall(name, found), differing) == ((1.0, 1.0), {})


def test_every_rule_has_rows_that_hold_and_rows_that_do_not() -> None:
    assert len(CASES) >= 60
    assert all(0 < len(planted(name)) < len(CASES) for name in RULES)


def test_measures_what_is_found_too_much_and_too_little() -> None:
    first, *others = sorted(planted("pattern"))
    assert precision_and_recall("pattern", {first, 0}) == (0.5, 1 / (1 + len(others)))
    assert precision_and_recall("pattern", set()) == (1.0, 0.0)
