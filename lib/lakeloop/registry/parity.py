"""Whether a scorer says what Spark says, on rows made to part the two."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StructField, StructType

from lakeloop.scoring.scorer import Scorer

TOLERANCE = 1e-9
ROW_BY_ROW = 2_000


@dataclass(frozen=True)
class Parity:
    """What was found on `rows` rows: labels that differ, and the largest difference of a number.

    Numbers are probabilities, or of a regression predictions, whose difference is taken relative to their size where
    that is above 1. `examples` are up to five rows that differ, with both answers.
    """

    rows: int
    labels_apart: int
    numbers_apart: float
    examples: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the scorer may answer in Spark's place."""
        return self.labels_apart == 0 and self.numbers_apart <= TOLERANCE


def check_parity(model: PipelineModel, scorer: Scorer, schema: StructType, rows: Sequence[dict[str, Any]]) -> Parity:
    """Score rows by Spark, by the scorer as a table, and up to 2,000 of them one by one with columns turned round.

    `rows` are those of a `corpus`, `schema` is that of the features as they were read for training. One Spark job.
    """
    spark_labels, spark_numbers = _by_spark(model, scorer, schema, rows)
    many = scorer.score_many(rows)
    numbers = many.predictions if many.probabilities is None else many.probabilities[:, 1]
    wrong = _apart(spark_labels, spark_numbers, many.predictions, numbers, scorer)
    step = max(1, len(rows) // ROW_BY_ROW)
    tried = range(0, len(rows), step)
    # What is None may as well be left out.
    turned = ({n: v for n, v in reversed(rows[at].items()) if v is not None or at % 2} for at in tried)
    answers = [scorer.score(row) for row in turned]
    labels, shares = zip(*((label, label if share is None else share) for label, share in answers), strict=True)
    beside = _apart(spark_labels[::step], spark_numbers[::step], np.array(labels), np.array(shares), scorer)
    wrong[0][::step] |= beside[0]
    wrong[1][::step] = np.maximum(wrong[1][::step], beside[1])
    is_wrong = wrong[0] | (wrong[1] > TOLERANCE)
    examples = [
        f"{ {name: value for name, value in rows[at].items() if value is not None} }: Spark says "
        f"{spark_labels[at]} ({spark_numbers[at]}), the scorer {many.predictions[at]} ({numbers[at]})"
        for at in np.flatnonzero(is_wrong)[:5]
    ]
    return Parity(len(rows), int(wrong[0].sum()), float(wrong[1].max(initial=0.0)), tuple(examples))


def _apart(labels: Any, numbers: Any, other_labels: Any, other_numbers: Any, scorer: Scorer) -> tuple[Any, Any]:
    """By row whether the labels differ, and how far the numbers are apart; NaN and an infinity are as themselves."""
    differ = labels != other_labels if scorer.task != "regression" else np.zeros(len(labels), dtype=bool)
    with np.errstate(invalid="ignore"):
        apart = np.abs(numbers - other_numbers) / np.maximum(np.abs(numbers), 1.0)
    same = (numbers == other_numbers) | (np.isnan(numbers) & np.isnan(other_numbers))
    return differ, np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf))


def _by_spark(
    model: PipelineModel, scorer: Scorer, schema: StructType, rows: Sequence[dict[str, Any]]
) -> tuple[Any, Any]:
    spark = SparkSession.getActiveSession()
    assert spark is not None
    wanted = StructType([StructField(name, schema[name].dataType) for name in scorer.columns])
    listed = [(at, *(row[field.name] for field in wanted)) for at, row in enumerate(rows)]
    frame: DataFrame = spark.createDataFrame(
        listed, StructType([StructField("_row", IntegerType()), *wanted])
    ).coalesce(1)
    answered = model.transform(frame)
    number = F.col("prediction") if scorer.task == "regression" else vector_to_array(F.col("probability"))[1]
    found = answered.select("_row", F.col("prediction").cast("double"), number.alias("number")).toPandas()
    found = found.sort_values("_row")
    return found["prediction"].to_numpy(), found["number"].to_numpy()
