"""cuallee: checks as observations of one pass; it counts violations and marks no row."""

from typing import Any

from cuallee import Check, CheckLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.quality_checks import (
    ADDS_UP,
    EARLIER,
    FRESH,
    FRESH_DAYS,
    KEYS,
    LATER,
    NOT_NULL,
    PATTERNS,
    RANGES,
    SETS,
    whole,
)  # fmt: skip
from benchmarks.quality_process import Tables


def aggregates(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """19 of the 21 checks: it has no foreign key, and no number of rows."""
    check = Check(CheckLevel.WARNING, "lines")
    for column in NOT_NULL:
        check.is_complete(column)
    for column, bounds in RANGES.items():
        check.is_between(column, bounds)
    for column, text in PATTERNS.items():
        check.has_pattern(column, whole(text))
    for column, values in SETS.items():
        check.is_contained_in(column, values)
    check.is_unique(KEYS[0][0])
    check.are_unique(KEYS[1])
    check.satisfies(LATER, f"{LATER} >= {EARLIER}")
    check.satisfies("total", ADDS_UP)
    check.satisfies(FRESH, f"{FRESH} >= current_timestamp() - interval {FRESH_DAYS} days")
    return {"rules": check.sum, "results": len(check.validate(tables.read(spark)).collect())}


def thousand(spark: SparkSession, tables: Tables, number: int) -> int:
    """So many rules on one column, as in its own `perftest.py`."""
    check = Check(CheckLevel.WARNING, "taxi")
    for least in range(number):
        check.is_greater_than("fare_amount", least)
    return len(check.validate(tables.read(spark)).collect())


def verdicts(spark: SparkSession, rows: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """Numbers of violations: it names no row."""
    found: dict[str, Any] = {"reference": "no such rule", "not_nan": "no such rule", "not_blank": "no such rule"}
    rules = {
        "not_null": lambda check: check.is_complete("code"),
        "not_empty": lambda check: check.satisfies("code", "code <> ''"),
        "in_set": lambda check: check.is_contained_in("code", ("A", "B", "C")),
        "length": lambda check: check.satisfies("note", "length(note) <= 5"),
        "range": lambda check: check.is_between("amount", (0, 100)),
        "pattern": lambda check: check.has_pattern("email", whole(PATTERNS["email"])),
        "pattern, ^ and $": lambda check: check.has_pattern("email", f"^{PATTERNS['email']}$"),
        "unique": lambda check: check.is_unique("key"),
        "unique_pair": lambda check: check.are_unique(("part_a", "part_b")),
        "in_order": lambda check: check.satisfies("low", "low <= high"),
        "timestamp": lambda check: check.satisfies("at", "at is null or try_cast(at as timestamp) is not null"),
        "in_2025": lambda check: check.satisfies(
            "at", "try_cast(at as timestamp) >= '2025-01-01' and try_cast(at as timestamp) < '2026-01-01'"
        ),
    }
    for name, declare in rules.items():
        check = Check(CheckLevel.WARNING, name)
        declare(check)
        found[name] = check.validate(rows).select(F.col("violations").cast("long")).first()[0]
    return found
