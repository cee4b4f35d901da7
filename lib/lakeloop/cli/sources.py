"""`lakeloop sources`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, plain_table, progress_bar
from lakeloop.core.config import Project


def sources(
    names: Names = None,
    look: Annotated[bool, typer.Option(help="Look at each: reachable, permitted, schema, freshness, volume")] = True,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """List the sources of pipelines and look at each, without taking anything; ends with 1 where one is not well."""
    with explained():
        project = Project(conf_dir, env)
        if look:
            with progress_bar() as progress:
                found = verbs.find_sources(project, names or [], progress)
        else:
            found = verbs.find_sources(project, names or [], look=False)
        table = plain_table()
        for state in found.states:
            mark = "" if not look else "[green]well[/green]" if state.is_well else "[red]not well[/red]"
            table.add_row(f"[bold]{escape(state.pipeline)}[/bold]", f"{escape(state.name)} {mark}")
            for check in state.checks:
                said = escape(check.said)
                table.add_row(f"  {check.what}", f"[dim]{said}[/dim]" if check.ok else f"[red]{said}[/red]")
        console.print(table)
        for name in found.idle:
            console.print(f"No pipeline reads the connection {escape(name)}", style="yellow")
        if not all(state.is_well for state in found.states):
            raise typer.Exit(1)
