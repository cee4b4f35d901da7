"""Metrics of a binary classifier from a table of its scores, with driver memory that does not grow with the rows.

All follow from rows per class and score cell (`score_table.py`), so 0.5 is a cell boundary and the confusion matrix is
exactly that of Spark's `prediction`. Scores in one cell count as tied. Log loss and Brier score take the middle of the
cell, never nearer than 5e-5 to 0 or 1: that moves the Brier score by 1e-4 at most and caps a row's log loss at 9.9.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.binary_figures import (
    Reliability,
    binary_figures,
    confusion,
    reliability_bins,
)
from lakeloop.training.metrics.intervals import Interval, interval
from lakeloop.training.metrics.names import METRICS, Metric
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.metrics.yardstick import Yardstick

CURVE_STEPS = 200
PLAIN = Yardstick()


class OperatingPoint(NamedTuple):
    """What follows from calling scores above `threshold` positive: one point of the ROC and of the PR curve."""

    threshold: float
    false_positive_rate: float
    recall: float
    precision: float


@dataclass(frozen=True)
class BinaryMetrics:
    """Metrics of one set of scored rows; what each is stands in `binary_figures`.

    `cost` is None where no costs are declared. Intervals are 95 % bootstrap percentiles that resample rows within each
    class. `curve` runs from the highest threshold down, thinned to steps of about 0.01 in false positive rate plus
    recall.
    """

    rows: int
    positives: int
    area_under_roc: float
    area_under_pr: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    log_loss: float
    brier: float
    f_beta: float
    mcc: float
    lift: float
    expected_calibration_error: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    curve: tuple[OperatingPoint, ...]
    reliability: tuple[Reliability, ...]
    threshold: float = 0.5
    beta: float = 2.0
    top: float = 0.1
    cost: float | None = None
    intervals: Mapping[Metric, Interval] = field(default_factory=dict)

    def figures(self) -> dict[Metric, float]:
        """The numbers that `select_by` can name; `cost` where costs are declared."""
        values = {name: getattr(self, name) for name in METRICS["binary"]}
        return {name: float(value) for name, value in values.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; `curve` and `reliability` as lists of mappings."""
        curve, bins = ([point._asdict() for point in points] for points in (self.curve, self.reliability))
        return {**asdict(self), "curve": curve, "reliability": bins}


def measure(table: ScoreTable, resamples: int = 200, seed: int = 0, by: Yardstick = PLAIN) -> BinaryMetrics:
    """All metrics of a score table; `resamples` = 0 leaves out the intervals.

    Raises TrainingError where one of the classes has no row: then no curve is defined.
    """
    positives, negatives = int(table.positives.sum()), int(table.negatives.sum())
    if not positives or not negatives:
        raise TrainingError(
            f"metrics need rows of both classes, found {positives} positive and {negatives} negative; "
            "score more rows or fewer folds"
        )
    used = np.flatnonzero(table.rows)[::-1]
    pos, neg = table.positives[used], table.negatives[used]
    tp, fp = (int(count) for count in confusion(used, pos, neg, by))
    figures = {str(name): float(value) for name, value in binary_figures(used, pos, neg, by).items()}
    return BinaryMetrics(
        rows=positives + negatives,
        positives=positives,
        true_positives=tp,
        false_positives=fp,
        true_negatives=negatives - fp,
        false_negatives=positives - tp,
        curve=_curve(used, pos, neg),
        reliability=reliability_bins(used, pos, neg),
        threshold=by.threshold,
        beta=by.beta,
        top=by.top,
        intervals=_intervals(used, pos, neg, by, resamples, seed) if resamples else {},
        **figures,
    )


def _intervals(
    used: NDArray[np.intp], pos: NDArray[np.int64], neg: NDArray[np.int64], by: Yardstick, resamples: int, seed: int
) -> dict[Metric, Interval]:
    # Resampling rows with replacement is a multinomial draw of cell counts; class sizes stay as the split fixed them.
    draw = np.random.default_rng(seed)
    pos_draws = draw.multinomial(pos.sum(), pos / pos.sum(), size=resamples)
    neg_draws = draw.multinomial(neg.sum(), neg / neg.sum(), size=resamples)
    drawn = binary_figures(used, pos_draws, neg_draws, by)
    return {name: found for name, values in drawn.items() if (found := interval(values)) is not None}


def _curve(used: NDArray[np.intp], pos: NDArray[np.int64], neg: NDArray[np.int64]) -> tuple[OperatingPoint, ...]:
    tp, fp = np.cumsum(pos), np.cumsum(neg)
    recall, false_positive_rate = tp / tp[-1], fp / fp[-1]
    steps = np.searchsorted(recall + false_positive_rate, np.linspace(0, 2, CURVE_STEPS + 1))
    points = [OperatingPoint(1.0, 0.0, 0.0, 1.0)]
    for i in np.unique(steps):
        threshold = max(int(used[i]) - 1, 0) / CELLS
        points.append(
            OperatingPoint(threshold, float(false_positive_rate[i]), float(recall[i]), float(tp[i] / (tp[i] + fp[i])))
        )
    return tuple(points)
