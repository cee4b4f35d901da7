"""Nested cross-validation: how good is what this model file does, all of it, on rows that it had no say over?

The mean of the winner over its folds is too good, since it won there by luck as well (Cawley & Talbot 2010, "On
Over-fitting in Model Selection"). Here the rows are dealt into outer folds; on those that train, everything is done
from the start (inner folds, search, choice, last fit), and the outcome is measured on the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean, stdev

from pyspark.sql import DataFrame

from lakeloop.training.algorithms import FOLD_COL, GridPoint
from lakeloop.training.folds.dealing import deal_folds, folds_of
from lakeloop.training.metrics.measuring import Metrics
from lakeloop.training.metrics.names import Metric
from lakeloop.training.spec.model import ModelSpec

OUTER_SEED = 1_000  # outer folds that are dealt like the inner ones would be the same ones
Fitted = Callable[[DataFrame, DataFrame, int], tuple[GridPoint, Metrics]]


@dataclass(frozen=True)
class OuterFold:
    """What won on the rows of the other outer folds, and its metrics on the rows of this one."""

    winner: GridPoint
    metrics: Metrics


@dataclass(frozen=True)
class NestedEstimate:
    """The whole procedure, measured on each outer fold."""

    folds: tuple[OuterFold, ...]

    @property
    def mean(self) -> dict[Metric, float]:
        """Mean of each metric over the outer folds."""
        return {name: fmean(values) for name, values in self._by_metric()}

    @property
    def std(self) -> dict[Metric, float]:
        """Sample standard deviation (n - 1) of each metric over the outer folds."""
        return {name: stdev(values) for name, values in self._by_metric()}

    def _by_metric(self) -> Iterator[tuple[Metric, list[float]]]:
        figures = [fold.metrics.figures() for fold in self.folds]
        return ((name, [each[name] for each in figures]) for name in figures[0])


def outer_folds(spec: ModelSpec, rows: DataFrame) -> list[tuple[DataFrame, DataFrame]]:
    """The rows to search on and to measure on, for each outer fold; dealt as `folds` says, by time in order of time.

    `rows` has the features, `_label` and no fold yet. No row is on both sides of an outer fold, nor is a group.
    """
    of = spec.folds
    outer = of.model_copy(update={"count": of.nested, "repeats": 1, "seed": of.seed + OUTER_SEED})
    declared = spec.model_copy(update={"folds": outer})
    dealt = deal_folds(declared, rows)
    fold_col = f"{FOLD_COL}_0"
    return [(train.drop(fold_col), test.drop(fold_col)) for train, test in folds_of(declared, dealt)]


def nested_estimate(spec: ModelSpec, rows: DataFrame, fitted: Fitted) -> NestedEstimate:
    """Measure `fitted(train, measure, number)`, which searches, chooses and fits on `train` alone, fold by fold."""
    found = [fitted(train, test, number) for number, (train, test) in enumerate(outer_folds(spec, rows))]
    return NestedEstimate(tuple(OuterFold(point, metrics) for point, metrics in found))
