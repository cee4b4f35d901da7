"""From a declaration and a table to the champion: hold out, search, compare, refit the chosen one, measure once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from math import ceil

from pyspark.errors import IllegalArgumentException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import FOLD_COL, LABEL_COL, GridPoint
from lakeloop.training.census import take_census
from lakeloop.training.comparison.comparing import Comparison, compare
from lakeloop.training.comparison.selection import best_first, selected
from lakeloop.training.cross_validation.candidate_scores import CandidateScore, Progress
from lakeloop.training.decision.rule import DecisionRule, decided, find_rule, threshold_of
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.folds.checking import check_folds
from lakeloop.training.folds.dealing import deal_folds, hold_out
from lakeloop.training.held_out import HeldOut, HeldOutRecord
from lakeloop.training.interpretation.importance import feature_importance
from lakeloop.training.leaks import find_leaks
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.measuring import Metrics, SliceMetrics, measured_fold, measured_test, tabulate_fold
from lakeloop.training.nested import NestedEstimate, nested_estimate
from lakeloop.training.search.searching import most_fits, search
from lakeloop.training.spec.model import ModelSpec

ROWS_PER_PARTITION = 50_000


@dataclass(frozen=True)
class TrainingResult:
    """The champion and how it was found: `candidates` best first, `positives` of all rows (0 of a regression's).

    `comparison` says what the folds can tell apart, `held_out` which rows were measured on, once; `nested` is the
    unbiased estimate of the whole procedure, where `folds.nested` asks for it. `schema` is that of the features as
    read. `warnings` name features that tell the label too well, or nothing. `slices` are the metrics of parts of the
    test rows, `decision` is what `model` does with its scores, None where the model file declares none, and
    `uncalibrated` what the test rows say of the scores before its calibration, None where there is none.
    """

    spec: ModelSpec
    model: PipelineModel
    winner: CandidateScore
    candidates: tuple[CandidateScore, ...]
    comparison: Comparison
    nested: NestedEstimate | None
    test: Metrics
    held_out: HeldOutRecord
    importance: dict[str, float]
    rows_train: int
    rows_test: int
    positives: int
    seconds: float
    schema: StructType
    warnings: tuple[str, ...] = ()
    slices: tuple[SliceMetrics, ...] = ()
    decision: DecisionRule | None = None
    uncalibrated: BinaryMetrics | None = None


@dataclass(frozen=True)
class _Found:
    """What a search over some rows came to: `fitted` on all of them; `model` decides by `decision`, if declared."""

    ranked: tuple[CandidateScore, ...]
    winner: CandidateScore
    fitted: PipelineModel
    decision: DecisionRule | None
    model: PipelineModel


def train(spec: ModelSpec, frame: DataFrame, progress: Progress, parallelism: int = 2) -> TrainingResult:
    """Train the model that `spec` declares on `frame`, one row per key.

    The candidate that `select` takes by the mean of `select_by` over the folds is fitted again on all rows that are not
    held out, decides by what its scores out of fold say, where a decision is declared, and is measured once on the
    others. The same rows, seed and Spark version give the same model, however the rows are ordered or partitioned;
    `one_standard_error` too, and a bayesian search for the same `parallelism`. Raises TrainingError as `take_census`
    and `check_folds` do, where Spark refuses a parameter value, and where optuna is missing.
    """
    started = time.monotonic()
    census = take_census(spec, frame)
    train_rows, test_rows = hold_out(spec, frame)
    held_out = HeldOut(spec, test_rows.select("*", _label(spec)))
    columns = dict.fromkeys(name for name in (spec.key, *spec.features.columns, spec.folds.by) if name is not None)
    rows = _laid_out(spec, deal_folds(spec, train_rows.select(*columns, _label(spec))), census.rows)
    done, fits = count(1), (most_fits(spec) + 1) * (1 + (spec.folds.nested or 0))

    def tell(text: str) -> None:
        progress(next(done), fits, text)

    try:
        check_folds(spec, rows)
        found = _searched(spec, rows, tell, parallelism)
        nested = _nested(spec, rows, census.rows, tell, parallelism) if spec.folds.nested else None
        importance = feature_importance(spec, found.fitted, rows)
        warnings = find_leaks(spec, rows)
        rows_train = rows.count()
    except IllegalArgumentException as error:
        raise TrainingError(
            f"model {spec.model}: Spark refuses a value under candidates or features: {error}"
        ) from error
    finally:
        rows.unpersist()
    measured, record = held_out.measure(found.model)
    progress(fits, fits, f"champion: {found.winner.point}")
    return TrainingResult(
        spec=spec,
        model=found.model,
        winner=found.winner,
        candidates=found.ranked,
        comparison=compare(spec, found.ranked),
        nested=nested,
        test=measured.whole,
        held_out=record,
        importance=importance,
        rows_train=rows_train,
        rows_test=measured.whole.rows,
        positives=census.positives,
        seconds=time.monotonic() - started,
        schema=frame.select(*spec.features.columns).schema,
        warnings=warnings,
        slices=measured.slices,
        decision=found.decision,
        uncalibrated=measured.uncalibrated,
    )


def evaluate(model: PipelineModel, frame: DataFrame, spec: ModelSpec) -> Metrics:
    """Metrics with intervals of any fitted model on the rows of `frame`, such as an older champion on `test_rows`.

    Raises TrainingError where `frame` lacks one of the classes, or has no two numbers that differ. The label must not
    be NULL (`train` checks it).
    """
    return measured_test(spec, model.transform(frame.select("*", _label(spec))), threshold_of(model)).whole


def test_rows(spec: ModelSpec, frame: DataFrame) -> DataFrame:
    """The rows of `frame` that `train` holds out, with all their columns."""
    return hold_out(spec, frame)[1]


def labelled_test_rows(spec: ModelSpec, frame: DataFrame) -> DataFrame:
    """Those rows with `_label`: 1.0 for the positive class, else 0.0, or the number."""
    return test_rows(spec, frame).select("*", _label(spec))


def _label(spec: ModelSpec) -> Column:
    if spec.task == "regression":
        return F.col(spec.label.column).cast("double").alias(LABEL_COL)
    is_positive = F.col(spec.label.column).cast("string") == spec.label.positive_text
    return is_positive.cast("double").alias(LABEL_COL)


def _laid_out(spec: ModelSpec, rows: DataFrame, of: int) -> DataFrame:
    # A fixed layout makes sums and bootstrap draws repeatable; few partitions, because a task costs more than its rows.
    return rows.repartition(ceil(of / ROWS_PER_PARTITION), spec.key).sortWithinPartitions(spec.key).persist()


def _searched(spec: ModelSpec, rows: DataFrame, tell: Callable[[str], None], parallelism: int) -> _Found:
    """Search over the folds of `rows`, and fit what is chosen on all of them."""
    ranked = best_first(search(spec, rows, lambda _, __, text: tell(text), parallelism), spec.select_by)
    winner = selected(spec, ranked)
    fitted = for_serving(_pipeline(spec, winner.point, rows.schema).fit(rows))
    if spec.decision is None:
        return _Found(ranked, winner, fitted, None, fitted)
    rule = find_rule(rows.sparkSession, spec, winner.point.algorithm, winner.tables)
    return _Found(ranked, winner, fitted, rule, decided(fitted, rule, rows.sparkSession))


def _nested(spec: ModelSpec, rows: DataFrame, of: int, tell: Callable[[str], None], parallelism: int) -> NestedEstimate:
    def fitted(train_rows: DataFrame, measured_rows: DataFrame, number: int) -> tuple[GridPoint, Metrics]:
        inner = _laid_out(spec, deal_folds(spec, train_rows), of)
        where = f"outer fold {number + 1}/{spec.folds.nested}"
        try:
            check_folds(spec, inner)
            found = _searched(spec, inner, lambda text: tell(f"{where}, {text}"), parallelism)
        finally:
            inner.unpersist()
        tell(f"{where}: {found.winner.point}")
        table = tabulate_fold(spec, found.model.transform(measured_rows))
        return found.winner.point, measured_fold(spec, table, threshold_of(found.model))

    return nested_estimate(spec, rows.drop(*(name for name in rows.columns if name.startswith(FOLD_COL))), fitted)


def _pipeline(spec: ModelSpec, point: GridPoint, schema: StructType) -> Pipeline:
    return Pipeline(stages=[*feature_stages(spec, schema, point.on), point.estimator(spec.folds.seed, spec.key)])
