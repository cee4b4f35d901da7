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
from pyspark.ml.feature import PCAModel, StringIndexerModel
from pyspark.ml.regression import (
    DecisionTreeRegressionModel,
    GBTRegressionModel,
    GeneralizedLinearRegressionModel,
    LinearRegressionModel,
    RandomForestRegressionModel,
)

from lakeloop.core.errors import TrainingError
from lakeloop.training.spec.model import ModelSpec

TREES = (
    DecisionTreeClassificationModel,
    DecisionTreeRegressionModel,
    GBTClassificationModel,
    GBTRegressionModel,
    RandomForestClassificationModel,
    RandomForestRegressionModel,
)


def feature_importance(spec: ModelSpec, model: PipelineModel) -> dict[str, float]:
    """Share of each source column, largest first, summing to 1; all 0 where the model uses no column.

    For trees Spark's impurity importance, for linear models |coefficient|, which compares because all slots have
    unit variance. One-hot slots are added up per column. With PCA, component j counts |loading| * weight_j, where a
    coefficient is first multiplied by the component's standard deviation.
    """
    slots = _per_slot(model)
    widths = [1] * len(spec.features.numeric)
    for stage in model.stages:
        if isinstance(stage, StringIndexerModel):
            widths += [len(labels) for labels in stage.labelsArray]
    ends = np.cumsum(widths)
    columns = np.array([part.sum() for part in np.split(slots, ends[:-1])])
    shares = columns / (columns.sum() or 1.0)
    return dict(sorted(zip(spec.features.columns, shares.tolist(), strict=True), key=lambda item: -item[1]))


def _per_slot(model: PipelineModel) -> NDArray[np.float64]:
    last = model.stages[-1]
    components = [stage for stage in model.stages if isinstance(stage, PCAModel)]
    if isinstance(last, TREES):
        weights = last.featureImportances.toArray()
    elif isinstance(last, LogisticRegressionModel | LinearRegressionModel | GeneralizedLinearRegressionModel):
        weights = np.abs(last.coefficients.toArray())
        for pca in components:
            weights = weights * np.sqrt(pca.explainedVariance.toArray())
    else:
        raise TrainingError(f"no importance is defined for {type(last).__name__}, the last stage of this model")
    for pca in components:
        weights = np.abs(pca.pc.toArray()) @ weights
    return np.asarray(weights, dtype=np.float64)
