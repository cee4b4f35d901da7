"""K-fold cross-validation in which each fold's feature stages are fitted once and shared by the whole grid."""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean, median, median_low, stdev
from typing import Self

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from lakeloop.training.algorithms import LABEL_COL, GridPoint
from lakeloop.training.cross_validation.fold_fits import Told, fit_folds
from lakeloop.training.cross_validation.stage_tree import Leaf, Stage, plant
from lakeloop.training.features.stages import component_stages, feature_stages
from lakeloop.training.folds.dealing import folds_of
from lakeloop.training.metrics.measuring import measured_fold, tabulate_fold
from lakeloop.training.metrics.names import Metric
from lakeloop.training.metrics.score_table import ScoreTable
from lakeloop.training.model_size import numbers_held
from lakeloop.training.spec.model import ModelSpec

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Measured:
    """One candidate on one fold: its metrics, the seconds of fit and scoring, and what the model would cost to use.

    `scoring_seconds` are those of 1,000 rows whose vectors are cached, metrics included; `numbers` is what the fitted
    last stage holds, as `numbers_held` counts. `table` has the scores where the model file declares a decision.
    """

    figures: dict[Metric, float]
    seconds: float
    scoring_seconds: float
    numbers: int | None
    table: ScoreTable | None = None


@dataclass(frozen=True)
class CandidateScore:
    """One grid point across the folds: `folds[k]` are its metrics on fold k, `seconds` its fits and scorings.

    Of one that was given up early (`stopped`) there are fewer folds than of others. `scoring_seconds` per 1,000 rows
    and `numbers`, the size of the fitted last stage, are medians over the folds; None where nobody measured them.
    `tables[k]` are its scores on fold k, 160 kB each, where the model file declares a decision; else there are none.
    """

    point: GridPoint
    folds: tuple[dict[Metric, float], ...]
    seconds: float
    stopped: bool = False
    scoring_seconds: float | None = None
    numbers: int | None = None
    tables: tuple[ScoreTable, ...] = ()

    @classmethod
    def of(cls, point: GridPoint, said: Sequence[Measured], *, stopped: bool = False) -> Self:
        """The score of a grid point from what was measured on each fold."""
        numbers = [each.numbers for each in said if each.numbers is not None]
        return cls(
            point,
            tuple(each.figures for each in said),
            sum(each.seconds for each in said),
            stopped,
            median(each.scoring_seconds for each in said),
            median_low(numbers) if numbers else None,
            tuple(each.table for each in said if each.table is not None),
        )

    @property
    def mean(self) -> dict[Metric, float]:
        """Mean of each metric over the folds."""
        return {name: fmean(fold[name] for fold in self.folds) for name in self.folds[0]}

    @property
    def std(self) -> dict[Metric, float]:
        """Sample standard deviation (n - 1) of each metric over the folds; NaN of a single fold."""
        if len(self.folds) == 1:
            return dict.fromkeys(self.folds[0], float("nan"))
        return {name: stdev(fold[name] for fold in self.folds) for name in self.folds[0]}


def cross_validate(
    spec: ModelSpec, points: Sequence[GridPoint], rows: DataFrame, progress: Progress, parallelism: int = 2
) -> tuple[CandidateScore, ...]:
    """Score every grid point on every fold, in the order of `points`.

    `rows` has the features, `_label` (1.0 or 0.0, or a number) and what `deal_folds` adds, and should be persisted.
    `parallelism` fits run at a time; vectors of at most two folds are cached, and the driver keeps only metrics
    and, for a decision, score tables.
    `progress(done, total, text)` is called in the caller's thread, once per fit.
    """
    folds = folds_of(spec, rows)
    done = count(1)

    def tell(fold: int, candidate: int) -> None:
        progress(next(done), len(points) * len(folds), f"fold {fold + 1}/{len(folds)}: {points[candidate]}")

    found = measure_folds(spec, points, folds, parallelism, tell)
    return tuple(CandidateScore.of(point, [fold[index] for fold in found]) for index, point in enumerate(points))


def measure_folds(
    spec: ModelSpec,
    points: Sequence[GridPoint],
    folds: Sequence[tuple[DataFrame, DataFrame]],
    parallelism: int,
    told: Told,
) -> list[dict[int, Measured]]:
    """What is found of each of `points`, by its number, on each of `folds`; `told(fold, point)` after each fit."""
    shared = shared_stages(spec, points, folds[0][0].schema)
    tree = plant(
        [*stages, (str(point), point.estimator(spec.folds.seed, spec.key))]
        for point, stages in zip(points, shared, strict=True)
    )
    return fit_folds(
        tree,
        folds,
        lambda leaf: measured(spec, leaf),
        columns=[LABEL_COL, spec.key],
        parallelism=parallelism,
        told=told,
    )


def measured(spec: ModelSpec, leaf: Leaf) -> Measured:
    """Fit the last stage of a candidate and measure what it says of the fold."""
    started = time.monotonic()
    model, said = leaf.fit()
    fitted = time.monotonic()
    table = tabulate_fold(spec, said)
    ended = time.monotonic()
    metrics = measured_fold(spec, table)
    scoring = (ended - fitted) * 1000 / metrics.rows
    kept = table if spec.decision is not None and isinstance(table, ScoreTable) else None
    return Measured(metrics.figures(), ended - started, scoring, numbers_held(model), kept)


def shared_stages(
    spec: ModelSpec, points: Sequence[GridPoint], schema: StructType
) -> Iterator[list[tuple[Hashable, Stage]]]:
    """The stages of each grid point but the last one; they are the same objects for all."""
    shared = feature_stages(spec, schema)
    reduced = [*shared, *component_stages(spec)]
    for point in points:
        yield [(stage.uid, stage) for stage in (reduced if point.on == "pca" else shared)]
