"""What must hold of a table before a model is trained on it, found out in two Spark jobs."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.core.errors import TrainingError
from lakeloop.training.features import check_columns
from lakeloop.training.spec import ModelSpec


@dataclass(frozen=True)
class Census:
    """Rows of the table and how many of them are positive."""

    rows: int
    positives: int


def take_census(spec: ModelSpec, frame: DataFrame) -> Census:
    """Count rows and classes.

    Raises TrainingError for a missing column, a numeric feature of another type, a NULL label, a label without exactly
    two values, too few rows of a class to fill the test set and every fold, a NULL or repeated key, and a numeric
    feature without a finite value.
    """
    check_columns(spec, frame.schema)
    for column in (spec.key, spec.label.column):
        if column not in frame.columns:
            raise TrainingError(
                f"model {spec.model}: table {spec.table} has no column '{column}'; {propose(column, frame.columns)}"
            )
    classes = _count_classes(spec, frame)
    rows = sum(classes.values())
    _check_values(spec, frame, rows)
    return Census(rows, classes[spec.label.positive_text])


def _count_classes(spec: ModelSpec, frame: DataFrame) -> dict[str, int]:
    label = spec.label.column
    counted = frame.groupBy(F.col(label).cast("string").alias("value")).count()
    found = {row["value"]: row["count"] for row in counted.orderBy(F.desc_nulls_first("value")).limit(10).collect()}
    where = f"model {spec.model}: label '{label}' of {spec.table}"
    if None in found:
        raise TrainingError(f"{where} is NULL in {found[None]} rows; quarantine them with a rule is_not_null: {label}")
    if len(found) != 2 or spec.label.positive_text not in found:
        values = ", ".join(f"'{value}' ({rows} rows)" for value, rows in sorted(found.items())) or "no row"
        raise TrainingError(
            f"{where} must have two values, one of them '{spec.label.positive_text}'; found {values}; "
            "mend label.positive or the table"
        )
    for value, rows in found.items():
        held_out = int(rows * spec.split.test + 0.5)
        if not held_out or rows - held_out < spec.folds.count:
            raise TrainingError(
                f"{where} has {rows} rows of '{value}': too few for split.test {spec.split.test} and "
                f"{spec.folds.count} folds; lower folds.count or collect more rows"
            )
    return found


def _check_values(spec: ModelSpec, frame: DataFrame, rows: int) -> None:
    finite = [
        F.count(F.when(F.abs(F.col(column).cast("double")) < float("inf"), 1)).alias(column)
        for column in spec.features.numeric
    ]
    by_key = frame.groupBy(spec.key).agg(F.count("*").alias("_rows"), *finite)
    sums = [F.sum(column).alias(column) for column in spec.features.numeric]
    found = by_key.agg(F.count(spec.key).alias("_keys"), *sums).collect()[0]
    if found["_keys"] < rows:
        raise TrainingError(
            f"model {spec.model}: '{spec.key}' is NULL or repeated in {rows - found['_keys']} of {rows} rows of "
            f"{spec.table}; a customer in both train and test would flatter the model: add a rule is_unique: {spec.key}"
        )
    empty = [column for column in spec.features.numeric if not found[column]]
    if empty:
        raise TrainingError(
            f"model {spec.model}: numeric features without a single finite value in {spec.table}: {', '.join(empty)}; "
            "take them out of features.numeric or fill the table"
        )
