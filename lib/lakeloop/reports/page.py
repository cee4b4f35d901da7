"""The page: sections of cards, charts and tables become one HTML text with plotly.js inside it, once."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lakeloop.lake.storage import filesystem

DECIMALS = 4
# A spreadsheet takes a pasted cell that begins so for a formula; an apostrophe tells it that the cell is text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Card:
    """One number that stands out; `color` is a CSS colour and marks what the number counts."""

    label: str
    value: str
    note: str = ""
    color: str = ""


@dataclass(frozen=True)
class Chart:
    """A plotly figure and the sentence above it. Its texts must have gone through `charts.plain`."""

    caption: str
    figure: go.Figure


@dataclass(frozen=True)
class Verdict:
    """One sentence that says how it went; `holds` decides between the tick and the cross before it."""

    text: str
    holds: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of plain values, one per column; None shows as a dash, and a column of numbers is aligned right.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.

    The floats of a column show the same number of decimals, at most four. `total` is a last row of the same width that
    stands apart; `empty` is said instead of a table without rows.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    total: tuple[object, ...] = ()
    empty: str = "Nothing to show."

    @classmethod
    def of(cls, caption: str, records: Sequence[Mapping[str, object]], empty: str) -> Self:
        """A table of mappings: one column per key, in the order of first appearance; a missing key is NULL."""
        columns = tuple(dict.fromkeys(key for record in records for key in record))
        return cls(caption, columns, tuple(tuple(map(record.get, columns)) for record in records), empty=empty)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Per column, whether it holds at least one number and nothing but numbers and None."""
        columns = ([row[index] for row in self.rows] for index in range(len(self.columns)))
        return tuple(
            all(value is None or _is_number(value) for value in column) and any(value is not None for value in column)
            for column in columns
        )

    def texts(self) -> list[list[str]]:
        """Every row as it is shown, `total` last where there is one."""
        rows = [*self.rows, *([self.total] if self.total else [])]
        decimals = [_decimals(row[index] for row in rows) for index in range(len(self.columns))]
        return [[_text(value, places) for value, places in zip(row, decimals, strict=True)] for row in rows]


@dataclass(frozen=True)
class Section:
    """One heading of the page: what it is about, how it went, and the cards, charts and tables that show it."""

    title: str
    intro: str
    verdict: Verdict | None = None
    cards: tuple[Card, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


def render_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole page as HTML: opens from disk, loads nothing, and shows hostile text as text.

    The page's content security policy allows exactly its own two scripts, by their hashes, and no request at all. A
    page without charts has no script, and is as small as its text.
    """
    pages = Environment(
        loader=PackageLoader("lakeloop.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    has_charts = any(section.charts for section in sections)
    scripts = [get_plotlyjs(), pages.get_template("page.js").render()] if has_charts else []
    return pages.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        scripts=[Markup(script) for script in scripts],
        script_hashes=[base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts],
        figure_json=_figure_json,
    )


def write_page(uri: str, html: str) -> None:
    """Write a page as UTF-8 to a path or URI, making the folders above it; raises OSError."""
    system, path = filesystem(uri)
    system.create_dir(path.rpartition("/")[0], recursive=True)
    with system.open_output_stream(path) as stream:
        stream.write(html.encode())


def rounded(value: float) -> float:
    """A figure as whole as people read it: without decimals where four digits stand before the point."""
    return round(value) if abs(value) >= 1000 else value


def _figure_json(figure: go.Figure) -> Markup:
    # plotly spells `<`, `>` and `/` as \u003c and so on, so that no text can end the script element.
    return Markup(figure.to_json())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _decimals(values: Iterable[Any]) -> int:
    fractions = (f"{value:.{DECIMALS}f}".rstrip("0").partition(".")[2] for value in values if isinstance(value, float))
    return max(map(len, fractions), default=0)


def _text(value: object, decimals: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    if _is_number(value):
        return f"{value:,}"
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
