"""`lakeloop quarantine`: what is open, and decisions on it; `fix` and `history` are in `quarantine_fixing`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.quarantine_fixing import fix, history, print_replayed
from lakeloop.cli.quarantine_rows import (
    FirstRows,
    Origin,
    Pii,
    RowId,
    Rule,
    Why,
    print_row,
    visible,
    write_csv,
    write_json,
)
from lakeloop.cli.result_rows import Format
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, plain_table, progress_bar, start
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
File = Annotated[str | None, typer.Option("--file", help="A refused file, whole path or its end, instead of rows")]


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
    row: RowId = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows to show at most")] = 20,
    form: Annotated[Format, typer.Option("--format", help="table is for eyes, csv to be edited and fixed")] = "table",
    pii: Pii = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show open rows: where they stood, what is wrong with them, and their text; starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), RunContext("quarantine show", env)
        chosen = Chosen(reason, origin, row)
        rows = FirstRows(verbs.quarantined_rows(project, name, chosen, context, limit=limit, pii=pii), limit)
        if form == "table":
            for each in rows:
                print_row(each, whole=row is not None)
        elif form == "csv":
            write_csv(sys.stdout, verbs.columns_of_rows(project, name, chosen, limit=limit), rows)
        else:
            write_json(sys.stdout, rows)
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
    row: RowId = None,
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
            _refuse_both(reason, origin, row)
            if dry_run:
                raise ConfigError("--dry-run counts rows, and a refused file has none yet; leave one of the two out")
            path = verbs.settle_file(project, name, file, "forgotten", why, context)
            console.print(f"{visible(path)} counts as new · next: lakeloop run {name}", soft_wrap=True)
            return
        asked = Replays(Chosen(reason, origin, row), why, again)
        with progress_bar() as progress:
            done = verbs.replay(project, name, asked, context, dry_run=dry_run, progress=progress)
        print_replayed(name, done, dry_run=dry_run)


@app.command()
def discard(
    name: str,
    why: Why = "",
    reason: Rule = None,
    origin: Origin = None,
    row: RowId = None,
    file: File = None,
    everything: Annotated[bool, typer.Option("--all", help="All open rows of the pipeline")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Close open rows or a refused file by decision; rows stay in bronze. Starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), start("quarantine discard", conf_dir, env)
        if file is not None:
            _refuse_both(reason, origin, row)
            path = verbs.settle_file(project, name, file, "discarded", why, context)
            console.print(f"{visible(path)} is closed.", soft_wrap=True)
            return
        chosen = Chosen(reason, origin, row)
        if everything == (chosen != Chosen()):
            raise ConfigError("say which rows: --reason, --origin, --row, a --file, or --all of the pipeline")
        rows = verbs.discard(project, name, chosen, why, context)
        console.print(f"{rows:,} rows of {name} are closed and stay in bronze.", soft_wrap=True)


app.command()(fix)
app.command()(history)


def _refuse_both(*of_rows: str | None) -> None:
    if any(each is not None for each in of_rows):
        raise ConfigError(
            "--file is about a file as a whole, --reason, --origin and --row are about rows; name one of them"
        )
