"""The score above which a row is called positive."""

import math

import numpy as np

from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.metrics.yardstick import Costs
from lakeloop.training.spec.decision import Choice


def best_threshold(table: ScoreTable, choice: Choice, costs: Costs | None) -> float:
    """The threshold, of four decimals, with the least cost or the best F1 on the rows of a table.

    It lies midway between the scores that it parts; of equally good ones it is the highest. Scores of 0 are never
    called positive. For calibrated probabilities the least cost is near false_positive / (false_positive +
    false_negative) (Elkan 2001, "The Foundations of Cost-Sensitive Learning").
    """
    used = np.flatnonzero(table.rows)[::-1]
    called = used[used > 0]
    tp = np.concatenate([[0], np.cumsum(table.positives[called])])
    fp = np.concatenate([[0], np.cumsum(table.negatives[called])])
    positives = int(table.positives.sum())
    if choice == "by_cost":
        assert costs is not None
        loss = fp * costs.false_positive + (positives - tp) * costs.false_negative
    else:
        loss = -2 * tp / (positives + tp + fp)
    at = int(np.argmin(loss))  # the first `at` cells are called
    above = int(called[at - 1]) if at else CELLS
    rest = used[at:]
    below = int(rest[0]) if len(rest) else 0
    return ((above + below) // 2) / CELLS


def exact_threshold(threshold: float) -> float:
    """The largest double whose cell is not above a threshold of four decimals.

    A score is above it exactly where its cell is, also where score * 10,000 is rounded to a whole number.
    """
    cell, edge = round(threshold * CELLS), threshold
    while math.ceil(edge * CELLS) > cell:
        edge = math.nextafter(edge, 0.0)
    while math.ceil(math.nextafter(edge, 1.0) * CELLS) <= cell and edge < 1:
        edge = math.nextafter(edge, 1.0)
    return edge
