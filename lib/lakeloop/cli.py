"""The `lakeloop` command: the verbs for people, with a progress bar, a table at the end and the next thing to type."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lakeloop import __version__, verbs
from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.ledger import RUNS, RunEntry

app = typer.Typer(
    help="Data in, models out, and the loop closed.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console()

ConfDir = Annotated[Path, typer.Option(help="Folder with base/ and one folder per environment")]
Env = Annotated[str, typer.Option("--env", help="Environment whose folder overlays base/")]
Names = Annotated[list[str] | None, typer.Argument(help="Names; none means all")]


@app.command()
def validate(conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Check every declaration, secret and environment variable; starts no Spark."""
    with explained():
        problems = verbs.validate(Project(conf_dir, env))
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
        console.print(entries_table(list(summary.entries)))
        for pipeline, error in summary.failures.items():
            console.print(f"{pipeline} failed: {escape(str(error))}", style="red", soft_wrap=True)
        console.print(f"Tables: {project.lake_root} · run {context.run_id} · next: lakeloop runs")
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
        console.print(f"Scores: {entry.table} in {project.lake_root} · next: lakeloop runs")


@app.command()
def runs(last: int = 20, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Show what ran: rows read, good, quarantined and dropped per table; starts no Spark."""
    with explained():
        root = Project(conf_dir, env).lake_root
        try:
            rows = (
                DeltaTable(f"{root}/{RUNS.replace('.', '/')}").to_pyarrow_table().sort_by([("ended_at", "descending")])
            )
        except TableNotFoundError:
            console.print(f"No run yet in {root}. Next: lakeloop run")
            return
        shown = rows.slice(0, last).to_pylist()
        table = Table("started (UTC)", "run", "name", "outcome", *COUNTS, "seconds", "message")
        for row in reversed(shown):
            seconds = (row["ended_at"] - row["started_at"]).total_seconds()
            counts = [f"{row[f'rows_{name}']:,}" for name in COUNTS]
            table.add_row(
                f"{row['started_at']:%Y-%m-%d %H:%M:%S}",
                row["run_id"],
                row["name"],
                row["outcome"],
                *counts,
                f"{seconds:.1f}",
                escape(row["message"] or ""),
            )
        console.print(table)


COUNTS = ("read", "good", "quarantined", "dropped")


def start(verb: str, conf_dir: Path, env: str) -> RunContext:
    """A new run whose log goes to a file of its own in the lake, or to standard error where the lake is remote."""
    context, root = RunContext(verb, env), Project(conf_dir, env).lake_root
    logs.configure(None if "://" in root else Path(root) / "_logs" / f"{context.run_id}.jsonl")
    return context


def entries_table(entries: list[RunEntry]) -> Table:
    """What pipelines did, one line each."""
    table = Table("name", "table", "outcome", *COUNTS, "what")
    for entry in entries:
        counts = [f"{getattr(entry.counts, name):,}" for name in COUNTS]
        table.add_row(entry.name, entry.table, entry.outcome.replace("_", " "), *counts, escape(entry.message))
    return table


def candidates_table(trained: verbs.Trained) -> Table:
    """All candidates, best first, with the mean over the folds, and the champion's test figures below."""
    assert trained.result is not None
    result = trained.result
    metric, test = result.spec.select_by, result.test
    table = Table(
        "candidate",
        f"{metric} (mean ± sd)",
        "seconds",
        caption=f"held-out rows: AUC ROC {test.area_under_roc:.4f}, AUC PR {test.area_under_pr:.4f}",
    )
    for candidate in result.candidates:
        table.add_row(
            str(candidate.point),
            f"{candidate.mean[metric]:.4f} ± {candidate.std[metric]:.4f}",
            f"{candidate.seconds:.1f}",
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
