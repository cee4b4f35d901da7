"""Figures in one palette. Colours of text and lines come from the page's style sheet, so a chart follows its scheme."""

import html
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

# Blue, orange and grey stay apart in every kind of colour blindness; all reach 3:1 on the light and on the dark page.
OUTCOME_COLORS = {"good": "#2f7fc1", "quarantined": "#d9780a", "dropped": "#868c98"}
ACCENT = "#0f8b8d"
ALERT = "#c8508c"
NEUTRAL = OUTCOME_COLORS["dropped"]

ROW_PIXELS = 44
AXIS_PIXELS = 64
LEGEND_PIXELS = 28
LABEL_LENGTH = 44  # what a phone has room for


def plain(text: object) -> str:
    """Text for a label or a hover: plotly reads a subset of HTML there, and this makes it show the text as it is."""
    return html.escape(str(text), quote=False)


def figure(traces: Sequence[Any], height: int, **layout: Any) -> go.Figure:
    """A chart `height` pixels high, as wide as the page allows, without zoom: a phone scrolls past it."""
    settings: dict[str, Any] = {
        "template": "none",
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        "hoverlabel": {"bgcolor": "#2b313a", "bordercolor": "#868c98", "font": {"color": "#ffffff", "size": 13}},
        "dragmode": False,
        "hovermode": "closest",
    }
    axes = {"fixedrange": True, "automargin": True, "zeroline": False, "title_font_size": 12}
    return go.Figure(data=traces, layout={**settings, **layout}).update_xaxes(axes).update_yaxes(axes)


def horizontal_bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    colors: Mapping[str, str],
    axis_title: str,
    number_format: str = ",",
) -> go.Figure:
    """One stacked bar per label, the first on top; `series` maps a segment's name to its value in each bar.

    A label ends with its bar's total. `number_format` is one that Python and d3 both read, such as `,` or `.1%`.
    """
    traces = [
        go.Bar(
            name=plain(name),
            orientation="h",
            x=list(values),
            y=list(range(len(labels))),
            width=0.3,
            customdata=[plain(label) for label in labels],
            marker={"color": colors[name]},
            hovertemplate=f"%{{customdata}}<br>%{{fullData.name}}: %{{x:{number_format}}}<extra></extra>",
        )
        for name, values in series.items()
    ]
    totals = [sum(values) for values in zip(*series.values(), strict=True)]
    texts = [f"{short(label)}  <b>{total:{number_format}}</b>" for label, total in zip(labels, totals, strict=True)]
    xaxis = {"title": axis_title, "rangemode": "tozero", "tickformat": number_format, "nticks": 6}
    if number_format == "," and max(totals, default=0) < 6:
        xaxis["dtick"] = 1  # there are no half rows
    return labelled_rows(traces, texts, xaxis, has_legend=len(series) > 1)


def points_and_means(labels: Sequence[str], values: Sequence[Sequence[float]], axis_title: str) -> go.Figure:
    """One line of points per label, the first on top, with the mean of each line as a diamond."""
    hover = "%{x:.4f}<extra>%{fullData.name}</extra>"
    traces = [
        go.Scatter(
            name="one fold",
            mode="markers",
            x=[value for line in values for value in line],
            y=[position for position, line in enumerate(values) for _ in line],
            marker={"color": NEUTRAL, "size": 9, "opacity": 0.7},
            hovertemplate=hover,
        ),
        go.Scatter(
            name="mean",
            mode="markers",
            x=[fmean(line) for line in values],
            y=list(range(len(values))),
            marker={"color": ACCENT, "size": 12, "symbol": "diamond"},
            hovertemplate=hover,
        ),
    ]
    return labelled_rows(
        traces, [short(label) for label in labels], {"title": axis_title, "nticks": 6}, has_legend=True
    )


def short(label: str) -> str:
    """A label that fits on a line, safe to show."""
    return plain(label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1]}…")


def labelled_rows(
    traces: Sequence[Any], texts: Sequence[str], xaxis: Mapping[str, Any], *, has_legend: bool
) -> go.Figure:
    """A chart of one line per text, the first on top; `y` of the traces is the number of the line."""
    # Texts stand above their rows: beside them, long names would leave no width for the rows on a phone.
    place = {"x": 0, "xref": "paper", "xanchor": "left", "yanchor": "bottom", "yshift": 8, "showarrow": False}
    return figure(
        traces,
        height=ROW_PIXELS * len(texts) + AXIS_PIXELS + LEGEND_PIXELS * has_legend,
        barmode="stack",
        showlegend=has_legend,
        annotations=[{"text": text, "y": position, **place} for position, text in enumerate(texts)],
        xaxis=xaxis,
        yaxis={"range": [len(texts) - 0.6, -0.8], "showticklabels": False, "showgrid": False},
    )
