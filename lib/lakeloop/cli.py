"""The `lakeloop` command: the verbs for people, with a progress bar, a table at the end and the next thing to type."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lakeloop import __version__, verbs
from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.lake.ledger import Ledger, RunEntry

app = typer.Typer(
    help="Data in, models out, and the loop closed.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console()

ConfDir = Annotated[Path, typer.Option(help="Folder with base/ and one folder per environment")]
Env = Annotated[str, typer.Option("--env", help="Environment whose folder overlays base/")]
Names = Annotated[list[str] | None, typer.Argument(help="Names; none means all")]


@app.command()
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
        console.print("The configuration is valid. Next: lakeloop run")


@app.command()
def run(names: Names = None, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Bring what is new through pipelines into their tables, in the order of their dependencies."""
    with explained():
        project, context = Project(conf_dir, env), start("run", conf_dir, env)
        with progress_bar() as progress:
            summary = verbs.run(project, names or [], context, progress)
        console.print(entries_table(summary.entries))
        for pipeline, error in summary.failures.items():
            console.print(f"{pipeline} failed: {escape(str(error))}", style="red", soft_wrap=True)
        console.print(f"Tables: {project.lake_root} · run {context.run_id} · next: lakeloop runs", soft_wrap=True)
        if summary.failures:
            raise typer.Exit(1)


@app.command()
def train(name: str, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Train, compare and register a model; the better one becomes champion."""
    with explained():
        project, context = Project(conf_dir, env), start("train", conf_dir, env)
        with progress_bar() as progress:
            trained = verbs.train_model(project, name, context, progress)
        if trained.result is not None:
            console.print(candidates_table(trained))
        standing = "is champion" if trained.promoted else "was registered, the champion stays"
        said = f"version {trained.version} {standing}" if trained.result else f"nothing new: {trained.entry.message}"
        console.print(f"{name}: {said} · next: lakeloop score {name}")


@app.command()
def score(name: str, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Let the champion score every row of its table."""
    with explained():
        project, context = Project(conf_dir, env), start("score", conf_dir, env)
        with progress_bar() as progress:
            entry = verbs.score_table(project, name, context, progress)
        console.print(entries_table([entry]))
        console.print(f"Scores: {entry.table} in {project.lake_root} · next: lakeloop runs", soft_wrap=True)


@app.command()
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


def entries_table(entries: Sequence[RunEntry]) -> Table:
    """What pipelines did, one after the other."""
    table = plain_table()
    for entry in entries:
        table.add_row(entry.name, ending(entry.outcome, entry.counts, entry.message))
    return table


def candidates_table(trained: verbs.Trained) -> Table:
    """All candidates, best first, with the mean over the folds, and the champion's test figures below."""
    assert trained.result is not None
    result = trained.result
    metric, test = result.spec.select_by, result.test
    table = Table(
        "candidate",
        f"{metric}, mean ± sd",
        box=None,
        pad_edge=False,
        caption_justify="left",
        caption=f"held-out rows: AUC ROC {test.area_under_roc:.4f}, AUC PR {test.area_under_pr:.4f}",
    )
    for candidate in result.candidates:
        table.add_row(
            str(candidate.point),
            f"{candidate.mean[metric]:.4f} ± {candidate.std[metric]:.4f}",
        )
    return table


@contextmanager
def progress_bar() -> Iterator[verbs.Progress]:
    """A line that names the step and the seconds it takes."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("starting Spark")
        yield lambda text: bar.update(task, description=escape(text))


@contextmanager
def explained() -> Iterator[None]:
    """A user's mistake ends in one sentence, not in a stack trace."""
    try:
        yield
    except LakeloopError as error:
        console.print(escape(str(error)), style="red", soft_wrap=True)
        raise typer.Exit(1) from error


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    """Data in, models out, and the loop closed."""
    if show:
        console.print(__version__)
        raise typer.Exit


def main() -> None:
    """Console entry point."""
    app()
