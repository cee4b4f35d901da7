"""Boosting of numbers that starts at their mean, each step being a small forest."""

# ruff: noqa: N815 (parameters have the names that Spark gives them)

from collections.abc import Sequence
from typing import Any

from pyspark import SparkContext
from pyspark.ml import Estimator
from pyspark.ml.param import Param
from pyspark.ml.param.shared import HasFeaturesCol, HasLabelCol, HasMaxIter, HasPredictionCol, HasSeed, HasStepSize
from pyspark.ml.regression import (
    DecisionTreeRegressionModel,
    DecisionTreeRegressor,
    GBTRegressionModel,
    RandomForestRegressionModel,
    RandomForestRegressor,
)
from pyspark.ml.wrapper import JavaWrapper
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

LABEL_COL, SAID_COL, LEFT_COL = "_number", "_said", "_left"
MODEL = "org.apache.spark.ml.regression.GBTRegressionModel"
OF_FOREST = (
    "numTrees", "maxDepth", "maxBins", "minInstancesPerNode", "minInfoGain", "subsamplingRate", "featureSubsetStrategy"
)  # fmt: skip


class BoostedForests(
    Estimator[GBTRegressionModel], HasFeaturesCol, HasLabelCol, HasPredictionCol, HasMaxIter, HasStepSize, HasSeed
):
    """Gradient boosting of the squared error (Friedman 2001, 2002), which Spark's model of boosted trees carries.

    It begins with the mean of the label. Each of `maxIter` steps fits a forest of `numTrees` trees to what is left of
    it and takes `stepSize` of what that says; a tree is grown on `subsamplingRate` of the rows, none of them twice.
    Spark's GBTRegressor adds its first tree whole, whatever `stepSize` says, and later ones cannot undo what that one
    has learned by heart; here every tree counts a share only. The trees of a forest grow together, so a step takes as
    many Spark jobs as they are deep, however many they are.

    The rows are cached with their vectors, and once more with what is left of them while a step is fitted. What is left
    is worked out anew from all trees so far: a plan that grew with each step would soon take longer than the fits. The
    same rows in the same partitions give the same model for a `seed`.
    """

    numTrees: Param[int] = RandomForestRegressor.numTrees
    maxDepth: Param[int] = RandomForestRegressor.maxDepth
    maxBins: Param[int] = RandomForestRegressor.maxBins
    minInstancesPerNode: Param[int] = RandomForestRegressor.minInstancesPerNode
    minInfoGain: Param[float] = RandomForestRegressor.minInfoGain
    subsamplingRate: Param[float] = RandomForestRegressor.subsamplingRate
    featureSubsetStrategy: Param[str] = RandomForestRegressor.featureSubsetStrategy

    def __init__(self, **columns: str) -> None:
        super().__init__()
        self._setDefault(maxIter=20, stepSize=0.5, numTrees=10, subsamplingRate=0.7)
        self._set(**columns)

    def _fit(self, dataset: DataFrame) -> GBTRegressionModel:
        rows = dataset.select(self.getFeaturesCol(), F.col(self.getLabelCol()).alias(LABEL_COL)).persist()
        try:
            mean = DecisionTreeRegressor(featuresCol=self.getFeaturesCol(), labelCol=LABEL_COL, maxDepth=0).fit(rows)
            trees, weights = [mean], [1.0]
            for number in range(self.getMaxIter()):
                step = self._step(rows, self._model(trees, weights, mean.numFeatures), number).trees
                trees += step
                weights += [self.getStepSize() / len(step)] * len(step)
        finally:
            rows.unpersist()
        return self._model(trees, weights, mean.numFeatures).setPredictionCol(self.getPredictionCol())

    def _step(self, rows: DataFrame, model: GBTRegressionModel, number: int) -> RandomForestRegressionModel:
        """The forest that is fitted to what `model` leaves."""
        params: dict[str, Any] = {name: self.getOrDefault(name) for name in OF_FOREST if self.isDefined(name)}
        params |= {"featuresCol": self.getFeaturesCol(), "labelCol": LEFT_COL, "seed": self.getSeed() + number}
        left = (F.col(LABEL_COL) - F.col(SAID_COL)).alias(LEFT_COL)
        frame = model.setPredictionCol(SAID_COL).transform(rows).select(self.getFeaturesCol(), left).persist()
        try:
            forest: RandomForestRegressionModel = RandomForestRegressor(bootstrap=False, **params).fit(frame)
        finally:
            frame.unpersist()
        return forest

    def _model(
        self, trees: Sequence[DecisionTreeRegressionModel], weights: Sequence[float], features: int
    ) -> GBTRegressionModel:
        return _summed(self.uid, trees, weights, features).setFeaturesCol(self.getFeaturesCol())


def _summed(
    uid: str, trees: Sequence[DecisionTreeRegressionModel], weights: Sequence[float], features: int
) -> GBTRegressionModel:
    """Spark's model of the weighted sum of what trees say; its constructor is public, but not in Python."""
    context = SparkContext._active_spark_context
    assert context is not None
    assert context._gateway is not None
    java: Any = context._gateway.jvm
    of_trees = JavaWrapper._new_java_array(
        [tree._java_obj for tree in trees], java.org.apache.spark.ml.regression.DecisionTreeRegressionModel
    )
    of_weights = JavaWrapper._new_java_array(list(weights), java.double)
    return GBTRegressionModel(JavaWrapper._new_java_obj(MODEL, uid, of_trees, of_weights, features))
