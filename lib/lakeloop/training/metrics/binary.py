"""Metrics of a binary classifier from one Spark pass, with driver memory that does not grow with the rows.

Spark counts rows per class and score cell, 10,001 cells of width 1e-4, so at most 20,002 counts reach the driver. All
metrics follow from these counts. Cell `c` holds the scores in ((c - 1) / 10,000, c / 10,000], so 0.5 is a cell boundary
and the confusion matrix is exactly that of Spark's `prediction`. Scores in one cell count as tied. Log loss and Brier
score take the middle of the cell, never nearer than 5e-5 to 0 or 1: that moves the Brier score by at most 1e-4 and caps
the log loss of a row at 9.9.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.names import METRICS, Metric

CELLS = 10_000
CURVE_STEPS = 200
Interval = tuple[float, float]


class OperatingPoint(NamedTuple):
    """What follows from calling scores above `threshold` positive: one point of the ROC and of the PR curve."""

    threshold: float
    false_positive_rate: float
    recall: float
    precision: float


@dataclass(frozen=True)
class BinaryMetrics:
    """Metrics of one set of scored rows; where nothing is predicted positive, precision is 0.

    `area_under_pr` is average precision, sum((R_n - R_{n-1}) * P_n) without interpolation (scikit-learn's definition).
    Intervals are 95 % bootstrap percentiles that resample rows within each class. `curve` runs from the highest
    threshold down, thinned to steps of about 0.01 in false positive rate plus recall.
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
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    curve: tuple[OperatingPoint, ...]
    area_under_roc_interval: Interval | None = None
    area_under_pr_interval: Interval | None = None

    def figures(self) -> dict[Metric, float]:
        """The eight numbers that `select_by` can name."""
        return {name: float(getattr(self, name)) for name in METRICS["binary"]}

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; `curve` as a list of mappings."""
        return {**asdict(self), "curve": [point._asdict() for point in self.curve]}


@dataclass(frozen=True)
class ScoreTable:
    """Rows per score cell: two arrays of int64, shape (10,001,), index = cell."""

    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    @classmethod
    def of(cls, scored: DataFrame, label_col: str, probability_col: str = "probability") -> Self:
        """Count rows with a label of 1.0 or 0.0 and a vector of two class probabilities, in one pass."""
        score = vector_to_array(F.col(probability_col))[1]
        cells = scored.select(F.ceil(score * CELLS).cast("int").alias("cell"), F.col(label_col).alias("label"))
        counts = np.zeros((2, CELLS + 1), dtype=np.int64)
        for cell, label, rows in cells.groupBy("cell", "label").count().collect():
            counts[int(label), cell] += rows
        return cls(positives=counts[1], negatives=counts[0])


def measure(table: ScoreTable, resamples: int = 200, seed: int = 0) -> BinaryMetrics:
    """All metrics of a score table; `resamples` = 0 leaves the intervals None.

    Raises TrainingError where one of the classes has no row: then no curve is defined.
    """
    positives, negatives = int(table.positives.sum()), int(table.negatives.sum())
    if not positives or not negatives:
        raise TrainingError(
            f"metrics need rows of both classes, found {positives} positive and {negatives} negative; "
            "score more rows or fewer folds"
        )
    used = np.flatnonzero(table.positives + table.negatives)[::-1]
    pos, neg = table.positives[used], table.negatives[used]
    above = used > CELLS // 2
    tp, fp = int(pos[above].sum()), int(neg[above].sum())
    precision, recall = tp / (tp + fp) if tp + fp else 0.0, tp / positives
    middle = np.clip((used - 0.5) / CELLS, 0.5 / CELLS, 1 - 0.5 / CELLS)
    rows = positives + negatives
    intervals = _intervals(pos, neg, resamples, seed) if resamples else (None, None)
    return BinaryMetrics(
        rows=rows,
        positives=positives,
        area_under_roc=float(_area_under_roc(pos, neg)),
        area_under_pr=float(_average_precision(pos, neg)),
        accuracy=(tp + negatives - fp) / rows,
        precision=precision,
        recall=recall,
        f1=2 * tp / (positives + tp + fp),
        log_loss=float(-(pos @ np.log(middle) + neg @ np.log1p(-middle)) / rows),
        brier=float((pos @ (1 - middle) ** 2 + neg @ middle**2) / rows),
        true_positives=tp,
        false_positives=fp,
        true_negatives=negatives - fp,
        false_negatives=positives - tp,
        curve=_curve(used, pos, neg),
        area_under_roc_interval=intervals[0],
        area_under_pr_interval=intervals[1],
    )


def _area_under_roc(pos: NDArray[np.int64], neg: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of (positive, negative) pairs in the right order, ties half; cells descend along the last axis."""
    ahead = np.cumsum(pos, axis=-1) - pos / 2
    area: NDArray[np.float64] = (neg * ahead).sum(axis=-1) / (pos.sum(axis=-1) * neg.sum(axis=-1))
    return area


def _average_precision(pos: NDArray[np.int64], neg: NDArray[np.int64]) -> NDArray[np.float64]:
    called = np.maximum(np.cumsum(pos + neg, axis=-1), 1)
    area: NDArray[np.float64] = (pos * np.cumsum(pos, axis=-1) / called).sum(axis=-1) / pos.sum(axis=-1)
    return area


def _intervals(pos: NDArray[np.int64], neg: NDArray[np.int64], resamples: int, seed: int) -> tuple[Interval, Interval]:
    # Resampling rows with replacement is a multinomial draw of cell counts; class sizes stay as the split fixed them.
    draw = np.random.default_rng(seed)
    pos_draws = draw.multinomial(pos.sum(), pos / pos.sum(), size=resamples)
    neg_draws = draw.multinomial(neg.sum(), neg / neg.sum(), size=resamples)
    roc = np.percentile(_area_under_roc(pos_draws, neg_draws), (2.5, 97.5))
    pr = np.percentile(_average_precision(pos_draws, neg_draws), (2.5, 97.5))
    return (float(roc[0]), float(roc[1])), (float(pr[0]), float(pr[1]))


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
