"""From a declaration and a table to the champion: hold out, cross-validate, refit the best, measure once."""

import time
from dataclasses import dataclass
from math import ceil

from pyspark.errors import IllegalArgumentException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import LABEL_COL, GridPoint
from lakeloop.training.census import take_census
from lakeloop.training.cross_validation.candidate_scores import CandidateScore, Progress, cross_validate
from lakeloop.training.decision.rule import DecisionRule, decided, find_rule, threshold_of
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.folds.checking import check_folds
from lakeloop.training.folds.dealing import deal_folds, hold_out
from lakeloop.training.interpretation.importance import feature_importance
from lakeloop.training.metrics.measuring import Metrics, SliceMetrics, measured_test
from lakeloop.training.metrics.names import LOWER_IS_BETTER
from lakeloop.training.spec.model import ModelSpec

ROWS_PER_PARTITION = 50_000


@dataclass(frozen=True)
class TrainingResult:
    """The champion and how it was found: `candidates` best first, `positives` of all rows (0 of a regression's).

    `schema` is that of the features as read. `slices` are the metrics of parts of the test rows, `decision` is what
    `model` does with its scores, None where the model file declares none.
    """

    spec: ModelSpec
    model: PipelineModel
    winner: CandidateScore
    candidates: tuple[CandidateScore, ...]
    test: Metrics
    importance: dict[str, float]
    rows_train: int
    rows_test: int
    positives: int
    seconds: float
    schema: StructType
    slices: tuple[SliceMetrics, ...] = ()
    decision: DecisionRule | None = None


def train(spec: ModelSpec, frame: DataFrame, progress: Progress, parallelism: int = 2) -> TrainingResult:
    """Train the model that `spec` declares on `frame`, one row per key.

    The candidate with the best mean of `select_by` over the folds is fitted again on all rows that are not held out,
    decides by what its scores out of fold say, where a decision is declared, and is measured once on those that are.
    The same rows, seed and Spark version give the same model, however the rows are ordered or partitioned. Raises
    TrainingError as `take_census` and `check_folds` do, and where Spark refuses a parameter value.
    """
    started = time.monotonic()
    census = take_census(spec, frame)
    train_rows, held_out = hold_out(spec, frame)
    partitions = ceil(census.rows / ROWS_PER_PARTITION)
    columns = dict.fromkeys(name for name in (spec.key, *spec.features.columns, spec.folds.by) if name is not None)
    folded = deal_folds(spec, train_rows.select(*columns, _label(spec)))
    # A fixed layout makes sums and bootstrap draws repeatable; few partitions, because a task costs more than its rows.
    rows = folded.repartition(partitions, spec.key).sortWithinPartitions(spec.key).persist()
    fits = len(spec.points()) * spec.folds.count * spec.folds.repeats + 1
    try:
        check_folds(spec, rows)
        scores = cross_validate(spec, rows, lambda done, _, text: progress(done, fits, text), parallelism)
        candidates = tuple(sorted(scores, key=lambda score: _rank(spec, score)))
        model = _pipeline(spec, candidates[0].point, rows.schema).fit(rows)
        rows_train = rows.count()
    except IllegalArgumentException as error:
        raise TrainingError(
            f"model {spec.model}: Spark refuses a value under candidates or features.pca: {error}"
        ) from error
    finally:
        rows.unpersist()
    importance = feature_importance(spec, model)
    rule = None
    if spec.decision is not None:
        rule = find_rule(frame.sparkSession, spec, candidates[0].point.algorithm, candidates[0].tables)
        model = decided(model, rule, frame.sparkSession)
    test, slices = _measured(model, held_out, spec)
    progress(fits, fits, f"champion: {candidates[0].point}")
    return TrainingResult(
        spec=spec,
        model=model,
        winner=candidates[0],
        candidates=candidates,
        test=test,
        importance=importance,
        rows_train=rows_train,
        rows_test=test.rows,
        positives=census.positives,
        seconds=time.monotonic() - started,
        schema=frame.select(*spec.features.columns).schema,
        slices=slices,
        decision=rule,
    )


def evaluate(model: PipelineModel, frame: DataFrame, spec: ModelSpec) -> Metrics:
    """Metrics with intervals of any fitted model on the rows of `frame`, such as an older champion on `test_rows`.

    Raises TrainingError where `frame` lacks one of the classes, or has no two numbers that differ. The label must not
    be NULL (`train` checks it).
    """
    return _measured(model, frame, spec)[0]


def test_rows(spec: ModelSpec, frame: DataFrame) -> DataFrame:
    """The rows of `frame` that `train` holds out, with all their columns."""
    return hold_out(spec, frame)[1]


def _measured(model: PipelineModel, frame: DataFrame, spec: ModelSpec) -> tuple[Metrics, tuple[SliceMetrics, ...]]:
    return measured_test(spec, model.transform(frame.select("*", _label(spec))), threshold_of(model))


def _label(spec: ModelSpec) -> Column:
    if spec.task == "regression":
        return F.col(spec.label.column).cast("double").alias(LABEL_COL)
    is_positive = F.col(spec.label.column).cast("string") == spec.label.positive_text
    return is_positive.cast("double").alias(LABEL_COL)


def _pipeline(spec: ModelSpec, point: GridPoint, schema: StructType) -> Pipeline:
    return Pipeline(stages=[*feature_stages(spec, schema, point.on), point.estimator(spec.folds.seed, spec.key)])


def _rank(spec: ModelSpec, score: CandidateScore) -> float:
    mean = score.mean[spec.select_by]
    return mean if spec.select_by in LOWER_IS_BETTER else -mean
