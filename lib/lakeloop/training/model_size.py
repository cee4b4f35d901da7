"""How large a fitted model is, in numbers that it must remember, so that lines and trees can be compared."""

from typing import Any

import numpy as np
from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.classification import (
    DecisionTreeClassificationModel,
    GBTClassificationModel,
    LinearSVCModel,
    LogisticRegressionModel,
    MultilayerPerceptronClassificationModel,
    NaiveBayesModel,
    RandomForestClassificationModel,
)
from pyspark.ml.regression import (
    DecisionTreeRegressionModel,
    GBTRegressionModel,
    GeneralizedLinearRegressionModel,
    LinearRegressionModel,
    RandomForestRegressionModel,
)

from lakeloop.training.estimators.log_label import learner_of

TREES = (DecisionTreeClassificationModel, DecisionTreeRegressionModel)
FORESTS = (
    GBTClassificationModel, GBTRegressionModel, RandomForestClassificationModel, RandomForestRegressionModel
)  # fmt: skip


def numbers_held(model: Transformer) -> int | None:
    """Coefficients other than 0 and intercepts, or of trees 2 numbers a split (column, threshold) and 1 a leaf.

    A forest has one weight per tree besides, a naive Bayes a mean and a variance per slot and class. Of a pipeline the
    stage that learned counts. None for a kind of model that is not known here.
    """
    if isinstance(model, PipelineModel):
        return numbers_held(learner_of(model.stages))
    if isinstance(model, LogisticRegressionModel):
        return _other_than_0(model.coefficientMatrix) + len(model.interceptVector.toArray())
    if isinstance(model, MultilayerPerceptronClassificationModel):
        return len(model.weights)
    if isinstance(model, NaiveBayesModel):
        return int(model.theta.toArray().size + model.sigma.toArray().size + len(model.pi))
    if isinstance(model, LinearRegressionModel | GeneralizedLinearRegressionModel | LinearSVCModel):
        return _other_than_0(model.coefficients) + 1
    if isinstance(model, TREES):
        return tree_numbers(int(model.numNodes), 1)
    if isinstance(model, FORESTS):
        trees = int(model.getNumTrees)
        return tree_numbers(int(model.totalNumNodes), trees) + trees
    return None


def tree_numbers(nodes: int, trees: int) -> int:
    """The numbers in `trees` binary trees of `nodes` together: a tree of n leaves has n - 1 splits."""
    leaves = (nodes + trees) // 2
    return 2 * (nodes - leaves) + leaves


def _other_than_0(coefficients: Any) -> int:
    return int(np.count_nonzero(coefficients.toArray()))
