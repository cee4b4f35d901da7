"""Lines over time, one per rule."""

import datetime as dt
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from lakeloop.reports.charts import ACCENT, ALERT, AXIS_PIXELS, LEGEND_PIXELS, NEUTRAL, OUTCOME_COLORS, figure, plain

PIXELS = 190
# Colour, symbol and dash differ together, so that lines stay apart in print and for every eye.
STYLES = (
    (OUTCOME_COLORS["quarantined"], "circle", "solid"),
    (OUTCOME_COLORS["good"], "square", "dash"),
    (ACCENT, "diamond", "dot"),
    (ALERT, "triangle-up", "dashdot"),
    ("#7d6fd6", "cross", "longdash"),
    (NEUTRAL, "x", "longdashdot"),
)


def lines_over_time(lines: Mapping[str, Sequence[tuple[dt.datetime, float]]], axis_title: str) -> go.Figure:
    """One line per name, at most six; each point is a moment in UTC and a value, oldest first."""
    traces = [
        go.Scatter(
            name=plain(name),
            mode="lines+markers",
            x=[moment.replace(tzinfo=None) for moment, _ in points],  # plotly would shift it into the reader's zone
            y=[value for _, value in points],
            line={"color": color, "dash": dash, "width": 2},
            marker={"color": color, "symbol": symbol, "size": 8},
            hovertemplate="%{y:,}, %{x|%Y-%m-%d %H:%M}<extra>%{fullData.name}</extra>",
        )
        for (name, points), (color, symbol, dash) in zip(lines.items(), STYLES, strict=False)
    ]
    highest = max((value for points in lines.values() for _, value in points), default=0)
    yaxis = {"title": axis_title, "range": [-0.04 * highest, 1.08 * highest or 1], "nticks": 5, "tickformat": ","}
    if highest < 6:
        yaxis["dtick"] = 1  # there are no half rows
    return figure(
        traces,
        height=PIXELS + AXIS_PIXELS + LEGEND_PIXELS * len(lines),
        showlegend=True,
        legend={"orientation": "v", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"nticks": 5, "showgrid": False, "type": "date"},
        yaxis=yaxis,
    )
