"""What a model may be chosen by, and which way is better."""

from typing import Literal, get_args

Task = Literal["binary", "regression"]
BinaryMetric = Literal[
    "area_under_roc",
    "area_under_pr",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "log_loss",
    "brier",
    "f_beta",
    "mcc",
    "lift",
    "expected_calibration_error",
    "cost",
]
RegressionMetric = Literal["r2", "rmse", "mae", "mape"]
Metric = BinaryMetric | RegressionMetric
METRICS: dict[Task, tuple[Metric, ...]] = {"binary": get_args(BinaryMetric), "regression": get_args(RegressionMetric)}
LOWER_IS_BETTER: frozenset[Metric] = frozenset(
    {"log_loss", "brier", "expected_calibration_error", "cost", "rmse", "mae", "mape"}
)
# These ask of a score that it be a probability, which the margin of a linear SVM is not before it is calibrated.
OF_PROBABILITIES: frozenset[Metric] = frozenset({"log_loss", "brier", "expected_calibration_error"})
