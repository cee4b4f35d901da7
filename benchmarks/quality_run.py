"""The same checks by Lakeloop: what of its quality engine the benchmark calls is all in here."""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.planted_faults import RULES
from benchmarks.quality_checks import (
    ADDS_UP,
    EARLIER,
    FRESH,
    FRESH_DAYS,
    KEYS,
    LATER,
    LEAST_ROWS,
    NOT_NULL,
    PATTERNS,
    RANGES,
    REFERENCE,
    SETS,
    many_ranges,
)  # fmt: skip
from benchmarks.quality_process import Tables
from lakeloop.quality import Rule, check_rules, judge_rules

Declared = dict[str, Any]
ROW_RULES: list[Declared] = [
    *({"is_not_null": column} for column in NOT_NULL),
    *({"is_in_range": {"column": column, "min": least, "max": most}} for column, (least, most) in RANGES.items()),
    *({"matches": {"column": column, "pattern": pattern}} for column, pattern in PATTERNS.items()),
    *({"is_in": {"column": column, "values": list(values)}} for column, values in SETS.items()),
    {"compares": {"column": LATER, "operator": ">=", "to": EARLIER}},
    {"sql": {"condition": ADDS_UP, "name": "total_adds_up"}},
]
KEYED_RULES: list[Declared] = [
    *({"is_unique": {"columns": list(key)}} for key in KEYS),
    {"references": {"columns": [REFERENCE[0]], "table": REFERENCE[1], "keys": [REFERENCE[2]]}},
]
MEASURED_RULES: list[Declared] = [
    {"row_count": {"min": LEAST_ROWS}},
    {"is_fresh": {"column": FRESH, "within": f"{FRESH_DAYS}d"}},
]


def rules_of(declared: Sequence[Declared]) -> list[Rule]:
    """Declared rules."""
    return [Rule.model_validate(entry) for entry in declared]


def ranges(number: int) -> list[Rule]:
    """So many range rules, no two alike."""
    return [
        Rule.model_validate({"is_in_range": {"column": column, "min": least, "name": f"range_{index}"}})
        for index, (column, least) in enumerate(many_ranges(number))
    ]


def rows(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """All 21 rules: each row with its verdict and reasons, good rows and quarantine in one write."""
    declared = rules_of([*ROW_RULES, *KEYED_RULES, *MEASURED_RULES])
    _write(spark, tables, declared)
    return {"rules": len(declared)}


def many_rules(spark: SparkSession, tables: Tables, number: int) -> dict[str, Any]:
    """So many rules that look at one row each, the first 16 those of the 21."""
    declared = [*rules_of(ROW_RULES), *ranges(number)][:number]
    _write(spark, tables, declared)
    return {"rules": len(declared)}


def aggregates(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """Numbers of violations of all 21 rules, nothing written."""
    declared = rules_of([*ROW_RULES, *KEYED_RULES, *MEASURED_RULES])
    return {"rules": len(declared), **check(spark, tables.read(spark), declared, tables)}


def thousand(spark: SparkSession, tables: Tables, number: int) -> dict[str, Any]:
    """So many rules on one column of taxi rides: numbers of violations."""
    declared = [
        Rule.model_validate({"is_in_range": {"column": "fare_amount", "above": least, "name": f"fare_above_{least}"}})
        for least in range(number)
    ]
    return check(spark, tables.read(spark), declared, tables)


def check(spark: SparkSession, frame: DataFrame, declared: Sequence[Rule], tables: Tables) -> dict[str, int]:
    """How many rules there are, and how many are violated."""
    found = check_rules(frame, declared, read_table=lambda _: tables.referred(spark))
    return {"rules": len(found.results), "violated": len(found.violated)}


def verdicts(_: SparkSession, frame: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """The planted rows that each rule finds."""
    named = [{kind: {**given, "name": name}} for name, rule in RULES.items() for kind, given in rule.items()]
    declared = rules_of(named)
    judged = judge_rules(frame, declared, read_table=lambda _: countries)
    found = judged.select("row", F.explode("_reasons.rule").alias("rule")).collect()
    return {rule.name: [row["row"] for row in found if row["rule"] == rule.name] for rule in declared}


def _write(spark: SparkSession, tables: Tables, declared: Sequence[Rule]) -> None:
    judged = judge_rules(tables.read(spark), declared, read_table=lambda _: tables.referred(spark))
    judged.write.mode("overwrite").partitionBy("_verdict").parquet(tables.out)
