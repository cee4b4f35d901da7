"""`lakeloop repair`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, plain_table, progress_bar, start
from lakeloop.core.config import Project

STATES = {"damaged": "would be done", "mended": "done", "lost": "[red]not mended[/red]", "unknown": "not examined"}


def repair(
    names: Names = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Examine the tables of pipelines and of the ledger, and mend what is damaged; no pipeline may run meanwhile."""
    with explained():
        project, context = Project(conf_dir, env), start("repair", conf_dir, env)
        with progress_bar("listing tables") as progress:
            repaired = verbs.repair(project, names or [], context, dry_run=dry_run, progress=progress)
        table = plain_table()
        for finding in repaired.found:
            said = ": ".join(filter(None, [STATES[finding.state], escape(finding.cure)]))
            table.add_row(finding.table, f"{escape(finding.what)}\n[dim]{said}[/dim]")
        for name in repaired.sound:
            table.add_row(name, "sound")
        console.print(table)
        if any(finding.state == "mended" for finding in repaired.found):
            console.print(f"What was set aside: {repaired.folder}", soft_wrap=True)
        console.print(_next(repaired, dry_run=dry_run), soft_wrap=True)
        if any(finding.state == "lost" for finding in repaired.found):
            raise typer.Exit(1)


def _next(repaired: verbs.Repaired, *, dry_run: bool) -> str:
    if not repaired.found:
        return "All is sound. Next: lakeloop run"
    if any(finding.state == "lost" for finding in repaired.found):
        return "Not all could be mended: see above what is left to do."
    return "Nothing was changed. Next: lakeloop repair" if dry_run else "All is mended. Next: lakeloop run"
