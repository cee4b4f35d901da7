"""K-fold cross-validation in which each fold's feature stages are fitted once and shared by the whole grid."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import fmean, stdev

from pyspark import inheritable_thread_target
from pyspark.ml import Pipeline
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.algorithms import FEATURES_COL, FOLD_COL, LABEL_COL, GridPoint, Space
from lakeloop.training.features import feature_stages
from lakeloop.training.metrics import METRICS, Metric, ScoreTable, measure
from lakeloop.training.spec import ModelSpec

Progress = Callable[[int, int, str], None]
Measured = tuple[dict[Metric, float], float]


@dataclass(frozen=True)
class CandidateScore:
    """One grid point across the folds: `folds[k]` are its metrics on fold k, `seconds` its fits and scorings."""

    point: GridPoint
    folds: tuple[dict[Metric, float], ...]
    seconds: float

    @property
    def mean(self) -> dict[Metric, float]:
        """Mean of each metric over the folds."""
        return {name: fmean(fold[name] for fold in self.folds) for name in METRICS}

    @property
    def std(self) -> dict[Metric, float]:
        """Sample standard deviation (n - 1) of each metric over the folds."""
        return {name: stdev(fold[name] for fold in self.folds) for name in METRICS}


@dataclass(frozen=True)
class _Fold:
    """Cached vectors of one fold and the fits under way on them, in the order of the grid points."""

    train: DataFrame
    validation: DataFrame
    fits: list[Future[Measured]]

    def release(self) -> None:
        self.train.unpersist()
        self.validation.unpersist()


def cross_validate(
    spec: ModelSpec, rows: DataFrame, progress: Progress, parallelism: int = 2
) -> tuple[CandidateScore, ...]:
    """Score every grid point on every fold, in the order of `spec.points()`.

    `rows` has the features, `_label` (1.0 or 0.0) and `_fold`, and should be persisted. `parallelism` fits run at a
    time; vectors of at most two folds are cached, and the driver keeps only metrics. `progress(done, total, text)` is
    called in the caller's thread, once per fit.
    """
    points, count = spec.points(), spec.folds.count
    pool = ThreadPoolExecutor(parallelism)
    running: deque[_Fold] = deque()
    measured: list[list[Measured]] = [[] for _ in points]
    try:
        for fold in range(count):
            # The stages of the next fold are fitted while the classifiers of this one still run.
            while len(running) < 2 and fold + len(running) < count:
                running.append(_start_fold(spec, rows, fold + len(running), pool))
            for index, fit in enumerate(running[0].fits):
                measured[index].append(fit.result())
                done = fold * len(points) + index + 1
                progress(done, len(points) * count, f"fold {fold + 1}/{count}: {points[index]}")
            running.popleft().release()
    finally:
        pool.shutdown(cancel_futures=True)
        for left in running:
            left.release()
    return tuple(
        CandidateScore(point, tuple(metrics for metrics, _ in folds), sum(seconds for _, seconds in folds))
        for point, folds in zip(points, measured, strict=True)
    )


def _start_fold(spec: ModelSpec, rows: DataFrame, fold: int, pool: ThreadPoolExecutor) -> _Fold:
    """Fit the feature stages on the fold's train rows only, and hand every grid point to the pool."""
    on: Space = "pca" if any(point.on == "pca" for point in spec.points()) else "features"
    in_fold = F.col(FOLD_COL) == fold
    train, validation = rows.where(~in_fold), rows.where(in_fold)
    stages = Pipeline(stages=feature_stages(spec, rows.schema, on)).fit(train)
    vectors = [*dict.fromkeys((FEATURES_COL["features"], FEATURES_COL[on])), LABEL_COL]
    train, validation = (stages.transform(part).select(vectors).persist() for part in (train, validation))
    fit = inheritable_thread_target(_fit_and_measure)
    fits = [pool.submit(fit, point, train, validation, spec.folds.seed) for point in spec.points()]
    return _Fold(train, validation, fits)


def _fit_and_measure(point: GridPoint, train: DataFrame, validation: DataFrame, seed: int) -> Measured:
    started = time.monotonic()
    model = point.classifier(seed).fit(train)
    metrics = measure(ScoreTable.of(model.transform(validation), LABEL_COL), resamples=0)
    return metrics.figures(), time.monotonic() - started
