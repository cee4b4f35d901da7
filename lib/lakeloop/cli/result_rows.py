"""Rows of a result as a table for eyes, as CSV or as JSON, one batch after the other."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lakeloop.lake.plain_values import column_values, json_value, safe_cell, text_value

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["table", "csv", "json"]
Row = tuple[Any, ...]


class LimitedRows:
    """The first rows of batches, and afterwards whether there were more."""

    def __init__(self, batches: Iterable["pa.RecordBatch"], limit: int) -> None:
        self._batches, self._limit = batches, limit
        self.shown, self.was_cut = 0, False

    def __iter__(self) -> Iterator[Row]:
        for batch in self._batches:
            for row in zip(*map(column_values, batch.columns), strict=True):
                if self.shown == self._limit:
                    self.was_cut = True
                    return
                self.shown += 1
                yield row


def write_rows(file: TextIO, names: Sequence[str], rows: Iterable[Row], form: Format, *, raw: bool) -> None:
    """Write rows as they come. In CSV, NULL is an empty cell, and unless `raw` no cell can pass for a formula."""
    if form == "csv":
        cell = text_value if raw else safe_cell
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([cell(name) for name in names])
        for row in rows:
            writer.writerow([cell(value) for value in row])
    elif form == "json":
        separator = "[\n"
        for row in rows:
            named = dict(zip(names, map(json_value, row), strict=True))
            file.write(separator + json.dumps(named, ensure_ascii=False))
            separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")
    else:
        table = Table(box=None, pad_edge=False)
        for name in names:
            table.add_column(escape(name), overflow="fold")
        for row in rows:
            table.add_row(*("[dim]NULL[/dim]" if value is None else escape(text_value(value)) for value in row))
        Console(file=file).print(table)
