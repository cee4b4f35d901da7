"""What is kept of a decision: calibration before and after, and what each threshold would have done."""

from typing import Any, NamedTuple

from lakeloop.training.decision.calibrating import Isotonic, Platt
from lakeloop.training.decision.rule import DecisionRule
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.yardstick import Costs
from lakeloop.training.spec.model import ModelSpec


class ThresholdPoint(NamedTuple):
    """What follows from calling rows with scores above `threshold` positive; `called` is their share of all.

    `cost` is per row, None where no costs are declared.
    """

    threshold: float
    called: float
    precision: float
    recall: float
    f1: float
    cost: float | None


def threshold_points(metrics: BinaryMetrics, costs: Costs | None) -> tuple[ThresholdPoint, ...]:
    """A point for each of `metrics.curve`, from the highest threshold down."""
    positives, negatives = metrics.positives, metrics.rows - metrics.positives
    points = []
    for at in metrics.curve:
        tp, fp = at.recall * positives, at.false_positive_rate * negatives
        cost = None
        if costs is not None:
            cost = (fp * costs.false_positive + (positives - tp) * costs.false_negative) / metrics.rows
        f1 = 2 * tp / (positives + tp + fp)
        points.append(ThresholdPoint(at.threshold, (tp + fp) / metrics.rows, at.precision, at.recall, f1, cost))
    return tuple(points)


def decision_record(
    spec: ModelSpec, rule: DecisionRule, test: BinaryMetrics, uncalibrated: BinaryMetrics | None
) -> dict[str, Any]:
    """The rule, and what it comes to out of fold and on the held-out rows, as JSON-ready values.

    `test` and `uncalibrated` are the metrics of the held-out rows after and before calibration, `uncalibrated` being
    None where nothing is calibrated. The rule was fitted on the rows that are out of fold, so these flatter it.
    """
    declared, costs = spec.decision, spec.yardstick(rule.threshold).costs
    sides = {
        "out_of_fold": (rule.before if rule.curve is not None else None, rule.after),
        "held_out": (uncalibrated, test),
    }
    return {
        "calibrate": None if declared is None else declared.calibrate,
        "curve": _curve(rule.curve),
        "threshold": rule.threshold,
        "chosen": None if declared is None else declared.threshold,
        "costs": None if costs is None else costs._asdict(),
        **{
            side: {
                "before": None if before is None else _calibration(before),
                "after": _calibration(after),
                "thresholds": [point._asdict() for point in threshold_points(after, costs)],
            }
            for side, (before, after) in sides.items()
        },
    }


def calibration_errors(rule: DecisionRule, uncalibrated: BinaryMetrics | None) -> dict[str, float]:
    """Expected calibration errors by a name that says of what; none where nothing is calibrated.

    That of the held-out rows after calibration is a metric of the test like any other.
    """
    if rule.curve is None or uncalibrated is None:
        return {}
    of = {"out_of_fold_before": rule.before, "out_of_fold_after": rule.after, "test_before": uncalibrated}
    return {f"calibration_error_{name}": metrics.expected_calibration_error for name, metrics in of.items()}


def _calibration(metrics: BinaryMetrics) -> dict[str, Any]:
    return {
        "rows": metrics.rows,
        "positives": metrics.positives,
        "expected_calibration_error": metrics.expected_calibration_error,
        "brier": metrics.brier,
        "log_loss": metrics.log_loss,
        "reliability": [point._asdict() for point in metrics.reliability],
    }


def _curve(curve: Isotonic | Platt | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    if isinstance(curve, Platt):
        return {"slope": curve.slope, "intercept": curve.intercept}
    return {"scores": list(curve.scores), "shares": list(curve.shares)}
