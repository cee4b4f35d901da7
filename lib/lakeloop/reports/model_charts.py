"""Figures of one model: ROC and precision/recall curves, confusion matrix, scores; predictions beside labels."""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

import plotly.graph_objects as go

from lakeloop.reports.charts import ACCENT, ALERT, NEUTRAL, figure
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.regression import RegressionMetrics

PIXELS = 340
# Opaque: plotly picks black or white for the text of a cell from the colour of the cell.
SHADES = ((0.0, "#eef6f6"), (0.6, "#a3cfcf"), (1.0, "#0b6e70"))


def roc_curve(metrics: BinaryMetrics) -> go.Figure:
    """Recall over the false positive rate, the diagonal of guessing, and the threshold."""
    negatives = metrics.rows - metrics.positives
    curve = go.Scatter(
        name=f"model, area {metrics.area_under_roc:.4f}",
        x=[point.false_positive_rate for point in metrics.curve],
        y=[point.recall for point in metrics.curve],
        **_curve([point.threshold for point in metrics.curve]),
    )
    guessing = _reference("guessing, area 0.5", (0, 1), (0, 1))
    chosen = _threshold(metrics.threshold, metrics.false_positives / negatives, metrics.recall)
    return _square([guessing, curve, chosen], "false positive rate", "recall")


def precision_recall_curve(metrics: BinaryMetrics) -> go.Figure:
    """Precision over recall, the base rate that guessing reaches, and the threshold."""
    base_rate = metrics.positives / metrics.rows
    curve = go.Scatter(
        name=f"model, average {metrics.area_under_pr:.4f}",
        x=[point.recall for point in metrics.curve],
        y=[point.precision for point in metrics.curve],
        **_curve([point.threshold for point in metrics.curve]),
    )
    guessing = _reference(f"base rate {base_rate:.3f}", (0, 1), (base_rate, base_rate))
    return _square(
        [guessing, curve, _threshold(metrics.threshold, metrics.recall, metrics.precision)], "recall", "precision"
    )


def reliability_curve(scores: Mapping[str, BinaryMetrics]) -> go.Figure:
    """Share of positives over the mean score in each tenth of [0, 1]; of probabilities, both are the same.

    `scores` are one or two kinds of scores by name, the model's own last. A point is as large as its share of the rows.
    """
    colors = (ALERT, ACCENT)[-len(scores) :]
    points = [
        go.Scatter(
            name=f"{name}, expected error {metrics.expected_calibration_error:.4f}",
            x=[point.mean_score for point in metrics.reliability],
            y=[point.positive_share for point in metrics.reliability],
            customdata=[point.rows for point in metrics.reliability],
            mode="lines+markers",
            line={"color": color, "width": 1.5},
            marker={
                "color": color,
                "size": [6 + 12 * sqrt(point.rows / metrics.rows) for point in metrics.reliability],
            },
            hovertemplate="score %{x:.3f}, positive %{y:.1%} of %{customdata:,} rows<extra>%{fullData.name}</extra>",
        )
        for (name, metrics), color in zip(scores.items(), colors, strict=True)
    ]
    return _square([_reference("probabilities", (0, 1), (0, 1)), *points], "mean score", "share of positives")


def lift_curve(metrics: BinaryMetrics) -> go.Figure:
    """How many times as many positives there are among the rows with the highest scores as among all."""
    base_rate = metrics.positives / metrics.rows
    points = [point for point in metrics.curve if point.recall + point.false_positive_rate > 0]
    negatives = metrics.rows - metrics.positives
    called = [
        (point.recall * metrics.positives + point.false_positive_rate * negatives) / metrics.rows for point in points
    ]
    curve = go.Scatter(
        name=f"model, {metrics.lift:.2f} in the first {metrics.top:.0%}",
        x=called,
        y=[point.precision / base_rate for point in points],
        **_curve([point.threshold for point in points]),
    )
    guessing = _reference("rows by chance", (0, 1), (1, 1))
    xaxis = {"title": "share of rows, highest scores first", "range": [-0.01, 1.02], "tickformat": ".0%", "nticks": 6}
    return figure([guessing, curve], PIXELS, xaxis=xaxis, yaxis={"title": "lift", **from_zero(curve.y)})


def confusion_matrix(metrics: BinaryMetrics) -> go.Figure:
    """Rows by actual and predicted class, shaded and labelled with the share of the actual class."""
    actual = {
        "actual<br>positive": (metrics.false_negatives, metrics.true_positives),
        "actual<br>negative": (metrics.true_negatives, metrics.false_positives),
    }
    shares = [[count / sum(counts) for count in counts] for counts in actual.values()]
    cells = go.Heatmap(
        x=["predicted negative", "predicted positive"],
        y=list(actual),
        z=shares,
        text=[[f"{count:,}" for count in counts] for counts in actual.values()],
        texttemplate="%{text}<br>%{z:.1%}",
        textfont={"size": 15},
        colorscale=SHADES,
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=4,
        ygap=4,
        hovertemplate="%{x}: %{text} rows, %{z:.1%} of these<extra></extra>",
    )
    axis = {"showgrid": False, "ticks": ""}
    return figure([cells], PIXELS, xaxis=axis, yaxis={**axis, "autorange": "reversed"})


def score_histogram(bins: Sequence[tuple[float, float, int]]) -> go.Figure:
    """Rows per range of scores; a bin is (lower, upper, rows) and may have any width."""
    bars = go.Bar(
        x=[(lower + upper) / 2 for lower, upper, _ in bins],
        y=[rows for *_, rows in bins],
        width=[upper - lower for lower, upper, _ in bins],
        customdata=[f"{lower:.2f} to {upper:.2f}" for lower, upper, _ in bins],
        marker={"color": ACCENT, "line": {"width": 1, "color": "rgba(255,255,255,0.35)"}},
        hovertemplate="score %{customdata}: %{y:,} rows<extra></extra>",
    )
    return figure([bars], PIXELS, xaxis={"title": "score"}, yaxis={"title": "rows", "tickformat": ","})


def predictions_by_label(metrics: RegressionMetrics) -> go.Figure:
    """What the model says over what is true, and the line on which both are the same."""
    labels, predictions = zip(*metrics.shown, strict=True)
    ends = min(*labels, *predictions), max(*labels, *predictions)
    points = go.Scatter(
        name="row",
        x=labels,
        y=predictions,
        mode="markers",
        marker={"color": ACCENT, "size": 6, "opacity": 0.45},
        hovertemplate="label %{x:,.6g}, prediction %{y:,.6g}<extra></extra>",
    )
    same = _reference("prediction = label", ends, ends)
    return figure([points, same], PIXELS, xaxis={"title": "label"}, yaxis={"title": "prediction"})


def error_histogram(metrics: RegressionMetrics) -> go.Figure:
    """Rows by error, which is prediction less label."""
    bars = go.Histogram(
        x=[prediction - label for label, prediction in metrics.shown],
        nbinsx=40,
        marker={"color": ACCENT, "line": {"width": 1, "color": "rgba(255,255,255,0.35)"}},
        hovertemplate="error %{x}: %{y:,} rows<extra></extra>",
    )
    return figure([bars], PIXELS, xaxis={"title": "prediction − label"}, yaxis={"title": "rows", "tickformat": ","})


def from_zero(values: Iterable[float]) -> dict[str, Any]:
    """An axis from 0 to a little above the largest value; it begins a little below, so that both zeros can be read."""
    largest = max(values, default=0.0) or 1.0
    return {"range": [-0.02 * largest, 1.05 * largest]}


def _curve(thresholds: Sequence[float]) -> dict[str, Any]:
    return {
        "mode": "lines",
        "line": {"color": ACCENT, "width": 2.5},
        "customdata": thresholds,
        "hovertemplate": "%{x:.3f}, %{y:.3f} above %{customdata:.3f}<extra></extra>",
    }


def _reference(name: str, x: tuple[float, float], y: tuple[float, float]) -> go.Scatter:
    line = {"color": NEUTRAL, "width": 1.5, "dash": "dash"}
    return go.Scatter(name=name, x=x, y=y, mode="lines", line=line, hoverinfo="skip")


def _threshold(threshold: float, x: float, y: float) -> go.Scatter:
    marker = {"color": ALERT, "size": 10}
    hover = f"threshold {threshold:g}: %{{x:.3f}}, %{{y:.3f}}<extra></extra>"
    return go.Scatter(name=f"threshold {threshold:g}", x=[x], y=[y], mode="markers", marker=marker, hovertemplate=hover)


def _square(traces: Sequence[go.Scatter], x_title: str, y_title: str) -> go.Figure:
    unit = {"range": [-0.01, 1.02], "nticks": 6}
    return figure(traces, PIXELS, xaxis={"title": x_title, **unit}, yaxis={"title": y_title, **unit})
