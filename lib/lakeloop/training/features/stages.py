"""From the raw table to one vector per row, with Spark ML's own stages only.

What a missing value means: in a numeric column NULL, NaN and ±infinity are missing and take the median or mean of the
rows the stages were fitted on. In a categorical column NULL is a category like any other, named `NULL` and shared with
the empty string, which Spark's encoder refuses, and with that very text. A category that was not there at fitting time
has no slot: all slots of the column are 0.
"""

from typing import Any

from pyspark.ml import Estimator, Transformer
from pyspark.ml.feature import (
    PCA,
    Imputer,
    OneHotEncoder,
    SQLTransformer,
    StandardScaler,
    StringIndexer,
    VectorAssembler,
)
from pyspark.sql.types import BooleanType, NumericType, StructType

from lakeloop.core.documents import propose
from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import FEATURES_COL, Space
from lakeloop.training.spec.model import ModelSpec

Stage = Estimator[Any] | Transformer


def feature_stages(spec: ModelSpec, schema: StructType, on: Space = "features") -> list[Stage]:
    """Unfitted stages from a table of this schema to the vector column `features`, or further to `features_pca`.

    `features` holds one slot per numeric column, then one per category in alphabetical order; each slot has unit
    sample variance and is not centred, so that one-hot slots stay sparse (a constant slot becomes 0). Intermediate
    columns are named `<column>__number`, `__filled`, `__category`, `__index` and `__slots`.
    Raises TrainingError as `check_columns` does.
    """
    check_columns(spec, schema)
    numeric, categorical = spec.features.numeric, spec.features.categorical
    stages: list[Stage] = [SQLTransformer(statement=_conformed(numeric, categorical))]
    if numeric:
        stages.append(
            Imputer(
                strategy=spec.features.impute, inputCols=_named(numeric, "number"), outputCols=_named(numeric, "filled")
            )
        )
    if categorical:
        index, slots = _named(categorical, "index"), _named(categorical, "slots")
        # `keep` puts unseen categories last, and dropping the last slot makes them all zeros.
        stages += [
            StringIndexer(
                inputCols=_named(categorical, "category"),
                outputCols=index,
                handleInvalid="keep",
                stringOrderType="alphabetAsc",
            ),
            OneHotEncoder(inputCols=index, outputCols=slots, dropLast=True),
        ]
    stages += [
        VectorAssembler(inputCols=_named(numeric, "filled") + _named(categorical, "slots"), outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol=FEATURES_COL["features"], withMean=False, withStd=True),
    ]
    if on == "pca" and spec.features.pca is not None:
        stages.append(
            PCA(k=spec.features.pca.components, inputCol=FEATURES_COL["features"], outputCol=FEATURES_COL["pca"])
        )
    return stages


def _named(columns: tuple[str, ...], suffix: str) -> list[str]:
    return [f"{column}__{suffix}" for column in columns]


def _conformed(numeric: tuple[str, ...], categorical: tuple[str, ...]) -> str:
    # NaN compares greater than every number in Spark, so one comparison catches NaN and both infinities.
    numbers = [
        f"CASE WHEN abs(CAST(`{column}` AS DOUBLE)) < CAST('Infinity' AS DOUBLE) "
        f"THEN CAST(`{column}` AS DOUBLE) END AS `{column}__number`"
        for column in numeric
    ]
    categories = [
        f"coalesce(nullif(CAST(`{column}` AS STRING), ''), 'NULL') AS `{column}__category`" for column in categorical
    ]
    return f"SELECT *, {', '.join(numbers + categories)} FROM __THIS__"


def check_columns(spec: ModelSpec, schema: StructType) -> None:
    """Raise TrainingError for a feature that the table lacks, or that `numeric` names but is no number or boolean."""
    for column in spec.features.columns:
        if column not in schema.names:
            raise TrainingError(
                f"model {spec.model}: table {spec.table} has no column '{column}'; {propose(column, schema.names)}"
            )
    for column in spec.features.numeric:
        found = schema[column].dataType
        if not isinstance(found, NumericType | BooleanType):
            raise TrainingError(
                f"model {spec.model}: numeric feature '{column}' of {spec.table} is {found.simpleString()}; "
                "cast it in the pipeline or declare it under categorical"
            )
