"""A small model file, which tests change where it matters to them, and the metrics of rows that are given by score."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lakeloop.training.metrics.binary import BinaryMetrics, measure
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.metrics.yardstick import Yardstick
from lakeloop.training.spec.model import ModelSpec


def model_file(**changes: Any) -> dict[str, Any]:
    """Who leaves (`churn` is "Yes") by age, two folds, one logistic regression; `changes` replace whole keys."""
    declared: dict[str, Any] = {
        "model": "churn",
        "description": "Who leaves",
        "owner": "data-science",
        "table": "gold.features",
        "key": "id",
        "label": {"column": "churn", "positive": "Yes"},
        "split": {"test": 0.25, "seed": 1},
        "folds": {"count": 2, "seed": 1},
        "features": {"numeric": ["age"]},
        "candidates": [{"logistic_regression": {}}],
        "scores": "gold.scores",
    }
    return declared | changes


def model_spec(**changes: Any) -> ModelSpec:
    """The same, parsed; raises pydantic's ValidationError."""
    return ModelSpec.model_validate(model_file(**changes))


def measured(
    positives: Mapping[float, int], negatives: Mapping[float, int], by: Yardstick | None = None, resamples: int = 200
) -> BinaryMetrics:
    """Metrics of rows given as score to number of rows; a score is in the cell that ends with it."""
    counts = np.zeros((2, CELLS + 1), dtype=np.int64)
    for line, rows in zip(counts, (positives, negatives), strict=True):
        for score, number in rows.items():
            line[round(score * CELLS)] += number
    return measure(ScoreTable(*counts), resamples, by=by or Yardstick())
