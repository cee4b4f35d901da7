"""A page on a model for those who live with its answers: what it looks at, how, and why single rows got theirs."""

from collections.abc import Iterator
from textwrap import shorten

import pandas as pd
import plotly.graph_objects as go

from lakeloop.reports.charts import ACCENT, NEUTRAL, figure, horizontal_bars, plain
from lakeloop.reports.model_names import METRIC_NAMES
from lakeloop.reports.page import Chart, Section, Table
from lakeloop.training.interpretation.explaining import Explanation
from lakeloop.training.interpretation.partial_dependence import Dependence

TOP_COLUMNS, TOP_ROWS, REASONS, TOP_COEFFICIENTS = 12, 20, 3, 25
PIXELS = 260
LONGEST = 80  # characters of a value, which may be a whole document


def explanation_sections(found: Explanation) -> list[Section]:
    """The page in the order in which people ask."""
    movements = [_movements(found)] if found.dependence else []
    return [_columns(found), *movements, _segments(found), _rows(found), *_coefficients(found)]


def _columns(found: Explanation) -> Section:
    shown = [each for each in found.permuted[:TOP_COLUMNS] if each.loss > 0]
    metric = METRIC_NAMES[found.spec.select_by]
    bars = horizontal_bars(
        [each.column for each in shown],
        {"loss": [each.loss for each in shown]},
        {"loss": ACCENT},
        axis_title=f"how much worse: {metric}",
        number_format=",.4f",
    )
    told = ", ".join(each.column for each in shown[:3]) or "no column"
    return Section(
        title="What the model looks at",
        intro="The values of one column at a time were dealt to other rows by chance, and the held-out rows measured "
        f"again. The model depends most on {told}.",
        charts=(Chart(f"{metric} lost without a column", bars),),
        tables=(
            Table(
                "Every column",
                ("column", f"{metric} lost", "± std"),
                tuple((each.column, each.loss, each.deviation) for each in found.permuted),
            ),
        ),
    )


def _movements(found: Explanation) -> Section:
    return Section(
        title="How answers move with a value",
        intro="The mean answer over held-out rows if all of them had the value, with the range of the middle 80%. "
        "Columns that go together are moved apart here, so read steps, not decimals.",
        charts=tuple(Chart(each.column, _dependence_chart(each)) for each in found.dependence),
    )


def _dependence_chart(each: Dependence) -> go.Figure:
    labels = ["missing" if value is None else value if each.is_numeric else plain(value) for value in each.values]
    known = (
        [place for place, value in enumerate(each.values) if value is not None]
        if each.is_numeric
        else range(len(labels))
    )
    x, means = [labels[place] for place in known], [each.means[place] for place in known]
    above = [each.high[place] - each.means[place] for place in known]
    below = [each.means[place] - each.low[place] for place in known]
    spread = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": NEUTRAL, "thickness": 1}
    trace = go.Scatter(
        x=x, y=means, mode="lines+markers" if each.is_numeric else "markers", error_y=spread,
        marker={"color": ACCENT, "size": 9}, line={"color": ACCENT, "width": 2.5},
        hovertemplate="%{x}: %{y:.4f}<extra></extra>",
    )  # fmt: skip
    xaxis = {"title": plain(each.column), "type": "linear" if each.is_numeric else "category"}
    return figure([trace], PIXELS, xaxis=xaxis, yaxis={"title": "mean answer", "nticks": 5}, showlegend=False)


def _segments(found: Explanation) -> Section:
    segments = found.segments()
    bars = horizontal_bars(
        list(segments["column"]),
        {"rows": list(segments["rows"])},
        {"rows": ACCENT},
        axis_title="rows",
    )
    return Section(
        title="Groups by their main reason",
        intro=f"The {segments['rows'].sum():,} explained rows by the column that adds most to their answer.",
        charts=(Chart("Rows by main reason", bars),),
        tables=(
            Table(
                "Groups",
                ("main reason", "rows", "mean answer", "of which by the reason"),
                tuple(segments[["column", "rows", "score", "contribution"]].itertuples(index=False, name=None)),
            ),
        ),
    )


def _rows(found: Explanation) -> Section:
    key = found.spec.key
    ranked = found.values.sort_values(["score", key, "contribution"], ascending=[False, True, False])
    rows = [
        (name, float(of_row["score"].iloc[0]), *_reasons(of_row))
        for name, of_row in list(ranked.groupby(key, sort=False))[:TOP_ROWS]
    ]
    return Section(
        title="Why these rows",
        intro=f"The mean answer is {found.mean_score:.4f}. Beside each row stand the columns that take it furthest "
        "above that, with what each adds; all columns together make up the difference.",
        tables=(
            Table(
                f"The first {len(rows)} of {found.values[key].nunique():,} explained rows",
                (key, "answer", *(f"reason {number + 1}" for number in range(REASONS))),
                tuple(rows),
            ),
        ),
    )


def _reasons(of_row: pd.DataFrame) -> list[str | None]:
    above = of_row[of_row["contribution"] > 0].head(REASONS)
    said: list[str | None] = [
        f"{column} {'missing' if value is None else f'= {shorten(value, LONGEST)}'} ({contribution:+.4f})"
        for column, value, contribution in above[["column", "value", "contribution"]].itertuples(index=False, name=None)
    ]
    return said + [None] * (REASONS - len(said))


def _coefficients(found: Explanation) -> Iterator[Section]:
    if found.coefficients:
        adds = found.effect
        shares = " Of a logarithm 0.01 is about 1% more." if "logarithm" in adds else ""
        yield Section(
            title="Coefficients",
            intro=f"What one unit more adds to {adds}, in the units of {found.spec.table}; of a category, what it adds "
            "beside a category that was never seen; of a term of a text, what one more of its weight adds."
            f"{shares} The largest effects come first.",
            tables=(
                Table(
                    f"The first {min(TOP_COEFFICIENTS, len(found.coefficients))} of {len(found.coefficients)}",
                    ("column, category or term", f"adds to {adds}"),
                    tuple((each.slot, each.value) for each in found.coefficients[:TOP_COEFFICIENTS]),
                ),
            ),
        )
