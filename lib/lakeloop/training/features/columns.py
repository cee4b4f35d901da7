"""Whether a table has the columns that a model looks at, of types that can be what they are declared as."""

from pyspark.sql.types import (
    BooleanType,
    DateType,
    NumericType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from lakeloop.core.documents import propose
from lakeloop.core.errors import TrainingError
from lakeloop.training.spec.model import ModelSpec


def check_columns(spec: ModelSpec, schema: StructType) -> None:
    """Raise TrainingError for a feature that the table lacks or that is of a type other than its place says.

    A numeric feature is a number or a boolean, a text a string, a date and a column of `age_at` a date or a timestamp,
    and only a timestamp has hours.
    """
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
    for column in spec.features.text:
        found = schema[column].dataType
        if not isinstance(found, StringType):
            raise TrainingError(
                f"model {spec.model}: text '{column}' of {spec.table} is {found.simpleString()} and not a string; "
                "declare it under numeric or categorical, or cast it in the pipeline"
            )
    parts = spec.features.date_parts
    for column in (*parts, *([spec.features.age_at] if isinstance(spec.features.age_at, str) else [])):
        found = schema[column].dataType
        if not isinstance(found, DateType | TimestampType | TimestampNTZType):
            raise TrainingError(
                f"model {spec.model}: '{column}' of {spec.table} is {found.simpleString()} and not a date or a "
                "timestamp; cast it in the pipeline"
            )
        if isinstance(found, DateType) and "hour" in parts.get(column, ()):
            raise TrainingError(
                f"model {spec.model}: '{column}' of {spec.table} is a date, which has no hour; take hour out of "
                f"dates.{column}"
            )
