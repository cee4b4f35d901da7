"""databricks-labs-dqx: rules on rows and on data sets as columns; its engine wants a workspace client, here a mock."""

from typing import Any
from unittest.mock import create_autospec

from databricks.labs.dqx import check_funcs
from databricks.labs.dqx.engine import DQEngine
from databricks.labs.dqx.metrics_observer import DQMetricsObserver
from databricks.labs.dqx.rule import DQDatasetRule, DQRowRule, DQRule
from databricks.sdk import WorkspaceClient
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
    REFERENCE,
    SETS,
    whole,
)  # fmt: skip
from benchmarks.quality_process import Tables

# DQX reads a bare text as the name of a column: a set of texts must be one of literals.


def annotate(spark: SparkSession, tables: Tables) -> None:
    """Rows with `_errors`, one write."""
    marked = _engine(spark).apply_checks(tables.read(spark), _checks(), ref_dfs=_referred(spark, tables))
    ok = F.col("_errors").isNull()
    marked.withColumn("_ok", ok).write.mode("overwrite").partitionBy("_ok").parquet(tables.out)


def split(spark: SparkSession, tables: Tables) -> Any:
    """Good rows and quarantine, two writes, and the metrics that it observes."""
    engine = _engine(spark, DQMetricsObserver())
    good, bad, seen = engine.apply_checks_and_split(tables.read(spark), _checks(), ref_dfs=_referred(spark, tables))
    good.write.mode("overwrite").parquet(f"{tables.out}/good")
    bad.write.mode("overwrite").parquet(f"{tables.out}/bad")
    return len(seen.get)


def verdicts(spark: SparkSession, rows: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """The planted rows that each rule finds; a set of bare texts, as its users write one, under a name of its own."""
    rules = [
        _row("not_null", check_funcs.is_not_null, "code"),
        _row("not_empty", check_funcs.is_not_empty, "code"),
        _row("in_set", check_funcs.is_in_list, "code", allowed=[F.lit(code) for code in "ABC"]),
        _row("not_blank", check_funcs.is_not_null_and_not_empty, "note", trim_strings=True),
        _sql("length", "length(note) <= 5"),
        _row("range", check_funcs.is_in_range, "amount", min_limit=0, max_limit=100),
        _row("pattern", check_funcs.regex_match, "email", regex=whole(PATTERNS["email"])),
        _row("pattern, ^ and $", check_funcs.regex_match, "email", regex=f"^{PATTERNS['email']}$"),
        _dataset("unique", check_funcs.is_unique, columns=["key"]),
        _dataset("unique_pair", check_funcs.is_unique, columns=["part_a", "part_b"]),
        _sql("in_order", "low <= high"),
        _row("timestamp", check_funcs.is_valid_timestamp, "at"),
        _dataset("reference", check_funcs.foreign_key, columns=["country"],
                 check_func_kwargs={"ref_columns": ["code"], "ref_df_name": "countries"}),
        _sql("in_2025", "try_cast(at as timestamp) >= '2025-01-01' and try_cast(at as timestamp) < '2026-01-01'"),
    ]  # fmt: skip
    found = _found(spark, rows, rules, {"countries": countries})
    bare = _row("in_set, bare texts", check_funcs.is_in_list, "code", allowed=["A", "B"])
    try:
        found |= _found(spark, rows, [bare], {})
    except Exception as error:
        found["in_set, bare texts"] = str(error).splitlines()[0]
    return found | {"not_nan": "no such rule"}


def _found(spark: SparkSession, rows: DataFrame, rules: list[DQRule], referred: dict[str, DataFrame]) -> dict[str, Any]:
    marked = _engine(spark).apply_checks(rows, rules, ref_dfs=referred)
    errors = marked.select("row", F.explode("_errors").alias("error")).select("row", "error.name").collect()
    return {rule.name: [row["row"] for row in errors if row["name"] == rule.name] for rule in rules}


def _engine(spark: SparkSession, observer: DQMetricsObserver | None = None) -> DQEngine:
    client = create_autospec(WorkspaceClient)
    client.config.product_info = ("dqx", "0")
    return DQEngine(client, spark=spark, observer=observer)


def _checks() -> list[DQRule]:
    table, key = REFERENCE[1], {"ref_columns": [REFERENCE[2]], "ref_df_name": REFERENCE[1]}
    return [
        *(_row(f"{column}_null", check_funcs.is_not_null, column) for column in NOT_NULL),
        *(
            _row(f"{column}_range", check_funcs.is_in_range, column, min_limit=least, max_limit=most)
            for column, (least, most) in RANGES.items()
        ),
        *(_row(f"{column}_pattern", check_funcs.regex_match, column, regex=whole(text))
          for column, text in PATTERNS.items()),
        *(
            _row(f"{column}_set", check_funcs.is_in_list, column, allowed=[F.lit(value) for value in values])
            for column, values in SETS.items()
        ),
        *(_dataset("_".join(columns), check_funcs.is_unique, columns=list(columns)) for columns in KEYS),
        _sql("order", f"{LATER} >= {EARLIER}"),
        _sql("sum", ADDS_UP),
        _dataset("fresh", check_funcs.is_aggr_not_less_than, column=FRESH, check_func_kwargs=_recent()),
        _dataset("rows", check_funcs.is_aggr_not_less_than, column="*",
                 check_func_kwargs={"limit": LEAST_ROWS, "aggr_type": "count"}),
        _dataset(table, check_funcs.foreign_key, columns=[REFERENCE[0]], check_func_kwargs=key),
    ]  # fmt: skip


def _recent() -> dict[str, Any]:
    return {"limit": F.expr(f"current_timestamp() - interval {FRESH_DAYS} days"), "aggr_type": "max"}


def _row(name: str, function: Any, column: str, **arguments: Any) -> DQRule:
    return DQRowRule(name=name, check_func=function, column=column, check_func_kwargs=arguments)


def _sql(name: str, condition: str) -> DQRule:
    return DQRowRule(name=name, check_func=check_funcs.sql_expression, check_func_kwargs={"expression": condition})


def _dataset(name: str, function: Any, **arguments: Any) -> DQRule:
    return DQDatasetRule(name=name, check_func=function, **arguments)


def _referred(spark: SparkSession, tables: Tables) -> dict[str, DataFrame]:
    return {REFERENCE[1]: tables.referred(spark)}
