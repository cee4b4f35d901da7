"""The figures of a binary classifier, of one table of scores or of many at a time.

Each takes `used`, the cells that hold rows in descending order, and rows per cell of each class along the last axis;
axes before it are sets of rows (the draws of a bootstrap) that are measured in one go.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakeloop.training.metrics.names import BinaryMetric
from lakeloop.training.metrics.score_table import CELLS, cell_below, middles
from lakeloop.training.metrics.yardstick import Yardstick

BINS = 10
Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


class Reliability(NamedTuple):
    """Rows whose scores are in one tenth of [0, 1]: their mean score beside the share that is positive."""

    mean_score: float
    positive_share: float
    rows: int


def confusion(used: NDArray[np.intp], pos: Counts, neg: Counts, by: Yardstick) -> tuple[Counts, Counts]:
    """True and false positives."""
    above = used > cell_below(by.threshold)
    return pos[..., above].sum(axis=-1), neg[..., above].sum(axis=-1)


def binary_figures(used: NDArray[np.intp], pos: Counts, neg: Counts, by: Yardstick) -> dict[BinaryMetric, Figures]:
    """Every metric; `cost`, per row, where costs are declared. Each class has rows.

    `area_under_pr` is average precision, sum((R_n - R_{n-1}) * P_n) without interpolation (scikit-learn's definition).
    Where nothing is called positive, precision is 0; where one class alone is called, MCC (Matthews 1975) is 0.
    `lift` is the share of positives among the `top` rows over that among all; of the cell on the border a share counts.
    `expected_calibration_error` is sum(rows_b / rows * |mean score_b - share of positives_b|) over ten bins of equal
    width (Naeini, Cooper & Hauskrecht 2015).
    """
    positives, negatives = pos.sum(axis=-1), neg.sum(axis=-1)
    rows = positives + negatives
    tp, fp = confusion(used, pos, neg, by)
    fn, tn = positives - tp, negatives - fp
    middle = middles(used)
    weight = by.beta**2
    figures: dict[BinaryMetric, Figures] = {
        "area_under_roc": _area_under_roc(pos, neg),
        "area_under_pr": _average_precision(pos, neg),
        "accuracy": (tp + negatives - fp) / rows,
        "precision": tp / np.maximum(tp + fp, 1),
        "recall": tp / positives,
        "f1": 2 * tp / (positives + tp + fp),
        "log_loss": -(pos @ np.log(middle) + neg @ np.log1p(-middle)) / rows,
        "brier": (pos @ (1 - middle) ** 2 + neg @ middle**2) / rows,
        "f_beta": (1 + weight) * tp / ((1 + weight) * tp + weight * fn + fp),
        "mcc": _matthews(*(np.asarray(count, dtype=np.float64) for count in (tp, fp, tn, fn))),
        "lift": _lift(pos, neg, by.top),
        "expected_calibration_error": _calibration_error(used, pos, neg),
    }
    if by.costs is not None:
        figures["cost"] = (fp * by.costs.false_positive + fn * by.costs.false_negative) / rows
    return figures


def reliability_bins(used: NDArray[np.intp], pos: Counts, neg: Counts) -> tuple[Reliability, ...]:
    """Mean score and share of positives in each tenth of [0, 1] that has rows, ascending."""
    is_in = _bins(used)
    rows, positives, scores = (pos + neg) @ is_in, pos @ is_in, ((pos + neg) * middles(used)) @ is_in
    return tuple(
        Reliability(float(scores[at] / rows[at]), float(positives[at] / rows[at]), int(rows[at]))
        for at in np.flatnonzero(rows)
    )


def _area_under_roc(pos: Counts, neg: Counts) -> Figures:
    """Share of (positive, negative) pairs in the right order, ties half; cells descend along the last axis."""
    ahead = np.cumsum(pos, axis=-1) - pos / 2
    area: Figures = (neg * ahead).sum(axis=-1) / (pos.sum(axis=-1) * neg.sum(axis=-1))
    return area


def _average_precision(pos: Counts, neg: Counts) -> Figures:
    called = np.maximum(np.cumsum(pos + neg, axis=-1), 1)
    area: Figures = (pos * np.cumsum(pos, axis=-1) / called).sum(axis=-1) / pos.sum(axis=-1)
    return area


def _matthews(tp: Figures, fp: Figures, tn: Figures, fn: Figures) -> Figures:
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    coefficient: Figures = (tp * tn - fp * fn) / np.sqrt(np.maximum(product, 1))
    return coefficient


def _lift(pos: Counts, neg: Counts, top: float) -> Figures:
    in_cell = pos + neg
    called = np.cumsum(in_cell, axis=-1)
    wanted = called[..., -1:] * top
    taken = np.clip((wanted - (called - in_cell)) / np.maximum(in_cell, 1), 0, 1)
    share: Figures = (pos * taken).sum(axis=-1) / wanted[..., 0]
    lift: Figures = share / (pos.sum(axis=-1) / called[..., -1])
    return lift


def _calibration_error(used: NDArray[np.intp], pos: Counts, neg: Counts) -> Figures:
    gap = pos - (pos + neg) * middles(used)
    error: Figures = np.abs(gap @ _bins(used)).sum(axis=-1) / (pos + neg).sum(axis=-1)
    return error


def _bins(used: NDArray[np.intp]) -> Figures:
    """Of each cell, which bin it is in: shape (cells, bins), a single 1 in each row."""
    at = np.clip((used - 1) // (CELLS // BINS), 0, BINS - 1)
    is_in: Figures = (at[:, None] == np.arange(BINS)).astype(np.float64)
    return is_in
