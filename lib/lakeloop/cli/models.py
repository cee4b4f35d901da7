"""`lakeloop train`, `score`, `explain` and `reproduce`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, console, entries_table, explained, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.verbs.models import By

SHOWN = 20


def train(name: str, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Train, compare and register a model; the better one becomes champion."""
    with explained():
        project, context = Project(conf_dir, env), start("train", conf_dir, env)
        with progress_bar() as progress:
            trained = verbs.train_model(project, name, context, progress)
        if trained.result is not None:
            console.print(candidates_table(trained))
            for warning in trained.result.warnings:
                console.print(f"[yellow]warning[/]: {escape(warning)}", soft_wrap=True)
            console.print(escape(trained.portable), soft_wrap=True)
        standing = "is champion" if trained.promoted else "was registered, the champion stays"
        said = f"version {trained.version} {standing}" if trained.result else f"nothing new: {trained.entry.message}"
        console.print(f"{name}: {said} · next: lakeloop score {name}")


def score(
    name: str,
    by: Annotated[
        By | None, typer.Option(help="Who works it out; by default the archive, where the champion has one")
    ] = None,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Let the champion score every row of its table."""
    with explained():
        project, context = Project(conf_dir, env), start("score", conf_dir, env)
        with progress_bar() as progress:
            entry = verbs.score_table(project, name, context, progress, by)
        console.print(entries_table([entry]))
        console.print(f"Scores: {entry.table} in {project.lake_root} · next: lakeloop runs", soft_wrap=True)


def explain(
    name: str,
    rows: Annotated[int, typer.Option(min=1, max=5_000, help="How many rows get their reasons")] = 200,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show what the champion looks at, how its answers move, and why single rows got theirs: a page and a table."""
    with explained():
        project, context = Project(conf_dir, env), start("explain", conf_dir, env)
        with progress_bar() as progress:
            found = verbs.explain_model(project, name, context, progress, rows=rows)
        for line in found.lines:
            console.print(line, soft_wrap=True)
        console.print(f"Reasons: {found.entry.table} in {project.lake_root}\nReport: {found.page}", soft_wrap=True)


def reproduce(
    run: Annotated[str, typer.Argument(help="MLflow's run id, a version as churn/3, or a model: its champion")],
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Train again what was trained once, on the same version of its table, and compare; exits by 1 if it differs."""
    with explained():
        project, context = Project(conf_dir, env), start("reproduce", conf_dir, env)
        with progress_bar() as progress:
            found = verbs.reproduce_model(project, run, context, progress)
        if found.apart:
            table = Table("figure", "then", "now", box=None, pad_edge=False)
            for name, pair in list(found.apart.items())[:SHOWN]:
                table.add_row(name, *("none" if value is None else f"{value:.10g}" for value in pair))
            console.print(table)
        for change in found.changes:
            console.print(f"not as it was: {change}", soft_wrap=True)
        console.print(f"Run {found.run_id}: {found.verdict}", soft_wrap=True)
        if not found.is_same:
            raise typer.Exit(1)


def candidates_table(trained: verbs.Trained) -> Table:
    """All candidates, best first, with the mean over the folds, and the champion's test figures below."""
    assert trained.result is not None
    result = trained.result
    metric, figures = result.spec.select_by, list(result.test.figures().items())
    table = Table(
        "candidate",
        f"{metric}, mean ± sd",
        box=None,
        pad_edge=False,
        caption_justify="left",
        caption="held-out rows: " + ", ".join(f"{name} {value:.4f}" for name, value in figures[:2]),
    )
    takes_another = result.winner is not result.candidates[0]
    for candidate in result.candidates:
        said = f"{candidate.mean[metric]:.4f}"
        if len(candidate.folds) > 1:
            said += f" ± {candidate.std[metric]:.4f}"
        if candidate.stopped:
            said += f", given up after {len(candidate.folds)} of {len(result.winner.folds)} folds"
        table.add_row(str(candidate.point), f"{said}, taken" if takes_another and candidate is result.winner else said)
    return table
