"""`lakeloop backfill`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, console, entries_table, explained, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ledger import BACKFILL

FIRST = "Where the part begins: a value of the cursor, an offset, a time or a file's name"
UNTIL = "Where it ends, itself excluded; left out: as far as the pipeline has read"


def backfill(
    name: Annotated[str, typer.Argument(help="Name of a pipeline", show_default=False)],
    first: Annotated[str, typer.Option("--from", help=FIRST, show_default=False)],
    until: Annotated[str | None, typer.Option("--to", help=UNTIL, show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it is, and write nothing")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Read a part of a source again, as the pipeline is declared today, beside its runs; no row comes twice."""
    with explained():
        project, context = Project(conf_dir, env), start(BACKFILL, conf_dir, env)
        total, batches = RowCounts(), 0
        with progress_bar() as progress:
            asked = verbs.Asked(first, until)
            for entry in verbs.backfill(project, name, asked, context, dry_run=dry_run, progress=progress):
                console.print(entries_table([entry]))
                total, batches = total + entry.counts, batches + (entry.outcome == "succeeded")
        if batches > 1:
            console.print(f"{batches:,} batches: {total.read:,} rows read, {total.good:,} good")
        console.print(f"Tables: {escape(project.lake_root)} · next: lakeloop runs", soft_wrap=True)
