"""`lakeloop query` and `retain`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.result_rows import Format, LimitedRows, write_rows
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, plain_table, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.core.errors import QueryError
from lakeloop.core.run_record import RunContext

MOST_FOR_EYES = 10_000
SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json"}


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over tables as silver.customers", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="File to write instead of the terminal")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="By default as the file's ending says, or table")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show at most")] = 1000,
    pii: Annotated[bool, typer.Option("--pii", help="Show personal data, if access.yml lets you")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Write CSV cells as they are, formulas too")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Answer a SELECT over the lake's tables; starts no Spark."""
    with explained():
        form = form or SUFFIXES.get(output.suffix.lower() if output else "", "table")
        if form == "table" and limit > MOST_FOR_EYES:
            raise QueryError(f"a table for eyes has {MOST_FOR_EYES:,} rows at most; take --format csv or json for more")
        result = verbs.query(Project(conf_dir, env), verbs.Query(sql, pii), RunContext("query", env))
        rows = LimitedRows(result.batches(), limit)
        if output is None:
            write_rows(sys.stdout, result.names, rows, form, raw=raw)
        else:
            unfinished = output.with_name(f"{output.name}.part")
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                write_rows(file, result.names, rows, form, raw=raw)
            unfinished.replace(output)
        said = f"{rows.shown:,} rows in {output}" if output else ""
        if rows.was_cut:
            said = f"{said or f'{rows.shown:,} rows shown'}, and there are more: give a greater --limit"
        if said:
            Console(stderr=True).print(said, style="yellow" if rows.was_cut else None, soft_wrap=True)


def retain(
    names: Names = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Remove the rows and files that `keep` of pipelines lets go; starts no Spark."""
    with explained():
        project, context = Project(conf_dir, env), start("retain", conf_dir, env)
        with progress_bar("counting") as progress:
            retained = verbs.retain(project, names or [], context, dry_run=dry_run, progress=progress)
        table = plain_table()
        for what in retained.found:
            ending = "would go" if dry_run else "went"
            table.add_row(what.table, f"{what.found:,} {what.kind} {ending}\n[dim]{escape(what.why)}[/dim]")
        console.print(table if retained.found else "No pipeline named here declares keep and has a table.")
        for warning in retained.warnings:
            console.print(escape(warning), style="yellow", soft_wrap=True)
        for pipeline, error in retained.failures.items():
            console.print(f"{pipeline} failed: {escape(str(error))}", style="red", soft_wrap=True)
        if retained.failures:
            raise typer.Exit(1)
