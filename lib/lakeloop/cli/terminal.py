"""What all commands share: the console, the common options, the progress line, and errors in one sentence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lakeloop import verbs
from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RowCounts, RunContext

if TYPE_CHECKING:
    from lakeloop.lake.ledger import RunEntry

console = Console()

ConfDir = Annotated[Path, typer.Option(help="Folder with base/ and one folder per environment")]
Env = Annotated[str, typer.Option("--env", help="Environment whose folder overlays base/")]
Names = Annotated[list[str] | None, typer.Argument(help="Names; none means all")]


def start(verb: str, conf_dir: Path, env: str) -> RunContext:
    """A new run whose log goes to a file of its own in the lake, or to standard error where the lake is remote."""
    context, root = RunContext(verb, env), Project(conf_dir, env).lake_root
    logs.configure(None if "://" in root else Path(root) / "_logs" / f"{context.run_id}.jsonl")
    return context


def plain_table() -> Table:
    """Two columns that stay readable on 80 characters: a name, and what is said of it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def ending(outcome: str, counts: RowCounts, message: str, seconds: str = "") -> str:
    """How a run ended, with the sum that every batch satisfies, and on what."""
    ended = outcome.replace("_", " ") + seconds
    if outcome == "succeeded":
        parts = f"{counts.good:,} good + {counts.quarantined:,} quarantined + {counts.dropped:,} dropped"
        ended = f"{counts.read:,} read = {parts}{seconds}"
    said = f"\n[dim]{escape(message)}[/dim]" if message and message != outcome.replace("_", " ") else ""
    return ended + said


def entries_table(entries: Sequence["RunEntry"]) -> Table:
    """What pipelines did, one after the other."""
    table = plain_table()
    for entry in entries:
        table.add_row(entry.name, ending(entry.outcome, entry.counts, entry.message))
    return table


@contextmanager
def progress_bar(first: str = "starting Spark") -> Iterator["verbs.Progress"]:
    """A line that names the step and the seconds it takes."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(first)
        yield lambda text: bar.update(task, description=escape(text))


@contextmanager
def explained() -> Iterator[None]:
    """A user's mistake ends in one sentence, not in a stack trace."""
    try:
        yield
    except LakeloopError as error:
        console.print(escape(str(error)), style="red", soft_wrap=True)
        raise typer.Exit(1) from error
