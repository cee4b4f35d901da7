"""Quarantined rows in a terminal, as JSON, and as CSV that people edit; and the options that choose them."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, TextIO

import typer
from rich.markup import escape

from lakeloop.cli.terminal import console
from lakeloop.ingestion.sources.protocol import ORIGINAL
from lakeloop.ingestion.sources.replay import OpenRow
from lakeloop.ingestion.sources.replay.edits import ABOUT
from lakeloop.ingestion.sources.replay.sheet_cells import as_cell
from lakeloop.lake.plain_values import json_value, text_value
from lakeloop.lake.quarantine import SHOWN

# Control characters move a terminal's cursor and colours, and marks of direction turn a text around.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

Rule = Annotated[str | None, typer.Option("--reason", help="Only rows with this reason, by the name of its rule")]
Origin = Annotated[str | None, typer.Option(help="Only rows of this file or table, as `show` names it")]
RowId = Annotated[str | None, typer.Option("--row", help="Only this row, by the first digits of its id")]
Why = Annotated[str, typer.Option("--reason-text", help="Why, kept with the decision")]
Pii = Annotated[bool, typer.Option("--pii", help="Show personal data, if access.yml lets you")]


class FirstRows:
    """The first rows, and afterwards whether there were more."""

    def __init__(self, rows: Iterable[OpenRow], limit: int) -> None:
        self._rows, self._limit = rows, limit
        self.shown, self.was_cut = 0, False

    def __iter__(self) -> Iterator[OpenRow]:
        for row in self._rows:
            if self.shown == self._limit:
                self.was_cut = True
                return
            self.shown += 1
            yield row


def visible(text: str) -> str:
    """A text that no terminal takes for commands, nor Rich for markup."""
    return escape(seen(text))


def seen(text: str) -> str:
    """A text with its control characters written out."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def place_of(origin: str | None, record: int | None) -> str:
    """Where a row stood, as people look it up."""
    return f"{origin}:{record}" if record is not None else f"{origin}"


def change_text(column: str, before: str | None, after: str | None) -> str:
    """`column: before → after`, as markup."""
    said = ("[dim]NULL[/dim]" if text is None else visible(text) for text in (before, after))
    return f"{visible(column)}: {' → '.join(said)}"


def print_row(row: OpenRow, *, whole: bool) -> None:
    """Place, reasons and text of a row; `whole` adds its id, its cells and the rules that it was judged by."""
    place = f"[bold]{visible(place_of(row.origin, row.record))}[/bold]"
    about = f"batch {row.batch_id} · {row.came_in:%Y-%m-%d %H:%M} UTC"
    console.print(f"{place} · {about} · row {row.row_id[:SHOWN]}", soft_wrap=True, highlight=False)
    for rule, message in row.reasons:
        console.print(f"  [yellow]{visible(rule)}[/yellow]: {visible(message or '')}", soft_wrap=True)
    console.print(
        "  [dim]NULL[/dim]" if row.text is None else f"  {visible(row.text)}", soft_wrap=True, highlight=False
    )
    for cell in row.corrections:
        said = change_text(str(cell["column"]), cell["before"], cell["after"])
        console.print(f"  [green]corrected[/green] {said}", soft_wrap=True, highlight=False)
    if not whole:
        return
    console.print(f"  row {row.row_id}", soft_wrap=True, highlight=False)
    console.print(f"  judged by rule set {row.rules_version or 'unknown'}", soft_wrap=True, highlight=False)
    if row.error is not None:
        console.print(f"  no cells: {visible(row.error)}", soft_wrap=True, highlight=False)
    for column, value in row.cells.items():
        text = "[dim]NULL[/dim]" if value is None else visible(value)
        console.print(f"  {visible(column)} = {text}", soft_wrap=True, highlight=False)


def write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[OpenRow]) -> None:
    """A row a line, to be edited and given to `quarantine fix --from`: about it, its cells, and its whole text."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*ABOUT, *map(as_cell, columns), ORIGINAL])
    for row in rows:
        said = "; ".join(f"{rule}: {message}" for rule, message in row.reasons)
        about = (row.batch_id, row.origin, row.record, row.came_in, row.rules_version, said)
        cells = [*(row.cells.get(column) for column in columns), row.text]
        texts = map(as_cell, [*(text_value(value) for value in about), *cells])
        writer.writerow([row.row_id, row.told, *texts])


def write_json(file: TextIO, rows: Iterable[OpenRow]) -> None:
    """A JSON list of objects."""
    separator = "[\n"
    for row in rows:
        named = {
            "row": row.row_id,
            "batch_id": row.batch_id,
            "origin": row.origin,
            "record": row.record,
            "came_in": json_value(row.came_in),
            "rules_version": row.rules_version,
            "reasons": [{"rule": rule, "message": message} for rule, message in row.reasons],
            "original": row.text,
            "cells": row.cells,
            "corrections": row.corrections,
        }
        file.write(separator + json.dumps(named, ensure_ascii=False))
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")
