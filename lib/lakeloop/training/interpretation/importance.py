"""How much each source column matters to a fitted model."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel
from pyspark.ml.classification import (
    LinearSVCModel,
    LogisticRegressionModel,
    MultilayerPerceptronClassificationModel,
    NaiveBayesModel,
)
from pyspark.ml.regression import (
    GeneralizedLinearRegressionModel,
    LinearRegressionModel,
)
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.estimators.log_label import learner_of
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.slots import SlotMap, slot_map
from lakeloop.training.model_size import FORESTS, TREES
from lakeloop.training.spec.model import ModelSpec

LINEAR = (LogisticRegressionModel, LinearRegressionModel, GeneralizedLinearRegressionModel, LinearSVCModel)


def feature_importance(spec: ModelSpec, model: PipelineModel, rows: DataFrame | None = None) -> dict[str, float]:
    """Share of each source column, largest first, summing to 1; all 0 where the model uses no column.

    For trees Spark's impurity importance, for XGBoost its gain; for linear models |coefficient|, for a perceptron the
    sum over all paths of the products of |weight| (after Garson 1991), times the slot's standard deviation, which is 1
    by default; for Gaussian naive Bayes the distance of the class means in standard deviations. Where `features.scale`
    is not standard, deviations are measured on `rows` of the table, in one pass. Slots are added up per column as
    `SlotMap` says: one-hot slots wholly, a product in equal parts for its columns, component j as |loading| * weight_j.
    """
    slots = slot_map(spec, model)
    weights = _weights(spec, model, slots, rows)
    columns = weights @ slots.shares
    shares = columns / (columns.sum() or 1.0)
    return dict(sorted(zip(slots.columns, shares.tolist(), strict=True), key=lambda item: -item[1]))


def _weights(spec: ModelSpec, model: PipelineModel, slots: SlotMap, rows: DataFrame | None) -> NDArray[np.float64]:
    """How much the model uses each slot of its vector."""
    stages = for_serving(model).stages
    last: Any = learner_of(stages)
    if isinstance(last, (*TREES, *FORESTS)):
        return np.asarray(last.featureImportances.toArray(), dtype=np.float64)
    if isinstance(last, NaiveBayesModel):
        means, variances = last.theta.toArray(), last.sigma.toArray()
        return np.asarray(np.abs(means[1] - means[0]) / np.sqrt(variances.mean(axis=0)), dtype=np.float64)
    if hasattr(last, "get_feature_importances"):
        gains = last.get_feature_importances(importance_type="total_gain")
        return np.array([gains.get(f"f{slot}", 0.0) for slot in range(last.get_booster().num_features())])
    if not isinstance(last, (*LINEAR, MultilayerPerceptronClassificationModel)):
        raise TrainingError(f"no importance is defined for {type(last).__name__}, the stage of this model that learned")
    weights = np.abs(last.coefficients.toArray()) if isinstance(last, LINEAR) else _paths(last)
    if slots.deviations is not None:
        return np.asarray(weights * slots.deviations, dtype=np.float64)
    if spec.features.scale == "standard":
        return np.asarray(weights, dtype=np.float64)
    if rows is None:
        raise TrainingError(
            f"model {spec.model}: coefficients of slots that are scaled {spec.features.scale} do not compare by "
            "themselves; give rows of the table to measure how much the slots vary"
        )
    vectors = PipelineModel(stages[: stages.index(last)]).transform(rows)
    deviations = vectors.select(Summarizer.std(F.col(last.getFeaturesCol()))).collect()[0][0].toArray()
    return np.asarray(weights * deviations, dtype=np.float64)


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
