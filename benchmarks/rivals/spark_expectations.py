"""spark-expectations: rules as rows of a table, in SQL; it writes tables of good rows, errors and statistics."""

import tempfile
from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from spark_expectations.config.user_config import Constants
from spark_expectations.core.expectations import SparkExpectations, WrappedDataFrameWriter

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

SETTINGS = {"spark.sql.warehouse.dir": tempfile.mkdtemp(prefix="lakeloop-bench-"), "spark.sql.ansi.enabled": "false"}
COLUMNS = (
    "product_id string, table_name string, rule_type string, rule string, column_name string, expectation string, "
    "action_if_failed string, tag string, description string, enable_for_source_dq_validation boolean, "
    "enable_for_target_dq_validation boolean, is_active boolean, enable_error_drop_alert boolean, "
    "error_drop_threshold int, query_dq_delimiter string, enable_querydq_custom_output boolean, priority string"
)
OFF = {
    Constants.se_notifications_enable_email: False,
    Constants.se_notifications_enable_slack: False,
    Constants.se_enable_streaming: False,
    Constants.se_enable_error_table: True,
    Constants.se_enable_obs_dq_report_result: False,
}


def rows(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """All 21 checks: those that name rows drop them into the table of errors."""
    tables.referred(spark).createOrReplaceTempView(REFERENCE[1])
    column, table, key = REFERENCE
    unknown = f"left join {table} on lines_view.{column} = {table}.{key} where {table}.{key} is null"
    rules = [
        *_lines(),
        ("agg_dq", "rows", f"count(*) >= {LEAST_ROWS}"),
        ("agg_dq", "fresh", f"max({FRESH}) >= current_timestamp() - interval {FRESH_DAYS} days"),
        ("query_dq", "reference",
         f"(select count(*) from lines_view {unknown} and lines_view.{column} is not null) = 0"),
    ]  # fmt: skip
    _run(spark, tables.read(spark), "lines", rules)
    return {"rules": len(rules)}


def verdicts(spark: SparkSession, frame: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """The planted rows in its table of errors, each rule in a run of its own."""
    found: dict[str, Any] = {"reference": "no rule for a row", "not_nan": "no such rule", "not_blank": "no such rule"}
    moment = "try_cast(at as timestamp)"
    rules = {
        "not_null": "code is not null",
        "not_empty": "code <> ''",
        "in_set": "code in ('A', 'B', 'C')",
        "length": "length(note) <= 5",
        "range": "amount between 0 and 100",
        "pattern": _like("email"),
        "pattern, ^ and $": f"email rlike r'^{PATTERNS['email']}$'",
        "unique": "count(*) over (partition by key) = 1",
        "unique_pair": "count(*) over (partition by part_a, part_b) = 1",
        "in_order": "low <= high",
        "timestamp": f"at is null or {moment} is not null",
        "in_2025": f"{moment} >= '2025-01-01' and {moment} < '2026-01-01'",
    }
    for number, (name, condition) in enumerate(rules.items()):
        try:
            _run(spark, frame, f"planted_{number}", [("row_dq", name.split(",")[0], condition)])
            errors = spark.table(f"planted_{number}_error").select("row").collect()
            found[name] = [row["row"] for row in errors]
        except Exception as error:
            found[name] = str(error).strip().splitlines()[0][:120]
    return found


def _lines() -> Iterator[tuple[str, str, str]]:
    for column in NOT_NULL:
        yield "row_dq", f"{column}_null", f"{column} is not null"
    for column, (least, most) in RANGES.items():
        yield "row_dq", f"{column}_range", f"{column} between {least} and {most}"
    for column in PATTERNS:
        yield "row_dq", f"{column}_pattern", _like(column)
    for column, values in SETS.items():
        yield "row_dq", f"{column}_set", f"{column} in {values}"
    for key in KEYS:
        yield "row_dq", "_".join(key), f"count(*) over (partition by {', '.join(key)}) = 1"
    yield "row_dq", "in_order", f"{LATER} >= {EARLIER}"
    yield "row_dq", "adds_up", ADDS_UP


def _like(column: str) -> str:
    return f"{column} rlike r'{whole(PATTERNS[column])}'"


def _run(spark: SparkSession, frame: DataFrame, table: str, rules: list[tuple[str, str, str]]) -> None:
    declared = [
        ("bench", table, kind, name, "line", condition, "drop" if kind == "row_dq" else "ignore", "validity", name,
         True, False, True, False, 0, "@", False, "medium")
        for kind, name, condition in rules
    ]  # fmt: skip
    for each in (table, f"{table}_error", "stats", "stats_detailed"):
        spark.sql(f"drop table if exists {each}")
    writer = WrappedDataFrameWriter().mode("overwrite").format("parquet")
    engine = SparkExpectations(
        product_id="bench", rules_df=spark.createDataFrame(declared, COLUMNS), stats_table="stats",
        target_and_error_table_writer=writer, stats_table_writer=writer,
    )  # fmt: skip

    @engine.with_expectations(table, write_to_table=True, user_conf=OFF, target_table_view=f"{table}_view")
    def lines() -> DataFrame:
        frame.withColumn("line", F.lit(1)).createOrReplaceTempView(f"{table}_view")
        return frame

    lines()
