"""Calibration: from a score to the share of positive rows among those with such a score.

It is fitted on rows that the scored models had not learned from, given as a table of score cells: a handful of tiny
Spark jobs, whatever the number of rows. Probabilities enter as they are (isotonic) or as log odds (Platt), margins of a
support vector machine as they are (both).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import IsotonicRegression, IsotonicRegressionModel
from pyspark.sql import SparkSession

from lakeloop.training.metrics.score_table import CELLS, ScoreTable, middles
from lakeloop.training.spec.decision import Calibration

Input = Literal["probability", "margin"]
Floats = NDArray[np.float64]
MARGINS = 64.0  # 1 / (1 + exp(-x)) is 0 or 1 in a double long before


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between points, both ascending; `model` is Spark's for the same points."""

    scores: tuple[float, ...]
    shares: tuple[float, ...]
    model: IsotonicRegressionModel

    def __call__(self, inputs: Floats) -> Floats:
        """The calibrated probability of each input."""
        calibrated: Floats = np.interp(inputs, self.scores, self.shares)
        return calibrated


@dataclass(frozen=True)
class Platt:
    """1 / (1 + exp(-(slope * x + intercept))), x being log odds or a margin."""

    slope: float
    intercept: float

    def __call__(self, inputs: Floats) -> Floats:
        """The calibrated probability of each input."""
        calibrated: Floats = 1 / (1 + np.exp(-(self.slope * inputs + self.intercept)))
        return calibrated


def fit_calibration(spark: SparkSession, table: ScoreTable, how: Calibration, given: Input) -> Isotonic | Platt:
    """The curve that suits a table whose classes both have rows."""
    used = np.flatnonzero(table.rows)
    pos, neg = table.positives[used], table.negatives[used]
    inputs = inputs_of(used, how, given)
    if how == "isotonic":
        model = _isotonic(spark, inputs, pos / (pos + neg), pos + neg)
        return Isotonic(tuple(model.boundaries.toArray().tolist()), tuple(model.predictions.toArray().tolist()), model)
    return _platt(spark, inputs, pos, neg)


def inputs_of(cells: NDArray[np.intp], how: Calibration, given: Input) -> Floats:
    """What a calibration is given for the score in the middle of each cell."""
    middle = middles(cells)
    log_odds: Floats = np.log(middle / (1 - middle))
    return log_odds if how == "platt" or given == "margin" else middle


def calibrated_table(table: ScoreTable, curve: Isotonic | Platt, how: Calibration, given: Input) -> ScoreTable:
    """The table of the same rows with calibrated scores; those of one cell stay together."""
    shares = curve(inputs_of(np.arange(CELLS + 1), how, given))
    return table.moved(np.clip(np.ceil(shares * CELLS), 0, CELLS).astype(np.int64))


def as_it_is(spark: SparkSession, given: Input) -> IsotonicRegressionModel:
    """A stage that takes the score out of its vector: the straight line through two points, exact for probabilities."""
    ends = np.array([0.0, 1.0] if given == "probability" else [-MARGINS, MARGINS])
    return _isotonic(spark, ends, ends, np.ones(2))


def _isotonic(spark: SparkSession, inputs: Floats, shares: Floats, rows: NDArray[Any]) -> IsotonicRegressionModel:
    points = zip(inputs.tolist(), shares.tolist(), rows.astype(float).tolist(), strict=True)
    frame = spark.createDataFrame(list(points), "score double, share double, rows double").coalesce(1)
    fitted: IsotonicRegressionModel = IsotonicRegression(featuresCol="score", labelCol="share", weightCol="rows").fit(
        frame
    )
    return fitted


def _platt(spark: SparkSession, inputs: Floats, pos: NDArray[np.int64], neg: NDArray[np.int64]) -> Platt:
    """Platt 1999, "Probabilistic Outputs for Support Vector Machines": maximum likelihood for targets off 0 and 1."""
    target_pos, target_neg = (pos.sum() + 1) / (pos.sum() + 2), 1 / (neg.sum() + 2)
    weights = (pos * target_pos + neg * target_neg, pos * (1 - target_pos) + neg * (1 - target_neg))
    points = [
        (Vectors.dense(x), label, weight)
        for label, of_label in zip((1.0, 0.0), weights, strict=True)
        for x, weight in zip(inputs.tolist(), of_label.tolist(), strict=True)
    ]
    frame = spark.createDataFrame(points, ["features", "label", "weight"]).coalesce(1)
    fitted = LogisticRegression(weightCol="weight", tol=1e-10, maxIter=100).fit(frame)
    return Platt(float(fitted.coefficients[0]), float(fitted.intercept))
