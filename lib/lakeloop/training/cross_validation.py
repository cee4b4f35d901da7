"""K-fold cross-validation in which each fold's feature stages are fitted once and shared by the whole grid."""

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from statistics import fmean, stdev

from pyspark.ml.feature import PCA
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.algorithms import FOLD_COL, LABEL_COL, GridPoint, Space
from lakeloop.training.features import feature_stages
from lakeloop.training.fold_fits import fit_folds
from lakeloop.training.folds import assign_folds, assign_group_folds
from lakeloop.training.measuring import measured_fold
from lakeloop.training.metric_names import Metric
from lakeloop.training.spec import ModelSpec
from lakeloop.training.stage_tree import Leaf, Stage, plant
from lakeloop.training.time_blocks import assign_time_blocks

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
        return {name: fmean(fold[name] for fold in self.folds) for name in self.folds[0]}

    @property
    def std(self) -> dict[Metric, float]:
        """Sample standard deviation (n - 1) of each metric over the folds."""
        return {name: stdev(fold[name] for fold in self.folds) for name in self.folds[0]}


def cross_validate(
    spec: ModelSpec, rows: DataFrame, progress: Progress, parallelism: int = 2
) -> tuple[CandidateScore, ...]:
    """Score every grid point on every fold, in the order of `spec.points()`.

    `rows` has the features, `_label` (1.0 or 0.0, or a number) and what `deal_folds` adds, and should be persisted.
    `parallelism` fits run at a time; vectors of at most two folds are cached, and the driver keeps only metrics.
    `progress(done, total, text)` is called in the caller's thread, once per fit.
    """
    points, folds = spec.points(), folds_of(spec, rows)
    count = len(folds)
    done = iter(range(1, len(points) * count + 1))

    def measure(leaf: Leaf) -> Measured:
        started = time.monotonic()
        _, said = leaf.fit()
        return measured_fold(spec, said).figures(), time.monotonic() - started

    measured = fit_folds(
        plant(_candidates(spec, rows)),
        folds,
        measure,
        columns=[LABEL_COL, spec.key],
        parallelism=parallelism,
        told=lambda fold, candidate: progress(
            next(done), len(points) * count, f"fold {fold + 1}/{count}: {points[candidate]}"
        ),
    )
    return tuple(
        CandidateScore(
            point,
            tuple(fold[index][0] for fold in measured),
            sum(fold[index][1] for fold in measured),
        )
        for index, point in enumerate(points)
    )


def deal_folds(spec: ModelSpec, rows: DataFrame) -> DataFrame:
    """Add `_fold_0` on, one for each repeat: the fold of each row, or its block in time, of which one more."""
    folds = spec.folds
    for repeat in range(folds.repeats):
        name, seed = f"{FOLD_COL}_{repeat}", folds.seed + repeat
        if folds.kind == "time":
            rows = assign_time_blocks(rows, str(folds.by), folds.count + 1, block_col=name)
        elif folds.kind == "group":
            rows = assign_group_folds(rows, str(folds.by), folds.count, seed, fold_col=name)
        else:
            stratum = LABEL_COL if spec.stratifies(folds) else None
            rows = assign_folds(rows, spec.key, folds.count, seed, stratify_by=stratum, fold_col=name)
    return rows


def folds_of(spec: ModelSpec, rows: DataFrame) -> list[tuple[DataFrame, DataFrame]]:
    """The rows to train with and to measure on, fold by fold, repeat by repeat."""
    if spec.folds.kind == "time":
        block = F.col(f"{FOLD_COL}_0")
        return [(rows.where(block < fold), rows.where(block == fold)) for fold in range(1, spec.folds.count + 1)]
    in_fold = [F.col(f"{FOLD_COL}_{repeat}") for repeat in range(spec.folds.repeats)]
    return [
        (rows.where(dealt != fold), rows.where(dealt == fold)) for dealt in in_fold for fold in range(spec.folds.count)
    ]


def _candidates(spec: ModelSpec, rows: DataFrame) -> Iterator[list[tuple[Hashable, Stage]]]:
    """The stages of each grid point; those before its classifier are the same objects for all."""
    on: Space = "pca" if any(point.on == "pca" for point in spec.points()) else "features"
    shared = feature_stages(spec, rows.schema, on)
    for point in spec.points():
        stages = shared if point.on == "pca" else [stage for stage in shared if not isinstance(stage, PCA)]
        yield [*((stage.uid, stage) for stage in stages), (str(point), point.estimator(spec.folds.seed))]
