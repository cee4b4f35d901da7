"""Selections of slots: whatever decides, the fitted model is Spark's VectorSlicer, and slots stay in their order."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import Estimator
from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
from pyspark.ml.feature import UnivariateFeatureSelector, VarianceThresholdSelector, VectorSlicer
from pyspark.ml.param.shared import HasInputCol, HasLabelCol, HasOutputCol
from pyspark.ml.regression import LinearRegression, RandomForestRegressor
from pyspark.ml.stat import Correlation, Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.names import Task
from lakeloop.training.spec.selection import Selection, Univariate

FOREST: dict[str, Any] = {"numTrees": 50, "maxDepth": 6}


class SlotSelector(Estimator[VectorSlicer], HasInputCol, HasOutputCol, HasLabelCol):
    """Decides on the rows it is fitted on which slots of a vector are kept. Raises TrainingError where none is.

    `variance`: sample variance above the limit. `univariate`: the F test of a linear relation, which for two classes is
    ANOVA's; a share of the slots is rounded up. `l1`: a non-zero coefficient of a linear model on standardised slots.
    `importance`: the most used of those that a random forest of 50 trees of depth 6 uses at all. `correlation`:
    Pearson's; a slot is dropped for one before it that is kept, and the matrix of all slots is in the driver's memory.
    """

    def __init__(
        self, selection: Selection, task: Task, seed: int, *, input_col: str, output_col: str, label_col: str
    ) -> None:
        super().__init__()
        self.selection, self.task, self.seed = selection, task, seed
        self._set(inputCol=input_col, outputCol=output_col, labelCol=label_col)

    def _fit(self, dataset: DataFrame) -> VectorSlicer:
        kept = sorted(self._kept(dataset))
        if not kept:
            said = getattr(self.selection, self.selection.way)
            raise TrainingError(
                f"features.select: {self.selection.way} {said if not isinstance(said, Univariate) else said.mode} "
                "leaves no slot of the feature vector; loosen it or take it out"
            )
        return VectorSlicer(inputCol=self.getInputCol(), outputCol=self.getOutputCol(), indices=kept)

    def _kept(self, dataset: DataFrame) -> Sequence[int]:
        chosen = self.selection
        if chosen.variance is not None:
            selector = VarianceThresholdSelector(featuresCol=self.getInputCol(), varianceThreshold=chosen.variance)
            return selector.fit(dataset).selectedFeatures
        if chosen.univariate is not None:
            return self._univariate(dataset, chosen.univariate)
        if chosen.correlation is not None:
            return _uncorrelated(dataset, self.getInputCol(), chosen.correlation)
        if chosen.l1 is not None:
            linear = LinearRegression if self.task == "regression" else LogisticRegression
            fitted = linear(elasticNetParam=1.0, regParam=chosen.l1, **self._columns()).fit(dataset)
            return [int(slot) for slot in np.flatnonzero(fitted.coefficients.toArray())]
        forest = RandomForestRegressor if self.task == "regression" else RandomForestClassifier
        grown = forest(seed=self.seed, **FOREST, **self._columns()).fit(dataset)
        importance: NDArray[np.float64] = grown.featureImportances.toArray()
        best = np.argsort(-importance, kind="stable")[: chosen.importance]
        return [int(slot) for slot in best if importance[slot] > 0]

    def _univariate(self, dataset: DataFrame, kept: int | Univariate) -> Sequence[int]:
        if isinstance(kept, int) or kept.percentile is not None:
            related = _related(dataset, self.getInputCol(), self.getLabelCol())
            count = kept if isinstance(kept, int) else ceil(len(related) * float(kept.percentile or 0))
            return [int(slot) for slot in np.argsort(-related, kind="stable")[:count]]
        selector = UnivariateFeatureSelector(**self._columns(), selectionMode=kept.mode)
        selector.setFeatureType("continuous").setLabelType("continuous" if self.task == "regression" else "categorical")
        selected: list[int] = selector.setSelectionThreshold(getattr(kept, kept.mode)).fit(dataset).selectedFeatures
        return selected

    def _columns(self) -> dict[str, Any]:
        return {"featuresCol": self.getInputCol(), "labelCol": self.getLabelCol()}


def _related(dataset: DataFrame, column: str, label_col: str) -> NDArray[np.float64]:
    """What orders slots as their F values do: |correlation with the label|, but for one factor; 0 of a constant slot.

    Spark orders by p-values, which are all 0 below 1e-16: of many rows it would keep the first slots, not the best. For
    weights w = label - its least value, cov(slot, label) = mean(w) * (weighted mean - mean) of the slot.
    """
    least = dataset.agg(F.min(label_col)).collect()[0][0]
    vector, weight = F.col(column), F.col(label_col) - F.lit(least)
    plain, weighted = dataset.select(
        Summarizer.metrics("mean", "std").summary(vector), Summarizer.metrics("mean").summary(vector, weight)
    ).collect()[0]
    deviation = plain["std"].toArray()
    apart = np.abs(weighted["mean"].toArray() - plain["mean"].toArray())
    related: NDArray[np.float64] = np.divide(apart, deviation, out=np.zeros_like(apart), where=deviation > 0)
    return related


def _uncorrelated(dataset: DataFrame, column: str, limit: float) -> list[int]:
    matrix = Correlation.corr(dataset, column).collect()[0][0].toArray()
    kept: list[int] = []
    for slot in range(len(matrix)):
        # A constant slot has no correlation: NaN, which is not above the limit.
        if not (np.abs(matrix[slot, kept]) > limit).any():
            kept.append(slot)
    return kept
