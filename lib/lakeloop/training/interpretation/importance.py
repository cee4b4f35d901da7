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
from lakeloop.training.features.parts import terms_cols
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.slots import SlotMap, slot_map
from lakeloop.training.model_size import FORESTS, TREES
from lakeloop.training.spec.model import ModelSpec

LINEAR = (LogisticRegressionModel, LinearRegressionModel, GeneralizedLinearRegressionModel, LinearSVCModel)


def linear_weights(model: Any) -> NDArray[np.float64] | None:
    """What a unit of each slot adds to the score of a fitted stage; None for one that is no linear model.

    A naive Bayes of counts is one: its log odds are a sum over slots.
    """
    if isinstance(model, LINEAR):
        return np.asarray(model.coefficients.toArray(), dtype=np.float64)
    if isinstance(model, NaiveBayesModel) and model.getModelType() != "gaussian":
        theta = model.theta.toArray()
        if model.getModelType() == "bernoulli":
            theta = theta - np.log1p(-np.exp(theta))
        return np.asarray(theta[1] - theta[0], dtype=np.float64)
    return None


def feature_importance(spec: ModelSpec, model: PipelineModel, rows: DataFrame | None = None) -> dict[str, float]:
    """Share of each source column, largest first, summing to 1; all 0 where the model uses no column.

    For trees Spark's impurity importance, for XGBoost its gain; for linear models |coefficient|, for a perceptron the
    sum over all paths of the products of |weight| (after Garson 1991), times the slot's standard deviation, which is 1
    by default; for Gaussian naive Bayes the distance of the class means in standard deviations. Where `features.scale`
    is not standard, or there are terms of texts, deviations are measured on `rows` of the table, in one pass. Slots are
    added up per column as `SlotMap` says: one-hot slots wholly, a product in equal parts for its columns, component j
    as |loading| * weight_j.
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
    if isinstance(last, NaiveBayesModel) and last.getModelType() == "gaussian":
        means, variances = last.theta.toArray(), last.sigma.toArray()
        return np.asarray(np.abs(means[1] - means[0]) / np.sqrt(variances.mean(axis=0)), dtype=np.float64)
    if hasattr(last, "get_feature_importances"):
        gains = last.get_feature_importances(importance_type="total_gain")
        return np.array([gains.get(f"f{slot}", 0.0) for slot in range(last.get_booster().num_features())])
    linear = linear_weights(last)
    if linear is None and not isinstance(last, MultilayerPerceptronClassificationModel):
        raise TrainingError(f"no importance is defined for {type(last).__name__}, the stage of this model that learned")
    weights = _paths(last) if linear is None else np.abs(linear)
    if slots.deviations is not None:
        return np.asarray(weights * slots.deviations, dtype=np.float64)
    if spec.features.scale == "standard" and not terms_cols(spec.features):
        return np.asarray(weights, dtype=np.float64)
    if rows is None:
        scaled = "of terms" if terms_cols(spec.features) else f"of slots that are scaled {spec.features.scale}"
        raise TrainingError(
            f"model {spec.model}: coefficients {scaled} do not compare by themselves; give rows of the table to "
            "measure how much the slots vary"
        )
    deviations = slot_deviations(PipelineModel(stages[: stages.index(last)]).transform(rows), last.getFeaturesCol())
    return np.asarray(weights * deviations, dtype=np.float64)


def slot_deviations(vectors: DataFrame, vector_col: str) -> NDArray[np.float64]:
    """The sample standard deviation of each slot of a column of vectors, in one pass."""
    found: NDArray[np.float64] = vectors.select(Summarizer.std(F.col(vector_col))).collect()[0][0].toArray()
    return found


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
