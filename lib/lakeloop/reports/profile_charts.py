"""Figures of one column: how its numbers or times lie, and which values are the most frequent."""

import datetime as dt
import itertools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lakeloop.quality.profiling import ColumnProfile
from lakeloop.reports.charts import ACCENT, NEUTRAL, figure, horizontal_bars, plain

BARS = 24
HEIGHT = 240
FEW_VALUES = 40
FAR = 1.5  # times the range of the inner 99%: then the ends are left out, or one bar would hold everything


def histogram(column: ColumnProfile) -> tuple[go.Figure, str] | None:
    """The share of values in bars of equal width, and what is left out; None for a column without a range.

    Read off the 201 quantiles, so each bar is off by at most 1% of the values.
    """
    low, high = column.number("min"), column.number("max")
    if not column.quantiles or low is None or high is None or low == high:
        return None
    start, end = column.quantiles[1], column.quantiles[-2]
    is_cut = start < end and high - low > FAR * (end - start)
    left, right = (start, end) if is_cut else (low, high)
    grid = np.linspace(0, 1, len(column.quantiles))
    is_whole = column.kind == "number" and not column.type.startswith(("double", "float", "decimal"))
    if is_whole and right - left < FEW_VALUES and column.has_exact_values:
        counts = {int(text): count for text, count in column.values.counts.items()}
        edges = np.arange(left - 0.5, right + 1.5)
        shares = [counts.get(int(edge + 0.5), 0) / column.filled for edge in edges[:-1]]
    else:
        edges = np.linspace(left, right, BARS + 1)
        below = np.interp(edges, column.quantiles, grid)
        shares = list(np.diff(below))
    said = ", without half a percent at either end" if is_cut else ""
    return _bars(column, edges.tolist(), shares), said


def frequent_values(column: ColumnProfile, values: Sequence[tuple[str, int]]) -> go.Figure:
    """One bar per value, the most frequent on top, as a share of the values that are there."""
    labels = [text if text.strip() else repr(text) for text, _ in values]
    shares = [count / column.filled for _, count in values]
    return horizontal_bars(labels, {"share": shares}, {"share": ACCENT}, "share of the values that are there", ".1%")


def empty_shares(columns: Sequence[ColumnProfile]) -> go.Figure:
    """One bar per column with NULLs."""
    shares = [column.nulls / column.rows for column in columns]
    return horizontal_bars([c.name for c in columns], {"NULL": shares}, {"NULL": NEUTRAL}, "share of rows", ".1%")


def _bars(column: ColumnProfile, edges: Sequence[float], shares: Sequence[float]) -> go.Figure:
    is_time = column.kind == "time"
    shown = [_shown(edge, is_time=is_time) for edge in edges]
    middles = [(one + other) / 2 for one, other in itertools.pairwise(edges)]
    bars = go.Bar(
        x=[_moment(at) for at in middles] if is_time else middles,
        y=list(shares),
        width=[(edges[1] - edges[0]) * (940 if is_time else 0.94)] * len(middles),
        marker={"color": ACCENT},
        customdata=[[plain(one), plain(other)] for one, other in itertools.pairwise(shown)],
        hovertemplate="%{customdata[0]} to %{customdata[1]}: %{y:.1%}<extra></extra>",
    )
    yaxis = {"tickformat": ".0%" if max(shares, default=0) > 0.05 else ".1%", "rangemode": "tozero", "nticks": 5}
    return figure([bars], HEIGHT, showlegend=False, bargap=0, yaxis=yaxis, xaxis={"nticks": 7, "tickangle": 0})


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)  # noqa: DTZ001 - plotly draws UTC as it is


def _shown(value: float, *, is_time: bool) -> str:
    return f"{_moment(value):%Y-%m-%d %H:%M}" if is_time else f"{value:,.6g}"
