"""The champion's answer for every row of a frame: by the pipeline that Spark fitted, or by the archive of it."""

from collections.abc import Sequence

from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.enrichment.arrow_scoring import PREDICTION, PROBABILITY, with_answers
from lakeloop.training.spec.model import ModelSpec


def score_rows(model: PipelineModel, rows: DataFrame, spec: ModelSpec, version: int, run: RunContext) -> DataFrame:
    """One row per key: what the model says, and which one said so when.

    For classes `probability` of the positive one in [0, 1] and `is_positive` at the threshold that the model carries,
    for a regression `prediction`.
    """
    answered = model.transform(rows.select(spec.key, *spec.features.columns))
    if spec.task == "regression":
        return _told(answered, [F.col("prediction")], spec, version, run)
    probability = vector_to_array(F.col("probability"))[1]
    return _told(answered, _of_classes(probability, F.col("prediction")), spec, version, run)


def score_rows_by_archive(archive: bytes, rows: DataFrame, spec: ModelSpec, version: int, run: RunContext) -> DataFrame:
    """The same columns and answers as `score_rows`, from the archive of the version; `rows` may be a stream.

    The key passes through, NULL or not, and so does every duplicate.
    """
    answered = with_answers(rows.select(spec.key, *spec.features.columns), archive)
    if spec.task == "regression":
        return _told(answered, [F.col(PREDICTION).alias("prediction")], spec, version, run)
    return _told(answered, _of_classes(F.col(PROBABILITY), F.col(PREDICTION)), spec, version, run)


def _of_classes(probability: Column, prediction: Column) -> list[Column]:
    return [probability.alias("probability"), (prediction == 1).alias("is_positive")]


def _told(answered: DataFrame, said: Sequence[Column], spec: ModelSpec, version: int, run: RunContext) -> DataFrame:
    return answered.select(
        spec.key,
        *said,
        F.lit(spec.model).alias("model"),
        F.lit(version).alias("model_version"),
        F.lit(run.run_id).alias("run_id"),
        F.lit(now()).alias("scored_at"),
    )
