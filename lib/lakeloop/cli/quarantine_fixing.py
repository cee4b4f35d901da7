"""`lakeloop quarantine fix` and `history`, and what a replay says when it is done."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.quarantine_rows import (
    Origin,
    Pii,
    RowId,
    Rule,
    Why,
    change_text,
    place_of,
    seen,
    visible,
)
from lakeloop.cli.result_rows import Format, Row, write_rows
from lakeloop.cli.terminal import ConfDir, Env, console, entries_table, explained, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.sources.replay import Edits
from lakeloop.lake.ledger import FIX
from lakeloop.lake.quarantine import SHOWN, Chosen
from lakeloop.lake.quarantine_history import Decided, Event
from lakeloop.verbs import Replayed

EVENTS = ("at", "event", "row", "batch_id", "origin", "record", "rows", "by", "why", "run_id", "rules_version",
          "reasons", "changes", "to_batch")  # fmt: skip
DECISIONS = ("at", "event", "rows", "by", "why", "columns", "to_batch", "run_id")
COLOURS = {"quarantined": "yellow", "good": "green", "fixed": "cyan", "replayed": "cyan"}


def fix(
    name: str,
    cells: Annotated[
        list[str] | None, typer.Option("--set", help="COLUMN=VALUE for every chosen row; without a value it is NULL")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="What `show --format csv` gave, with cells edited")
    ] = None,
    reason: Rule = None,
    origin: Origin = None,
    row: RowId = None,
    why: Why = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change, and what of it")] = False,
    pii: Pii = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Correct cells of open rows and judge them again; the record of what came in stays as it is."""
    with explained():
        project, context = Project(conf_dir, env), start(FIX, conf_dir, env)
        edits = Edits(dict(map(_cell, cells or ())), file)
        with progress_bar() as progress:
            chosen = Chosen(reason, origin, row)
            done = verbs.fix(project, name, edits, chosen, why, context, dry_run=dry_run, pii=pii, progress=progress)
        _print_fixed(done, dry_run=dry_run)
        print_replayed(name, done, dry_run=dry_run)


def history(
    name: str,
    row: Annotated[str | None, typer.Argument(help="A row, by the first digits of its id")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Decisions to show at most")] = 20,
    form: Annotated[Format, typer.Option("--format", help="table is for eyes")] = "table",
    pii: Pii = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show what became of a row, or the latest decisions of a pipeline; starts no Spark."""
    with explained():
        project = Project(conf_dir, env)
        if row is None:
            _show_decisions(name, verbs.history_of_pipeline(project, name, limit), form)
            return
        events = verbs.history_of_row(project, name, row, RunContext("quarantine history", env), pii=pii)
        if form != "table":
            write_rows(sys.stdout, EVENTS, map(_event_row, events), form, raw=False)
            return
        for event in events:
            _print_event(event)


def print_replayed(name: str, done: Replayed, *, dry_run: bool) -> None:
    """How a replay or a fix ended, and how many rows are open."""
    console.print(entries_table(done.entries))
    for rule, rows in done.by_rule:
        console.print(f"  {escape(rule)}: {rows:,} rows", soft_wrap=True)
    for note in done.notes:
        console.print(escape(note), style="yellow", soft_wrap=True)
    would = "would stay" if dry_run else "are"
    console.print(f"{done.still_open:,} rows {would} open · lakeloop quarantine show {name}", soft_wrap=True)


def _cell(text: str) -> tuple[str, str | None]:
    column, equals, value = text.partition("=")
    if not equals or not column:
        raise ConfigError(f"--set {text}: expected COLUMN=VALUE, as --set amount=0; a column without a value is NULL")
    return column, value or None


def _print_fixed(done: Replayed, *, dry_run: bool) -> None:
    for each in done.foreseen:
        place = visible(place_of(each.origin, each.record))
        console.print(f"[bold]{place}[/bold] · row {each.row_id[:SHOWN]}", soft_wrap=True, highlight=False)
        for change in each.changes:
            console.print(f"  {change_text(*change)}", soft_wrap=True, highlight=False)
        colour = COLOURS.get(each.verdict, "default")
        said = "".join(f"; {visible(rule)}: {visible(message or '')}" for rule, message in each.reasons)
        console.print(f"  would be [{colour}]{each.verdict}[/{colour}]{said}", soft_wrap=True, highlight=False)
    if len(done.foreseen) < done.rows and dry_run:
        console.print(f"… and {done.rows - len(done.foreseen):,} more rows", soft_wrap=True)
    if not dry_run or done.rows:
        would = "would change" if dry_run else "changed"
        console.print(f"{done.rows:,} rows {would}", soft_wrap=True)
    for which, why in done.named:
        console.print(f"{visible(which)} is left: {visible(why)}", style="yellow", soft_wrap=True)
    if done.left > len(done.named):
        console.print(f"… and {done.left - len(done.named):,} more rows are left", style="yellow", soft_wrap=True)


def _print_event(event: Event) -> None:
    colour = COLOURS.get(event.what, "default")
    at = f"{event.at:%Y-%m-%d %H:%M:%S} UTC" if event.at else " " * 23
    who = f" by {visible(event.by)}" if event.by else ""
    into = f" into batch {event.to_batch}" if event.to_batch is not None else ""
    alike = f", {event.rows:,} rows that are alike" if event.rows > 1 else ""
    place = visible(place_of(event.origin, event.record))
    where = f" in batch {event.batch_id} · {place} · row {event.row_id[:SHOWN]}" if not event.by else ""
    console.print(f"{at}  [{colour}]{event.what}[/{colour}]{who}{into}{where}{alike}", soft_wrap=True, highlight=False)
    if event.why:
        console.print(f"  {visible(event.why)}", soft_wrap=True, highlight=False)
    for rule, message in event.reasons:
        console.print(f"  [yellow]{visible(rule)}[/yellow]: {visible(message or '')}", soft_wrap=True, highlight=False)
    if event.what == "quarantined":
        console.print(f"  rule set {event.rules_version}, run {event.run_id}", soft_wrap=True, highlight=False)
    for change in event.changes:
        console.print(f"  {change_text(*change)}", soft_wrap=True, highlight=False)


def _show_decisions(name: str, found: list[Decided], form: Format) -> None:
    if form == "table" and not found:
        console.print(f"No row of {name} was ever decided on.", soft_wrap=True)
        return
    for_eyes, as_json = form == "table", form == "json"
    rows: Iterable[Row] = (
        (
            f"{each.at:%Y-%m-%d %H:%M}" if for_eyes else each.at,
            each.what,
            each.rows,
            each.by,
            each.why if as_json else seen(each.why),
            list(each.columns) if as_json else ", ".join(each.columns) or None,
            each.to_batch,
            each.run_id,
        )
        for each in found
    )
    write_rows(sys.stdout, DECISIONS, rows, form, raw=False)


def _event_row(event: Event) -> Row:
    reasons = [{"rule": rule, "message": message} for rule, message in event.reasons]
    changes = [{"column": column, "before": before, "after": after} for column, before, after in event.changes]
    return (
        event.at, event.what, event.row_id, event.batch_id, event.origin, event.record, event.rows, event.by, event.why,
        event.run_id, event.rules_version, reasons, changes, event.to_batch,
    )  # fmt: skip
