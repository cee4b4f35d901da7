"""Batch scores: the champion's answer for every row of its table."""

from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.run_record import RunContext, now
from lakeloop.training.spec.model import ModelSpec


def score_rows(model: PipelineModel, rows: DataFrame, spec: ModelSpec, version: int, run: RunContext) -> DataFrame:
    """One row per key: what the model says, and which one said so when.

    For classes `probability` of the positive one in [0, 1] and `is_positive` at the threshold that the model carries,
    for a regression `prediction`.
    """
    answered = model.transform(rows.select(spec.key, *spec.features.columns))
    if spec.task == "regression":
        said = [F.col("prediction")]
    else:
        probability = vector_to_array(F.col("probability"))[1].alias("probability")
        said = [probability, (F.col("prediction") == 1).alias("is_positive")]
    return answered.select(
        spec.key,
        *said,
        F.lit(spec.model).alias("model"),
        F.lit(version).alias("model_version"),
        F.lit(run.run_id).alias("run_id"),
        F.lit(now()).alias("scored_at"),
    )
