"""`lakeloop validate`, `run` and `runs`."""

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import (
    ConfDir,
    Env,
    Names,
    console,
    ending,
    entries_table,
    explained,
    plain_table,
    progress_bar,
    start,
)
from lakeloop.core.config import Project
from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ledger import Ledger


def validate(
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
    secrets: Annotated[bool, typer.Option(help="Whether every secret must have a value here")] = True,
) -> None:
    """Check every declaration, secret and environment variable; starts no Spark."""
    with explained():
        problems = verbs.validate(Project(conf_dir, env), secrets=secrets)
        for problem in problems:
            console.print(escape(problem), style="red", soft_wrap=True)
        if problems:
            raise typer.Exit(1)
        for warning in verbs.pii_warnings(Project(conf_dir, env)):
            console.print(escape(warning), style="yellow", soft_wrap=True)
        console.print("The configuration is valid. Next: lakeloop run")


def run(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="All pipelines, as without a name")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Bring what is new through pipelines into their tables, in the order of their dependencies."""
    if every and names:
        raise typer.BadParameter(f"all pipelines, or {', '.join(names)}; name some or say --all", param_hint="--all")
    with explained():
        project, context = Project(conf_dir, env), start("run", conf_dir, env)
        with progress_bar() as progress:
            summary = verbs.run(project, names or [], context, progress)
            progress("writing the report")
            report = verbs.report_run(project, context, summary)
        console.print(entries_table(summary.entries))
        for pipeline, error in summary.failures.items():
            console.print(f"{pipeline} failed: {escape(str(error))}", style="red", soft_wrap=True)
        for note in summary.notes:
            console.print(escape(note), soft_wrap=True)
        console.print(f"Tables: {project.lake_root} · run {context.run_id} · next: lakeloop runs", soft_wrap=True)
        console.print(escape(report), soft_wrap=True)
        if summary.failures:
            raise typer.Exit(1)


def runs(
    last: Annotated[int, typer.Option(min=1, help="How many entries")] = 20,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show what ran: rows read, good, quarantined and dropped per table; starts no Spark."""
    with explained():
        root = Project(conf_dir, env).lake_root
        shown = Ledger(root).runs(last)
        if not shown:
            console.print(f"No run yet in {root}. Next: lakeloop run", soft_wrap=True)
            return
        table = plain_table()
        for run_id, of_run in groupby(shown, key=lambda row: row["run_id"]):
            table.add_row(f"[bold]{run_id}[/bold]")
            for row in of_run:
                counts = RowCounts(*(row[f"rows_{name}"] for name in ("read", "good", "quarantined", "dropped")))
                seconds = (row["ended_at"] - row["started_at"]).total_seconds()
                table.add_row(
                    f"  {row['name']}", ending(row["outcome"], counts, row["message"], f" in {seconds:.1f} s")
                )
        console.print(table)
