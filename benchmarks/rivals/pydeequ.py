"""PyDeequ: checks become analyzers that Deequ's jar runs in shared passes; counts, and a boolean per row and check."""

import os

os.environ.setdefault("SPARK_VERSION", "3.5")  # PyDeequ reads it when it is imported

from typing import Any

import pydeequ
from pydeequ.checks import Check, CheckLevel
from pydeequ.verification import VerificationResult, VerificationSuite
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

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
    SETS,
    whole,
)  # fmt: skip
from benchmarks.quality_process import Tables

# PyDeequ 1.7.0 names deequ 2.0.21-spark-3.5, which Maven Central does not have; this is the nearest that it has.
DEEQU = "com.amazon.deequ:deequ:2.0.7-spark-3.5"
SETTINGS = {"spark.jars.packages": DEEQU, "spark.jars.excludes": pydeequ.f2j_maven_coord}
ALL = 1.0


def all_of(share: float) -> bool:
    """Whether no row violates the check."""
    return share == ALL


def aggregates(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """20 of the 21 checks: it has no foreign key."""
    check = Check(spark, CheckLevel.Warning, "lines").hasSize(lambda rows: rows >= LEAST_ROWS)
    for column in NOT_NULL:
        check = check.isComplete(column)
    for column, (least, most) in RANGES.items():
        check = check.satisfies(f"{column} between {least} and {most}", f"{column}_range", all_of)
    for column, text in PATTERNS.items():
        check = check.hasPattern(column, whole(text), all_of)
    for column, values in SETS.items():
        check = check.isContainedIn(column, list(values))
    for key in KEYS:
        check = check.hasUniqueness(list(key), all_of)
    check = check.satisfies(f"{LATER} >= {EARLIER}", "order", all_of).satisfies(ADDS_UP, "sum", all_of)
    check = check.satisfies(f"{FRESH} >= current_timestamp() - interval {FRESH_DAYS} days", "fresh", all_of)
    run = VerificationSuite(spark).onData(tables.read(spark)).addCheck(check).run()
    return {"results": VerificationResult.checkResultsAsDataFrame(spark, run).count()}


def verdicts(spark: SparkSession, rows: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """The planted rows for which its row-level result of a check is not true."""
    found: dict[str, Any] = {"reference": "no such rule", "not_nan": "no such rule", "not_blank": "no such rule"}
    in_2025 = "try_cast(at as timestamp) >= '2025-01-01' and try_cast(at as timestamp) < '2026-01-01'"
    rules = {
        "not_null": lambda check: check.isComplete("code"),
        "not_empty": lambda check: check.satisfies("code <> ''", "not_empty", all_of),
        "in_set": lambda check: check.isContainedIn("code", ["A", "B", "C"]),
        "length": lambda check: check.hasMaxLength("note", lambda length: length <= 5),
        "range": lambda check: check.satisfies("amount between 0 and 100", "range", all_of),
        "pattern": lambda check: check.hasPattern("email", whole(PATTERNS["email"]), all_of),
        "pattern, ^ and $": lambda check: check.hasPattern("email", f"^{PATTERNS['email']}$", all_of),
        "unique": lambda check: check.isUnique("key"),
        "unique_pair": lambda check: check.hasUniqueness(["part_a", "part_b"], all_of),
        "in_order": lambda check: check.isLessThanOrEqualTo("low", "high"),
        "timestamp": lambda check: check.satisfies(
            "at is null or try_cast(at as timestamp) is not null", "timestamp", all_of
        ),
        "in_2025": lambda check: check.satisfies(in_2025, "in_2025", all_of),
    }
    for name, declare in rules.items():
        check = declare(Check(spark, CheckLevel.Warning, "found"))
        run = VerificationSuite(spark).onData(rows).addCheck(check).run()
        try:
            marked = VerificationResult.rowLevelResultsAsDataFrame(spark, run, rows)
            wrong = marked.where(~F.coalesce(F.col("found"), F.lit(False))).select("row").collect()
            found[name] = [row["row"] for row in wrong]
        except Exception as error:
            found[name] = str(error).splitlines()[0][:120]
    return found
