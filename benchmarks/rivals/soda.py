"""Soda 3 on Spark data frames: SodaCL over views; it keeps samples of failed rows, and counts."""

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from soda.scan import Scan

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
    whole,
)  # fmt: skip
from benchmarks.quality_process import Tables


def aggregates(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """All 21 checks."""
    tables.read(spark).createOrReplaceTempView("lines")
    tables.referred(spark).createOrReplaceTempView(REFERENCE[1])
    checks = [
        *(f"missing_count({column}) = 0" for column in NOT_NULL),
        *(_valid(column, f"valid min: {least}", f"valid max: {most}") for column, (least, most) in RANGES.items()),
        *(_valid(column, f"valid regex: '{whole(text)}'") for column, text in PATTERNS.items()),
        *(_valid(column, f"valid values: [{', '.join(values)}]") for column, values in SETS.items()),
        *(f"duplicate_count({', '.join(key)}) = 0" for key in KEYS),
        _failed("order", f"{LATER} < {EARLIER}"),
        _failed("sum", f"not ({ADDS_UP})"),
        f"freshness({FRESH}) < {FRESH_DAYS}d",
        f"row_count >= {LEAST_ROWS}",
        f"values in ({REFERENCE[0]}) must exist in {REFERENCE[1]} ({REFERENCE[2]})",
    ]
    return {"results": len(_scan(spark, "lines", checks)["checks"])}


def verdicts(spark: SparkSession, rows: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """Numbers of violations: it names no row, but shows samples of them."""
    rows.createOrReplaceTempView("planted")
    countries.createOrReplaceTempView("countries")
    in_2025 = "try_cast(at as timestamp) < '2025-01-01' or try_cast(at as timestamp) >= '2026-01-01'"
    rules = {
        "not_null": "missing_count(code) = 0",
        "not_empty": _valid("code", "valid min length: 1"),
        "in_set": _valid("code", "valid values: [A, B, C]"),
        "length": _valid("note", "valid max length: 5"),
        "range": _valid("amount", "valid min: 0", "valid max: 100"),
        "pattern": _valid("email", f"valid regex: '{whole(PATTERNS['email'])}'"),
        "pattern, ^ and $": _valid("email", f"valid regex: '^{PATTERNS['email']}$'"),
        "unique": "duplicate_count(key) = 0",
        "unique_pair": "duplicate_count(part_a, part_b) = 0",
        "in_order": _failed("in_order", "not (low <= high)"),
        "timestamp": _failed("timestamp", "at is not null and try_cast(at as timestamp) is null"),
        "in_2025": _failed("in_2025", in_2025),
        "reference": "values in (country) must exist in countries (code)",
    }
    found: dict[str, Any] = {"not_nan": "no such rule", "not_blank": "no such rule"}
    for name, check in rules.items():
        results = _scan(spark, "planted", [check])["checks"]
        value = results[0]["diagnostics"].get("value") if results else None
        found[name] = "no result" if value is None else int(value)
    return found


def _scan(spark: SparkSession, view: str, checks: list[str]) -> dict[str, Any]:
    scan = Scan()
    scan.set_verbose(False)
    scan.disable_telemetry()
    scan.set_data_source_name("spark_df")
    scan.set_scan_definition_name("bench")
    scan.add_spark_session(spark, data_source_name="spark_df")
    lines = "\n".join(f"  - {check}" for check in checks)
    scan.add_sodacl_yaml_str(f"checks for {view}:\n{lines}\n")
    scan.execute()
    if scan.has_error_logs():
        raise RuntimeError(scan.get_error_logs_text()[-600:])
    found: dict[str, Any] = scan.get_scan_results()
    return found


def _valid(column: str, *limits: str) -> str:
    return "\n".join([f"invalid_count({column}) = 0:", *(f"      {limit}" for limit in limits)])


def _failed(name: str, condition: str) -> str:
    return f"failed rows:\n      name: {name}\n      fail condition: {condition}"
