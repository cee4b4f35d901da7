"""How much each source column matters to a fitted model."""

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel
from pyspark.ml.classification import (
    DecisionTreeClassificationModel,
    GBTClassificationModel,
    LogisticRegressionModel,
    RandomForestClassificationModel,
)
from pyspark.ml.regression import (
    DecisionTreeRegressionModel,
    GBTRegressionModel,
    GeneralizedLinearRegressionModel,
    LinearRegressionModel,
    RandomForestRegressionModel,
)
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.slots import SlotMap, slot_map
from lakeloop.training.spec.model import ModelSpec

TREES = (
    DecisionTreeClassificationModel,
    DecisionTreeRegressionModel,
    GBTClassificationModel,
    GBTRegressionModel,
    RandomForestClassificationModel,
    RandomForestRegressionModel,
)


LINEAR = (LogisticRegressionModel, LinearRegressionModel, GeneralizedLinearRegressionModel)


def feature_importance(spec: ModelSpec, model: PipelineModel, rows: DataFrame | None = None) -> dict[str, float]:
    """Share of each source column, largest first, summing to 1; all 0 where the model uses no column.

    For trees Spark's impurity importance; for linear models |coefficient| times the slot's standard deviation, which is
    1 by default. Where `features.scale` is not standard it is measured on `rows` of the table, in one pass. Slots are
    added up per column as `SlotMap` says: one-hot slots wholly, a product in equal parts for its columns, and component
    j as |loading| * weight_j.
    """
    slots = slot_map(spec, model)
    weights = _weights(spec, model, slots, rows)
    columns = weights @ slots.shares
    shares = columns / (columns.sum() or 1.0)
    return dict(sorted(zip(slots.columns, shares.tolist(), strict=True), key=lambda item: -item[1]))


def _weights(spec: ModelSpec, model: PipelineModel, slots: SlotMap, rows: DataFrame | None) -> NDArray[np.float64]:
    """How much the model uses each slot of its vector."""
    last = model.stages[-1]
    if isinstance(last, TREES):
        return np.asarray(last.featureImportances.toArray(), dtype=np.float64)
    if not isinstance(last, LINEAR):
        raise TrainingError(f"no importance is defined for {type(last).__name__}, the last stage of this model")
    weights = np.abs(last.coefficients.toArray())
    if slots.deviations is not None:
        return np.asarray(weights * slots.deviations, dtype=np.float64)
    if spec.features.scale == "standard":
        return np.asarray(weights, dtype=np.float64)
    if rows is None:
        raise TrainingError(
            f"model {spec.model}: coefficients of slots that are scaled {spec.features.scale} do not compare by "
            "themselves; give rows of the table to measure how much the slots vary"
        )
    vectors = PipelineModel(model.stages[:-1]).transform(rows)
    deviations = vectors.select(Summarizer.std(F.col(last.getFeaturesCol()))).collect()[0][0].toArray()
    return np.asarray(weights * deviations, dtype=np.float64)
