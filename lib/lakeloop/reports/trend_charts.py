"""Lines over time: one per rule, or one number with the band of what was expected of it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from lakeloop.reports.charts import ACCENT, ALERT, AXIS_PIXELS, LEGEND_PIXELS, NEUTRAL, OUTCOME_COLORS, figure, plain

PIXELS = 190
BAND = "rgba(15, 139, 141, 0.18)"
# Colour, symbol and dash differ together, so that lines stay apart in print and for every eye.
STYLES = (
    (OUTCOME_COLORS["quarantined"], "circle", "solid"),
    (OUTCOME_COLORS["good"], "square", "dash"),
    (ACCENT, "diamond", "dot"),
    (ALERT, "triangle-up", "dashdot"),
    ("#7d6fd6", "cross", "longdash"),
    (NEUTRAL, "x", "longdashdot"),
)


class Expected(NamedTuple):
    """A number at a moment in UTC, and the band that it was held against, None while that was being learned."""

    at: dt.datetime
    value: float
    low: float | None = None
    high: float | None = None
    is_outside: bool = False


def lines_over_time(
    lines: Mapping[str, Sequence[tuple[dt.datetime, float]]], axis_title: str, number_format: str = ","
) -> go.Figure:
    """One line per name, at most six; each point is a moment in UTC and a value, oldest first.

    `number_format` is one of d3's, such as `,` for rows or `.2%` for shares.
    """
    traces = [
        go.Scatter(
            name=plain(name),
            mode="lines+markers",
            x=[moment.replace(tzinfo=None) for moment, _ in points],  # plotly would shift it into the reader's zone
            y=[value for _, value in points],
            line={"color": color, "dash": dash, "width": 2},
            marker={"color": color, "symbol": symbol, "size": 8},
            hovertemplate=f"%{{y:{number_format}}}, %{{x|%Y-%m-%d %H:%M}}<extra>%{{fullData.name}}</extra>",
        )
        for (name, points), (color, symbol, dash) in zip(lines.items(), STYLES, strict=False)
    ]
    highest = max((value for points in lines.values() for _, value in points), default=0)
    yaxis: dict[str, Any] = {"title": axis_title, "range": [-0.04 * highest, 1.08 * highest or 1], "nticks": 5}
    yaxis["tickformat"] = number_format
    if highest < 6 and number_format == ",":
        yaxis["dtick"] = 1  # there are no half rows
    return figure(
        traces,
        height=PIXELS + AXIS_PIXELS + LEGEND_PIXELS * len(lines),
        showlegend=True,
        legend={"orientation": "v", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"nticks": 5, "showgrid": False, "type": "date"},
        yaxis=yaxis,
    )


def number_with_band(points: Sequence[Expected], axis_title: str, number_format: str = ",") -> go.Figure:
    """A number over time, oldest first, above the band of what was expected; what was outside of it stands out."""
    banded = [point for point in points if point.low is not None and point.high is not None]
    outside = [point for point in points if point.is_outside]
    hover = f"%{{y:{number_format}}}, %{{x|%Y-%m-%d %H:%M}}<extra>%{{fullData.name}}</extra>"
    edge = {"mode": "lines", "line": {"width": 0}, "x": _moments(banded), "hoverinfo": "skip"}
    traces = [
        go.Scatter(y=[point.low for point in banded], showlegend=False, **edge),
        go.Scatter(name="expected", y=[point.high for point in banded], fill="tonexty", fillcolor=BAND, **edge),
        go.Scatter(
            name="found", mode="lines+markers" if len(points) < 60 else "lines", x=_moments(points),
            y=[point.value for point in points], line={"color": OUTCOME_COLORS["good"], "width": 2},
            marker={"size": 5}, hovertemplate=hover,
        ),
        go.Scatter(
            name="anomaly", mode="markers", x=_moments(outside), y=[point.value for point in outside],
            marker={"color": ALERT, "symbol": "diamond", "size": 11, "line": {"color": "#ffffff", "width": 1}},
            hovertemplate=hover, showlegend=bool(outside),
        ),
    ]  # fmt: skip
    return figure(
        traces,
        height=PIXELS + AXIS_PIXELS + LEGEND_PIXELS,
        showlegend=True,
        xaxis={"nticks": 5, "showgrid": False, "type": "date"},
        yaxis={"title": axis_title, "nticks": 5, "tickformat": number_format, "range": _range(points)},
    )


def _range(points: Sequence[Expected]) -> list[float]:
    """What was found and the newest band, with room around: a band of the first weeks may be many times as wide."""
    shown = [point.value for point in points]
    for point in points[-1:]:
        shown += [edge for edge in (point.low, point.high) if edge is not None]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return [low - room if low else -0.04 * (high + room), high + room]


def _moments(points: Sequence[Expected]) -> list[dt.datetime]:
    return [point.at.replace(tzinfo=None) for point in points]
