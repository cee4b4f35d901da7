"""How a model decides: are its scores probabilities, before and after calibration, and what does a threshold cost?"""

from collections.abc import Mapping

import plotly.graph_objects as go

from lakeloop.reports.charts import ACCENT, ALERT, NEUTRAL, figure
from lakeloop.reports.model_charts import PIXELS, from_zero, reliability_curve
from lakeloop.reports.page import Chart, Section, Table
from lakeloop.training.decision.record import threshold_points
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.yardstick import Costs
from lakeloop.training.spec.decision import Decision
from lakeloop.training.train import TrainingResult

OUT_OF_FOLD, HELD_OUT = "out of fold", "held-out rows"
BEFORE, AFTER = "before", "calibrated"
FITTED = (
    " What is fitted of it was fitted to the scores of rows out of fold, where figures flatter it; the held-out rows "
    "had no part in it."
)
TOP_SHARE = 0.01
Sides = dict[str, dict[str, BinaryMetrics]]


def decision_section(result: TrainingResult) -> Section | None:
    """Reliability out of fold and on held-out rows, and the curve that the threshold was chosen on.

    None where the model file declares no decision.
    """
    declared, rule = result.spec.decision, result.decision
    if declared is None or rule is None:
        return None
    sides = _sides(result)
    costs = result.spec.yardstick(rule.threshold).costs
    charts = [Chart(_threshold_caption(declared, costs), _threshold_curve(sides, declared, costs))]
    if declared.calibrate is not None:
        charts = [Chart(f"Calibration, {side}", reliability_curve(sides[side])) for side in sides] + charts
    return Section(
        title="How it decides",
        intro=f"{said_of_decision(result)}{FITTED if declared.is_fitted else ''}",
        charts=tuple(charts),
        tables=tuple(_bins(side, of) for side, of in sides.items()) if declared.calibrate is not None else (),
    )


def said_of_decision(result: TrainingResult) -> str:
    """Calibration, threshold and what they came to, in a sentence or two."""
    declared, rule = result.spec.decision, result.decision
    if declared is None or rule is None:
        return "Scores are taken as they are."
    costs = result.spec.yardstick(rule.threshold).costs
    why = {
        "by_cost": "the least cost",
        "best_f1": "the best F1",
    }.get(str(declared.threshold), "as declared" if "threshold" in declared.model_fields_set else "the default")
    if costs is not None:
        why += f"; a false positive costs {costs.false_positive:g}, a false negative {costs.false_negative:g}"
    threshold = f"Rows with scores above {rule.threshold:g} are called positive ({why})."
    if declared.calibrate is None:
        return f"{threshold} Scores are not calibrated."
    errors = [
        f"from {of[BEFORE].expected_calibration_error:.4f} to {of[AFTER].expected_calibration_error:.4f} {side}"
        for side, of in ((OUT_OF_FOLD, _sides(result)[OUT_OF_FOLD]), ("on held-out rows", _sides(result)[HELD_OUT]))
        if BEFORE in of
    ]
    return f"{threshold} Calibration ({declared.calibrate}) took the expected calibration error {', '.join(errors)}."


def _sides(result: TrainingResult) -> Sides:
    rule, test = result.decision, result.test
    if rule is None or not isinstance(test, BinaryMetrics):
        return {}
    before = {} if rule.curve is None else {BEFORE: rule.before}
    before_test = {} if result.uncalibrated is None else {BEFORE: result.uncalibrated}
    return {OUT_OF_FOLD: {**before, AFTER: rule.after}, HELD_OUT: {**before_test, AFTER: test}}


def _bins(side: str, of: Mapping[str, BinaryMetrics]) -> Table:
    """A line per tenth of [0, 1] in which there are scores, before or after."""
    placed = {
        name: {min(int(point.mean_score * 10), 9): point for point in metrics.reliability}
        for name, metrics in of.items()
    }
    tenths = sorted({tenth for points in placed.values() for tenth in points})
    return Table(
        f"Scores and shares of positives, {side}",
        ("scores", *(f"{name}: {what}" for name in placed for what in ("rows", "mean score", "share positive"))),
        tuple(
            (
                f"{tenth / 10:.1f}\u00a0to\u00a0{(tenth + 1) / 10:.1f}",
                *(
                    value
                    for points in placed.values()
                    for value in (
                        (points[tenth].rows, points[tenth].mean_score, points[tenth].positive_share)
                        if tenth in points
                        else (0, None, None)
                    )
                ),
            )
            for tenth in tenths
        ),
    )


def _shows_cost(declared: Decision, costs: Costs | None) -> bool:
    return costs is not None and declared.threshold != "best_f1"


def _threshold_caption(declared: Decision, costs: Costs | None) -> str:
    return "Cost per row by threshold" if _shows_cost(declared, costs) else "F1 by threshold"


def _threshold_curve(sides: Sides, declared: Decision, costs: Costs | None) -> go.Figure:
    """Cost or F1 over the threshold, out of fold and on held-out rows, with the threshold of the model on both."""
    name = "cost" if _shows_cost(declared, costs) else "f1"
    traces, highest = [], 0.0
    for side, color, dash in ((HELD_OUT, NEUTRAL, "dot"), (OUT_OF_FOLD, ACCENT, "solid")):
        metrics = sides[side][AFTER]
        points = threshold_points(metrics, costs)
        highest = max(highest, *(point.threshold for point in points if point.called >= TOP_SHARE))
        traces.append(
            go.Scatter(
                name=side,
                x=[point.threshold for point in points],
                y=[getattr(point, name) for point in points],
                customdata=[point.called for point in points],
                mode="lines",
                line={"color": color, "width": 2.5, "dash": dash, "shape": "hv"},
                hovertemplate="above %{x:.4f}: %{y:.4f}, %{customdata:.1%} of rows<extra>%{fullData.name}</extra>",
            )
        )
    chosen = sides[OUT_OF_FOLD][AFTER]
    traces.append(
        go.Scatter(
            name=f"threshold {chosen.threshold:g}",
            x=[chosen.threshold],
            y=[getattr(chosen, name)],
            mode="markers",
            marker={"color": ALERT, "size": 10},
            hovertemplate="threshold %{x:.4f}: %{y:.4f}<extra></extra>",
        )
    )
    # Scores of a rare class are small: on an axis up to 1 the curve would be a line at its left edge.
    end = min(1.0, max(highest, chosen.threshold) * 1.1)
    xaxis = {"title": "threshold", "range": [-0.02 * end, end], "nticks": 6}
    title = "mean cost per row" if name == "cost" else "F1"
    yaxis = {"title": title, **from_zero(value for trace in traces for value in trace.y)}
    return figure(traces, PIXELS, xaxis=xaxis, yaxis=yaxis)
