"""An estimator that learns the logarithm of a number, its model answering in the unit of the number."""

from collections.abc import Sequence
from typing import Any, Literal

from pyspark.ml import Estimator, PipelineModel, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.ml.param.shared import HasFeaturesCol, HasLabelCol
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

Learn = Literal["log"]
LOG_COL, LOG_PREDICTION_COL = "_label_log", "prediction__log"
BACK = f"SELECT *, exp({LOG_PREDICTION_COL}) AS prediction FROM __THIS__"


class LogLabelled(Estimator[PipelineModel], HasFeaturesCol, HasLabelCol):
    """Fits another estimator to ln(label), for numbers above 0 whose errors are shares of them, such as prices.

    Its model is that of the other one, which says `prediction__log`, and a stage `prediction` = exp of it: both Spark's
    own, so that they save and load as such. There is no correction of the way back: where errors of the logarithm are
    symmetric, the answer is the median of what such rows have, which is below their mean (Duan 1983, "Smearing
    Estimate", has a factor for the mean).
    """

    def __init__(self, estimator: Estimator[Any]) -> None:
        super().__init__()
        self.estimator = estimator
        self._set(**{name: estimator.getOrDefault(name) for name in ("featuresCol", "labelCol")})

    def _fit(self, dataset: DataFrame) -> PipelineModel:
        columns = {"labelCol": LOG_COL, "predictionCol": LOG_PREDICTION_COL}
        learner = self.estimator.copy({self.estimator.getParam(name): column for name, column in columns.items()})
        model = learner.fit(dataset.withColumn(LOG_COL, F.ln(self.getLabelCol())))
        return PipelineModel([model, SQLTransformer(statement=BACK)])


def learns_log(stages: Sequence[Transformer]) -> bool:
    """Whether the last of these fitted stages is the way back from a logarithm."""
    return isinstance(stages[-1], SQLTransformer) and stages[-1].getStatement() == BACK


def learner_of(stages: Sequence[Transformer]) -> Transformer:
    """The stage that was fitted to the label, where a model has not decided yet: the last one, or the one before."""
    return stages[-2] if learns_log(stages) else stages[-1]
