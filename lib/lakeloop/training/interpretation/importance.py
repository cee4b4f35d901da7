"""How much each source column matters to a fitted model."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel
from pyspark.ml.classification import (
    DecisionTreeClassificationModel,
    GBTClassificationModel,
    LinearSVCModel,
    LogisticRegressionModel,
    MultilayerPerceptronClassificationModel,
    NaiveBayesModel,
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
LINEAR = (LogisticRegressionModel, LinearRegressionModel, GeneralizedLinearRegressionModel, LinearSVCModel)


def feature_importance(spec: ModelSpec, model: PipelineModel) -> dict[str, float]:
    """Share of each source column, largest first, summing to 1; all 0 where the model uses no column.

    For trees Spark's impurity importance and for XGBoost its gain, for linear models |coefficient|, which compares
    because all slots have unit variance, for a perceptron the sum over all paths of the products of |weight| (after
    Garson 1991), for Gaussian naive Bayes the distance of the class means in standard deviations. One-hot slots are
    added up per column. With PCA, component j counts |loading| * weight_j, where a coefficient or path is first
    multiplied by the component's standard deviation.
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
    last: Any = model.stages[-1]
    components = [stage for stage in model.stages if isinstance(stage, PCAModel)]
    if isinstance(last, TREES):
        weights = last.featureImportances.toArray()
    elif isinstance(last, (*LINEAR, MultilayerPerceptronClassificationModel)):
        weights = np.abs(last.coefficients.toArray()) if isinstance(last, LINEAR) else _paths(last)
        for pca in components:
            weights = weights * np.sqrt(pca.explainedVariance.toArray())
    elif isinstance(last, NaiveBayesModel):
        means, variances = last.theta.toArray(), last.sigma.toArray()
        weights = np.abs(means[1] - means[0]) / np.sqrt(variances.mean(axis=0))
    elif hasattr(last, "get_feature_importances"):
        gains = last.get_feature_importances(importance_type="total_gain")
        weights = np.array([gains.get(f"f{slot}", 0.0) for slot in range(last.get_booster().num_features())])
    else:
        raise TrainingError(f"no importance is defined for {type(last).__name__}, the last stage of this model")
    for pca in components:
        weights = np.abs(pca.pc.toArray()) @ weights
    return np.asarray(weights, dtype=np.float64)


def perceptron_layers(
    perceptron: MultilayerPerceptronClassificationModel,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Weights, of shape (units, units of the layer before), and intercepts of each layer but the first."""
    flat, at, layers = perceptron.weights.toArray(), 0, []
    for size, following in pairwise(perceptron.getLayers()):
        end = at + size * following  # Spark keeps a layer's weights column by column, then its intercepts
        layers.append((flat[at:end].reshape((following, size), order="F"), flat[end : end + following]))
        at = end + following
    return layers


def _paths(perceptron: MultilayerPerceptronClassificationModel) -> NDArray[np.float64]:
    paths = np.eye(perceptron.getLayers()[0])
    for weights, _ in perceptron_layers(perceptron):
        paths = np.abs(weights) @ paths
    total: NDArray[np.float64] = paths.sum(axis=0)
    return total
