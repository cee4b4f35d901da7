"""`lakeloop quarantine list`, `show`, `replay` and `discard`."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.result_rows import Format, LimitedRows, Row, write_rows
from lakeloop.cli.terminal import (
    ConfDir,
    Env,
    Names,
    console,
    entries_table,
    explained,
    plain_table,
    progress_bar,
    start,
)
from lakeloop.core.config import Project
from lakeloop.core.durations import in_words
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.sources.replay import Replays
from lakeloop.lake.ledger import REPLAY
from lakeloop.lake.quarantine import Chosen

app = typer.Typer(
    help="Rows and files that were not good: see them, bring them back, close them.", no_args_is_help=True
)
COLUMNS = ("batch_id", "origin", "record", "came_in", "reasons", "original")
# Control characters move a terminal's cursor and colours, and marks of direction turn a text around.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

Rule = Annotated[str | None, typer.Option("--reason", help="Only rows with this reason, by the name of its rule")]
Origin = Annotated[str | None, typer.Option(help="Only rows of this file or table, as `show` names it")]
File = Annotated[str | None, typer.Option("--file", help="A refused file, whole path or its end, instead of rows")]
Why = Annotated[str, typer.Option("--reason-text", help="Why, kept with the decision")]


@app.command("list")
def list_open(names: Names = None, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Show what is open, by pipeline and reason; starts no Spark."""
    with explained():
        project, moment = Project(conf_dir, env), now()
        found = [each for each in verbs.open_quarantine(project, names or []) if each.rows or each.files]
        if not found:
            console.print(f"Nothing is in quarantine in {project.lake_root}.", soft_wrap=True)
            return
        table = plain_table()
        for each in found:
            files = f", {len(each.files):,} refused files" if each.files else ""
            table.add_row(f"[bold]{each.pipeline}[/bold]", f"{each.rows:,} open rows{files}")
            for reason in each.by_rule:
                since = in_words(moment - reason["since"])
                table.add_row(f"  {escape(reason['rule'])}", f"{reason['rows']:,} rows, the oldest for {since}")
            for file in each.files:
                since = in_words(moment - file["taken_at"])
                said = f"{visible(file['path'])}\n[dim]{visible(file['reason'] or '')}, for {since}[/dim]"
                table.add_row("  refused", said)
        console.print(table)
        console.print("Next: lakeloop quarantine show NAME, replay NAME, discard NAME", soft_wrap=True)


@app.command()
def show(
    name: str,
    reason: Rule = None,
    origin: Origin = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows to show at most")] = 20,
    form: Annotated[Format, typer.Option("--format", help="table is for eyes")] = "table",
    pii: Annotated[bool, typer.Option("--pii", help="Show personal data, if access.yml lets you")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show open rows: where they stood, what is wrong with them, and their text; starts no Spark."""
    with explained():
        context, chosen = RunContext("quarantine show", env), Chosen(reason, origin)
        batches = verbs.quarantined_rows(Project(conf_dir, env), name, chosen, context, limit=limit, pii=pii)
        rows = LimitedRows(batches, limit)
        if form == "table":
            for row in rows:
                _print_row(*row)
        else:
            write_rows(sys.stdout, COLUMNS, rows if form == "json" else _flat(rows), form, raw=False)
        if rows.was_cut:
            said = f"{rows.shown:,} rows shown, and there are more: give a greater --limit"
            Console(stderr=True).print(said, style="yellow", soft_wrap=True)
        elif form == "table" and not rows.shown:
            console.print(f"No such row of {name} is open.", soft_wrap=True)


@app.command()
def replay(
    name: str,
    reason: Rule = None,
    origin: Origin = None,
    file: File = None,
    why: Why = "",
    again: Annotated[
        bool, typer.Option("--again", help="Also rows that a replay refused by this same declaration")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would come of it")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Judge open rows again as the pipeline is declared now, or let a refused file be read again."""
    with explained():
        project, context = Project(conf_dir, env), start(REPLAY, conf_dir, env)
        if file is not None:
            _refuse_both(reason, origin)
            if dry_run:
                raise ConfigError("--dry-run counts rows, and a refused file has none yet; leave one of the two out")
            path = verbs.settle_file(project, name, file, "forgotten", why, context)
            console.print(f"{visible(path)} counts as new · next: lakeloop run {name}", soft_wrap=True)
            return
        asked = Replays(Chosen(reason, origin), why, again)
        with progress_bar() as progress:
            done = verbs.replay(project, name, asked, context, dry_run=dry_run, progress=progress)
        console.print(entries_table(done.entries))
        for rule, rows in done.by_rule:
            console.print(f"  {escape(rule)}: {rows:,} rows", soft_wrap=True)
        for note in done.notes:
            console.print(escape(note), style="yellow", soft_wrap=True)
        would = "would stay" if dry_run else "are"
        console.print(f"{done.still_open:,} rows {would} open · lakeloop quarantine show {name}", soft_wrap=True)


@app.command()
def discard(
    name: str,
    why: Why = "",
    reason: Rule = None,
    origin: Origin = None,
    file: File = None,
    everything: Annotated[bool, typer.Option("--all", help="All open rows of the pipeline")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Close open rows or a refused file by decision; rows stay in bronze. Starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), start("quarantine discard", conf_dir, env)
        if file is not None:
            _refuse_both(reason, origin)
            path = verbs.settle_file(project, name, file, "discarded", why, context)
            console.print(f"{visible(path)} is closed.", soft_wrap=True)
            return
        if everything == (reason is not None or origin is not None):
            raise ConfigError("say which rows: --reason, --origin or both, a --file, or --all of the pipeline")
        rows = verbs.discard(project, name, Chosen(reason, origin), why, context)
        console.print(f"{rows:,} rows of {name} are closed and stay in bronze.", soft_wrap=True)


def visible(text: str) -> str:
    """A text that no terminal takes for commands, nor Rich for markup."""
    return escape(_seen(text))


def _seen(text: str) -> str:
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _print_row(
    batch_id: int, origin: str | None, record: int | None, came_in: Any, reasons: Any, original: Any
) -> None:
    place = f"{origin}:{record}" if record is not None else f"{origin}"
    console.print(f"[bold]{visible(place)}[/bold] · batch {batch_id} · {came_in:%Y-%m-%d %H:%M} UTC", soft_wrap=True)
    for one in reasons or ():
        console.print(f"  [yellow]{visible(one['rule'])}[/yellow]: {visible(one['message'] or '')}", soft_wrap=True)
    console.print(
        "  [dim]NULL[/dim]" if original is None else f"  {visible(original)}", soft_wrap=True, highlight=False
    )


def _flat(rows: Iterable[Row]) -> Iterator[Row]:
    for batch_id, origin, record, came_in, reasons, original in rows:
        said = "; ".join(f"{one['rule']}: {one['message']}" for one in reasons or ())
        texts = [None if text is None else _seen(text) for text in (origin, said, original)]
        yield batch_id, texts[0], record, came_in, texts[1], texts[2]


def _refuse_both(reason: str | None, origin: str | None) -> None:
    if reason is not None or origin is not None:
        raise ConfigError("--file is about a file as a whole, --reason and --origin are about rows; name one of them")
