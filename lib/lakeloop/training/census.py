"""What must hold of a table before a model is trained on it, found out in two Spark jobs, and one for slices."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from lakeloop.core.documents import propose
from lakeloop.core.errors import TrainingError
from lakeloop.training.features.columns import check_columns
from lakeloop.training.metrics.slicing import MAX_VALUES
from lakeloop.training.spec.model import ModelSpec


@dataclass(frozen=True)
class Census:
    """Rows of the table and how many of them are positive, 0 for a regression."""

    rows: int
    positives: int


def take_census(spec: ModelSpec, frame: DataFrame) -> Census:
    """Count rows and classes.

    Raises TrainingError for a missing column, a numeric feature of another type, a NULL label, a label without exactly
    two values, too few rows of a class to fill the test set and every fold, numbers to predict that are of another
    type, not finite, all the same, or not above 0 where a candidate learns their logarithm, a NULL or repeated key, a
    numeric feature without a finite value, and a column of slices with too many values.
    """
    check_columns(spec, frame.schema)
    for column in (spec.key, spec.label.column, spec.split.by, spec.folds.by, *spec.slices):
        if column is not None and column not in frame.columns:
            raise TrainingError(
                f"model {spec.model}: table {spec.table} has no column '{column}'; {propose(column, frame.columns)}"
            )
    if spec.task == "regression":
        census = Census(_count_numbers(spec, frame), 0)
    else:
        classes = _count_classes(spec, frame)
        census = Census(sum(classes.values()), classes[spec.label.positive_text])
    _check_values(spec, frame, census.rows)
    _check_slices(spec, frame)
    return census


def _count_numbers(spec: ModelSpec, frame: DataFrame) -> int:
    label = spec.label.column
    where, kind = f"model {spec.model}: label '{label}' of {spec.table}", frame.schema[label].dataType
    if not isinstance(kind, NumericType):
        raise TrainingError(f"{where} is {kind.simpleString()}; a regression needs a number: cast it in the pipeline")
    number = F.col(label).cast("double")
    finite = F.when(F.abs(number) < float("inf"), number)
    found = frame.agg(
        F.count("*").alias("rows"),
        F.count(finite).alias("finite"),
        F.min(finite).alias("least"),
        F.max(finite).alias("most"),
        F.count(F.when(finite <= 0, 1)).alias("without_log"),
    ).collect()[0]
    if found["finite"] < found["rows"]:
        raise TrainingError(
            f"{where} is NULL, NaN or infinite in {found['rows'] - found['finite']} of {found['rows']} rows; "
            f"quarantine them with rules is_not_null and is_in_range on {label}"
        )
    logs = [candidate.algorithm for candidate in spec.candidates if candidate.learn == "log"]
    if logs and found["without_log"]:
        raise TrainingError(
            f"{where} is 0 or less in {found['without_log']} of {found['rows']} rows, the least being "
            f"{found['least']:g}, and has no logarithm there; take `learn: log` of {logs[0]} out, or quarantine them "
            f"with a rule is_in_range on {label}"
        )
    if found["least"] == found["most"]:
        raise TrainingError(f"{where} must have numbers that differ; found {found['rows']} rows of {found['least']}")
    return int(found["rows"])


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
        is_too_small = spec.stratifies(spec.split) and not held_out
        outer = spec.folds.nested
        trains = rows - held_out if outer is None else (rows - held_out) * (outer - 1) // outer
        if is_too_small or (spec.stratifies(spec.folds) and trains < spec.folds.count):
            nested = f" within {outer} outer ones" if outer else ""
            raise TrainingError(
                f"{where} has {rows} rows of '{value}': too few for split.test {spec.split.test} and "
                f"{spec.folds.count} folds{nested}; lower folds.count or collect more rows"
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


def _check_slices(spec: ModelSpec, frame: DataFrame) -> None:
    if not spec.slices:
        return
    counts = [F.count_distinct(F.col(column).cast("string")).alias(column) for column in spec.slices]
    found = frame.agg(*counts).collect()[0]
    for column in spec.slices:
        if found[column] > MAX_VALUES:
            raise TrainingError(
                f"model {spec.model}: slices column '{column}' of {spec.table} has {found[column]:,} values, at most "
                f"{MAX_VALUES} can be compared; group them in the query that makes the table, or take it out of slices"
            )
