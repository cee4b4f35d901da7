"""What decides, found out of fold, and how it gets into the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import Binarizer, SQLTransformer, VectorAssembler
from pyspark.ml.regression import IsotonicRegressionModel
from pyspark.sql import SparkSession

from lakeloop.training.algorithms import MARGIN_ONLY
from lakeloop.training.decision.calibrating import (
    Input,
    Isotonic,
    Platt,
    as_it_is,
    calibrated_table,
    fit_calibration,
)
from lakeloop.training.decision.thresholds import best_threshold, exact_threshold
from lakeloop.training.metrics.binary import BinaryMetrics, measure
from lakeloop.training.metrics.score_table import CALIBRATED_COL, CELLS, UNCALIBRATED_COL, ScoreTable
from lakeloop.training.spec.model import ModelSpec

PROBABILITY, PREDICTION, MARGIN = "probability", "prediction", "rawPrediction"
SCORE = "score__uncalibrated"


@dataclass(frozen=True)
class DecisionRule:
    """How scores become an answer: `curve` is None where they are taken for probabilities as they are.

    `before` are the metrics of the rows out of fold as the folds saw them, `after` those of calibrated scores at the
    threshold; both were chosen on these rows, so `after` flatters a little.
    """

    given: Input
    curve: Isotonic | Platt | None
    threshold: float
    before: BinaryMetrics
    after: BinaryMetrics


def find_rule(spark: SparkSession, spec: ModelSpec, algorithm: str, tables: Sequence[ScoreTable]) -> DecisionRule:
    """Fit calibration and threshold on the score tables of the folds that a candidate was measured on."""
    decision = spec.decision
    if decision is None:
        raise ValueError("the model declares no decision")
    given: Input = "margin" if algorithm in MARGIN_ONLY else "probability"
    table = pooled = ScoreTable.pooled(tables)
    curve = None
    if decision.calibrate is not None:
        curve = fit_calibration(spark, pooled, decision.calibrate, given)
        table = calibrated_table(pooled, curve, decision.calibrate, given)
    chosen, costs = decision.threshold, spec.yardstick(0.5).costs
    threshold = best_threshold(table, chosen, costs) if isinstance(chosen, str) else chosen
    return DecisionRule(
        given,
        curve,
        threshold,
        measure(pooled, resamples=0, by=spec.yardstick(spec.fold_threshold)),
        measure(table, resamples=0, by=spec.yardstick(threshold)),
    )


def decided(model: PipelineModel, rule: DecisionRule, spark: SparkSession) -> PipelineModel:
    """The model with its rule inside: `probability` and `prediction` are the calibrated and decided ones.

    What its classifier says is in `probability__uncalibrated` and `prediction__uncalibrated`. All stages are Spark's
    own, so they save and load with it. A rule that changes nothing adds none.
    """
    if rule.curve is None and rule.threshold == 0.5:
        return model
    *features, last = model.stages
    classifier: Any = last.copy()
    classifier.set(classifier.predictionCol, f"{PREDICTION}__uncalibrated")
    source = MARGIN if rule.given == "margin" else PROBABILITY
    if rule.curve is not None and rule.given == "probability":
        source = UNCALIBRATED_COL
        classifier.set(classifier.probabilityCol, source)
    stages: list[Transformer] = [*features, classifier]
    if isinstance(rule.curve, Isotonic):
        stages.append(_taken(rule.curve.model, source, CALIBRATED_COL))
    else:
        stages.append(_taken(as_it_is(spark, rule.given), source, SCORE))
    if isinstance(rule.curve, Platt):
        stages.append(SQLTransformer(statement=_sigmoid(rule.curve, rule.given)))
    if rule.curve is not None:
        stages += [
            SQLTransformer(statement=f"SELECT *, 1 - {CALIBRATED_COL} AS {CALIBRATED_COL}__negative FROM __THIS__"),
            VectorAssembler(inputCols=[f"{CALIBRATED_COL}__negative", CALIBRATED_COL], outputCol=PROBABILITY),
        ]
    answer = SCORE if rule.curve is None else CALIBRATED_COL
    threshold = exact_threshold(rule.threshold)
    return PipelineModel([*stages, Binarizer(threshold=threshold, inputCol=answer, outputCol=PREDICTION)])


def threshold_of(model: PipelineModel) -> float:
    """The score above which a fitted pipeline calls a row positive: what `decided` put into it, or 0.5."""
    last = model.stages[-1]
    return round(last.getThreshold() * CELLS) / CELLS if isinstance(last, Binarizer) else 0.5


def _taken(model: IsotonicRegressionModel, source: str, output: str) -> IsotonicRegressionModel:
    taken: IsotonicRegressionModel = model.copy()
    return taken.setFeaturesCol(source).setFeatureIndex(1).setPredictionCol(output)


def _sigmoid(curve: Platt, given: Input) -> str:
    least = 0.5 / CELLS
    score = f"least(greatest({SCORE}, {least!r}D), {1 - least!r}D)"
    x = SCORE if given == "margin" else f"ln({score} / (1 - {score}))"
    return (
        f"SELECT *, 1 / (1 + exp(-({curve.slope!r}D * {x} + {curve.intercept!r}D))) AS {CALIBRATED_COL} FROM __THIS__"
    )
