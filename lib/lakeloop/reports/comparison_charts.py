"""Candidates as figures: their means with intervals, and quality beside size and speed."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

import plotly.graph_objects as go

from lakeloop.reports.charts import ACCENT, ALERT, NEUTRAL, figure, labelled_rows, plain, short
from lakeloop.training.comparison.comparing import Compared
from lakeloop.training.metrics.names import Metric

PIXELS = 340


def means_and_intervals(candidates: Sequence[Compared], metric: Metric, axis_title: str, winner: int) -> go.Figure:
    """One line per candidate, the first on top: its mean over the folds and the corrected interval of it."""
    margins = [0.0 if each.interval is None else (each.interval[1] - each.interval[0]) / 2 for each in candidates]
    means = go.Scatter(
        mode="markers",
        x=[each.score.mean[metric] for each in candidates],
        y=list(range(len(candidates))),
        error_x={"array": margins, "color": NEUTRAL, "thickness": 2, "width": 5},
        marker={"color": [ALERT if at == winner else ACCENT for at in range(len(candidates))], "size": 12},
        customdata=[plain(f"{each.score.point}, {each.verdict}") for each in candidates],
        hovertemplate="%{customdata}<br>%{x:.4f} ± %{error_x.array:.4f}<extra></extra>",
    )
    texts = [short(f"{rank}. {each.score.point}") for rank, each in enumerate(candidates, start=1)]
    return labelled_rows([means], texts, {"title": axis_title, "nticks": 6}, has_legend=False)


def quality_by_size(candidates: Mapping[int, Compared], metric: Metric, axis_title: str) -> go.Figure:
    """Quality over size, as large as the seconds that 1,000 rows take; those on the front stand out.

    `candidates`, by rank, which stands beside them, have a size and a time.
    """
    sizes = {rank: max(each.score.numbers or 0, 1) for rank, each in candidates.items()}  # there is no logarithm of 0
    seconds = {rank: each.score.scoring_seconds or 0.0 for rank, each in candidates.items()}
    slowest = max(seconds.values(), default=0.0) or 1.0
    traces = []
    for name, color, is_on_front in (("on the front", ACCENT, True), ("beaten by another", NEUTRAL, False)):
        shown = {rank: each for rank, each in candidates.items() if each.is_on_front is is_on_front}
        traces.append(
            go.Scatter(
                name=name,
                mode="markers+text",
                x=[sizes[rank] for rank in shown],
                y=[each.score.mean[metric] for each in shown.values()],
                text=[f"{rank}" for rank in shown],
                textposition="middle right",
                marker={"color": color, "size": [8 + 12 * seconds[rank] / slowest for rank in shown], "opacity": 0.75},
                customdata=[[plain(each.score.point), seconds[rank]] for rank, each in shown.items()],
                hovertemplate="%{customdata[0]}<br>%{y:.4f}, %{x:,} numbers, "
                "%{customdata[1]:.3f} s per 1,000 rows<extra></extra>",
            )
        )
    powers = range(floor(log10(min(sizes.values()))), ceil(log10(max(sizes.values()) * 1.01)) + 1)
    xaxis = {
        "title": "size: numbers that the model holds",
        "type": "log",
        "tickvals": [10**power for power in powers],
        "ticktext": [f"{10**power:,}" for power in powers],
        "range": [powers[0] - 0.1, powers[-1] + 0.1],
    }
    return figure(traces, PIXELS, xaxis=xaxis, yaxis={"title": axis_title})
