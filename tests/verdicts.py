"""Row rules on literal values: what a rule says of each."""

from typing import Any

from pyspark.sql import Column, SparkSession


def messages(spark: SparkSession, columns: str, rows: list[Any], violation: Column) -> list[str | None]:
    """The message of each row, `None` where the rule holds. One column is called `a`; several are a DDL schema."""
    is_one = " " not in columns.replace(", ", ",").split("(")[0].split("<")[0]
    schema = f"a {columns}" if is_one else columns
    frame = spark.createDataFrame([(row,) if is_one else row for row in rows], schema).coalesce(1)
    return [row[0] for row in frame.select(violation).collect()]


def violating(spark: SparkSession, columns: str, rows: list[Any], violation: Column) -> list[Any]:
    """The rows that violate a rule, in their order."""
    said = messages(spark, columns, rows, violation)
    return [row for row, message in zip(rows, said, strict=True) if message is not None]
