"""The same checks as a good engineer writes them in plain Spark, and the floor: the rows read and written."""

import operator
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Observation, SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.quality_checks import (
    ADDS_UP,
    EARLIER,
    FRESH,
    KEYS,
    LATER,
    NOT_NULL,
    PATTERNS,
    RANGES,
    REFERENCE,
    SETS,
    whole,
)  # fmt: skip
from benchmarks.quality_process import Tables


def floor(spark: SparkSession, tables: Tables) -> None:
    """No check: read and write, laid out by a condition that costs nothing."""
    _write(tables.read(spark).withColumn("_ok", F.lit(True)), tables)


def aggregates(spark: SparkSession, tables: Tables) -> dict[str, int]:
    """Numbers of violations, nothing written: one scan for most, a narrow one for each key."""
    rows = tables.read(spark)
    known = tables.referred(spark).select(F.col(REFERENCE[2]).alias("_id")).distinct()
    rows = rows.join(F.broadcast(known), F.col(REFERENCE[0]) == F.col("_id"), "left")
    tests = _tests() | {"reference": F.col("_id").isNull() & F.col(REFERENCE[0]).isNotNull()}
    counts = [F.sum(F.when(test, 1).otherwise(0)).alias(name) for name, test in tests.items()]
    found = rows.agg(*counts, *_of_table()).collect()[0].asDict()
    for key in KEYS:
        twice = _repeated(tables.read(spark), key)
        found["_".join(key)] = twice.agg(F.sum("_rows")).collect()[0][0]
    return found


def rows_by_join(spark: SparkSession, tables: Tables) -> dict[str, int]:
    """Every row with its reasons: keys that occur twice are grouped first and joined back."""
    rows, tests = tables.read(spark), _tests()
    for number, key in enumerate(KEYS):
        twice = _repeated(rows, key).drop("_rows").withColumn(f"_twice_{number}", F.lit(True))
        rows = rows.join(F.broadcast(twice), list(key), "left")
        tests |= {"_".join(key): F.col(f"_twice_{number}").isNotNull()}
    return _marked(spark, rows, tests, tables)


def rows_by_window(spark: SparkSession, tables: Tables) -> dict[str, int]:
    """Every row with its reasons: a window for each key."""
    rows, tests = tables.read(spark), _tests()
    for number, key in enumerate(KEYS):
        rows = rows.withColumn(f"_count_{number}", F.count(F.lit(1)).over(Window.partitionBy(*key)))
        tests |= {"_".join(key): _present(key) & (F.col(f"_count_{number}") > 1)}
    return _marked(spark, rows, tests, tables)


def _marked(spark: SparkSession, rows: DataFrame, tests: dict[str, Column], tables: Tables) -> dict[str, int]:
    columns = tables.read(spark).columns
    known = tables.referred(spark).select(F.col(REFERENCE[2]).alias("_id")).distinct()
    rows = rows.join(F.broadcast(known), F.col(REFERENCE[0]) == F.col("_id"), "left")
    tests |= {"reference": F.col("_id").isNull() & F.col(REFERENCE[0]).isNotNull()}
    errors = F.array_compact(F.array(*(F.when(test, F.lit(name)) for name, test in tests.items())))
    rows = rows.select(*columns, errors.alias("_errors")).withColumn("_ok", F.size("_errors") == 0)
    seen = Observation("checks")
    counts = [F.sum(F.array_contains("_errors", name).cast("int")).alias(name) for name in tests]
    _write(rows.observe(seen, *counts, *_of_table()), tables)
    return seen.get


def _tests() -> dict[str, Column]:
    tests = {f"{column}_null": F.col(column).isNull() for column in NOT_NULL}
    tests |= {f"{column}_range": ~F.col(column).between(*bounds) for column, bounds in RANGES.items()}
    tests |= {f"{column}_pattern": ~F.col(column).rlike(whole(text)) for column, text in PATTERNS.items()}
    tests |= {f"{column}_set": ~F.col(column).isin(*values) for column, values in SETS.items()}
    return tests | {"order": F.col(LATER) < F.col(EARLIER), "sum": ~F.expr(ADDS_UP)}


def _of_table() -> tuple[Column, ...]:
    return F.count(F.lit(1)).alias("_rows"), F.max(FRESH).alias("_latest")


def _present(key: Sequence[str]) -> Column:
    return reduce(operator.and_, (F.col(column).isNotNull() for column in key))


def _repeated(rows: DataFrame, key: Sequence[str]) -> DataFrame:
    return rows.where(_present(key)).groupBy(*key).agg(F.count(F.lit(1)).alias("_rows")).where("_rows > 1")


def _write(rows: DataFrame, tables: Tables) -> None:
    rows.write.mode("overwrite").partitionBy("_ok").parquet(tables.out)
