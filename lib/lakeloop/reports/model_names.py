"""Metrics as people call them."""

from collections.abc import Iterable

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

COMPARED_BY: tuple[Metric, ...] = (
    *("area_under_roc", "area_under_pr", "f1", "mcc", "cost", "log_loss", "brier"),
    *("r2", "rmse", "mae", "mape"),
)


def metrics_shown(measured: Iterable[Metric], first: Metric) -> list[Metric]:
    """What a table of candidates has columns for: the metric that decides, then those of `measured` that say most."""
    return [first, *(metric for metric in measured if metric in COMPARED_BY and metric != first)]
