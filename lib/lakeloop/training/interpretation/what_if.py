"""What a fitted model would say of rows that are not: some columns of one row, the rest of another.

Every method here asks a model many such questions. They are put as rows of one frame, so that a model answers all of
them in one pass, whatever its stages are.
"""

from collections.abc import Callable, Sequence

from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.spec.model import ModelSpec

SCORE = "_score"
RANK = "_rank"


def scored(spec: ModelSpec, model: PipelineModel, rows: DataFrame) -> DataFrame:
    """`rows` with `_score`: the probability of the positive class, or the predicted number."""
    answered = model.transform(rows)
    said = F.col("prediction") if spec.task == "regression" else vector_to_array(F.col("probability"))[1]
    return answered.select(*rows.columns, said.alias(SCORE))


def sample_of(spec: ModelSpec, rows: DataFrame, count: int, seed: int, *, keep: Sequence[Column] = ()) -> DataFrame:
    """At most `count` rows with key, features, `keep` and `_rank`, 0 to n - 1; the same for a seed on any partitioning.

    Raises TrainingError where there is no row.
    """
    drawn = rows.orderBy(F.xxhash64(F.lit(seed), F.col(spec.key).cast("string")), spec.key).limit(count)
    # Few rows, so that one task may number them.
    sampled = drawn.coalesce(1).select(
        F.monotonically_increasing_id().alias(RANK), spec.key, *spec.features.columns, *keep
    )
    if sampled.isEmpty():
        raise TrainingError(f"model {spec.model}: nothing to explain, the table has no rows; load {spec.table} first")
    return sampled


def mixed(columns: Sequence[str], takes: Callable[[str], Column], one: str, other: str) -> list[Column]:
    """Each of `columns` from the struct `one` where `takes` says so, else from the struct `other`."""
    return [
        F.when(takes(name), F.col(f"{one}.`{name}`")).otherwise(F.col(f"{other}.`{name}`")).alias(name)
        for name in columns
    ]
