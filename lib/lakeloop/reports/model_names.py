"""Metrics as people call them."""

from lakeloop.training.metrics.names import Metric

METRIC_NAMES: dict[Metric, str] = {
    "area_under_roc": "area under ROC",
    "area_under_pr": "average precision",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "log_loss": "log loss",
    "brier": "Brier score",
    "f_beta": "F-beta",
    "mcc": "Matthews correlation",
    "lift": "lift",
    "expected_calibration_error": "expected calibration error",
    "cost": "cost per row",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "mape": "mean |error / label|",
}
