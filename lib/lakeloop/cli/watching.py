"""`lakeloop watch`."""

import datetime as dt
import signal
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, Names, console, entries_table, explained, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.core.durations import parse_duration
from lakeloop.core.run_record import RunContext


def watch(
    names: Names = None,
    every: Annotated[
        str, typer.Option(help="How often to look where a pipeline declares no interval, as 10s or 5m")
    ] = "10s",
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Bring new data in as they come, until Ctrl-C or SIGTERM; what is being run then is brought to its end."""
    with explained():
        interval = _interval(every)
        project = Project(conf_dir, env)
        start("watch", conf_dir, env)
        stop = Event()

        def told(context: RunContext, summary: verbs.RunSummary) -> None:
            console.print(f"[bold]{context.started_at:%H:%M:%S}[/bold] run {context.run_id}")
            console.print(entries_table([entry for entry in summary.entries if entry.outcome != "nothing_new"]))
            for pipeline, error in summary.failures.items():
                console.print(f"{pipeline} failed: {escape(str(error))}", style="red", soft_wrap=True)
            for note in summary.notes:
                console.print(escape(note), soft_wrap=True)

        with progress_bar() as progress:
            verbs.open_lake(project)  # Spark sets a handler of its own when it starts

            def leave(_: int, __: FrameType | None) -> None:
                stop.set()

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, leave)
            passes = verbs.watch(project, names or [], interval, stop, told, progress)
        console.print(f"Stopped after {passes:,} passes. Tables: {project.lake_root} · next: lakeloop runs")


def _interval(text: str) -> dt.timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--every") from error
