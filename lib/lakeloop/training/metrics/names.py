"""What a model may be chosen by, and which way is better."""

from math import isnan
from typing import Literal, get_args

Task = Literal["binary", "regression"]
BinaryMetric = Literal["area_under_roc", "area_under_pr", "accuracy", "precision", "recall", "f1", "log_loss", "brier"]
RegressionMetric = Literal["r2", "rmse", "mae", "mape"]
Metric = BinaryMetric | RegressionMetric
METRICS: dict[Task, tuple[Metric, ...]] = {"binary": get_args(BinaryMetric), "regression": get_args(RegressionMetric)}
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})


def loss(metric: Metric, value: float) -> float:
    """The value with its sign turned where more is better, so that less is; NaN, a metric undefined, is the worst."""
    if isnan(value):
        return float("inf")
    return value if metric in LOWER_IS_BETTER else -value
