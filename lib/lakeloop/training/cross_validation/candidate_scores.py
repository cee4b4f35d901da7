"""K-fold cross-validation in which each fold's feature stages are fitted once and shared by the whole grid."""

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from statistics import fmean, stdev

from pyspark.ml.feature import PCA
from pyspark.sql import DataFrame

from lakeloop.training.algorithms import LABEL_COL, GridPoint, Space
from lakeloop.training.cross_validation.fold_fits import fit_folds
from lakeloop.training.cross_validation.stage_tree import Leaf, Stage, plant
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.folds.dealing import folds_of
from lakeloop.training.metrics.measuring import measured_fold, tabulate_fold
from lakeloop.training.metrics.names import Metric
from lakeloop.training.metrics.score_table import ScoreTable
from lakeloop.training.spec.model import ModelSpec

Progress = Callable[[int, int, str], None]
Measured = tuple[dict[Metric, float], float, ScoreTable | None]


@dataclass(frozen=True)
class CandidateScore:
    """One grid point across the folds: `folds[k]` are its metrics on fold k, `seconds` its fits and scorings.

    `tables[k]` are its scores on fold k, 160 kB each, where the model file declares a decision; else there are none.
    """

    point: GridPoint
    folds: tuple[dict[Metric, float], ...]
    seconds: float
    tables: tuple[ScoreTable, ...] = ()

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
    `parallelism` fits run at a time; vectors of at most two folds are cached, and the driver keeps only metrics
    and, for a decision, score tables.
    `progress(done, total, text)` is called in the caller's thread, once per fit.
    """
    points, folds = spec.points(), folds_of(spec, rows)
    count = len(folds)
    done = iter(range(1, len(points) * count + 1))

    def measure(leaf: Leaf) -> Measured:
        started = time.monotonic()
        _, said = leaf.fit()
        table = tabulate_fold(spec, said)
        kept = table if spec.decision is not None and isinstance(table, ScoreTable) else None
        return measured_fold(spec, table).figures(), time.monotonic() - started, kept

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
            tuple(table for fold in measured if (table := fold[index][2]) is not None),
        )
        for index, point in enumerate(points)
    )


def _candidates(spec: ModelSpec, rows: DataFrame) -> Iterator[list[tuple[Hashable, Stage]]]:
    """The stages of each grid point; those before its classifier are the same objects for all."""
    on: Space = "pca" if any(point.on == "pca" for point in spec.points()) else "features"
    shared = feature_stages(spec, rows.schema, on)
    for point in spec.points():
        stages = shared if point.on == "pca" else [stage for stage in shared if not isinstance(stage, PCA)]
        yield [*((stage.uid, stage) for stage in stages), (str(point), point.estimator(spec.folds.seed, spec.key))]
