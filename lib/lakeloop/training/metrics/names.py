"""What a model may be chosen by, and which way is better."""

from typing import Literal, get_args

Task = Literal["binary", "regression"]
BinaryMetric = Literal["area_under_roc", "area_under_pr", "accuracy", "precision", "recall", "f1", "log_loss", "brier"]
RegressionMetric = Literal["r2", "rmse", "mae", "mape"]
Metric = BinaryMetric | RegressionMetric
METRICS: dict[Task, tuple[Metric, ...]] = {"binary": get_args(BinaryMetric), "regression": get_args(RegressionMetric)}
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})
