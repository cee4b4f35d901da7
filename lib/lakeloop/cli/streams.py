"""`lakeloop stream`: how far a pipeline's intake is; pause, resume and reset it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, plain_table
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.lake.stream_decisions import Decision

Pipeline = Annotated[str, typer.Argument(help="Name of a pipeline", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason, for those who come after", show_default=False)]

app = typer.Typer(help="How far the intake of pipelines is; pause, resume, reset it.", no_args_is_help=True)


@app.command()
def show(names: Names = None, conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Show how far pipelines have come and what was decided of them; starts no Spark."""
    with explained():
        project, table = Project(conf_dir, env), plain_table()
        for name in names or project.names("pipelines"):
            stream = verbs.find_stream(project, name)
            history, state = stream.history, "reads"
            if stream.pause:
                state = f"[yellow]{escape(stream.pause.said)}[/yellow]"
            table.add_row(f"[bold]{name}[/bold]", state)
            if history.last is None:
                table.add_row("", "[dim]nothing read yet[/dim]")
            else:
                ended = "has not ended" if stream.has_unfinished else str(history.outcome)
                said = f"batch {history.last.batch_id} {ended}: {history.last.plan.summary}"
                table.add_row("", f"[dim]{escape(said)}[/dim]")
            for decision in stream.decisions[-3:]:
                table.add_row("", f"[dim]{escape(decision.said)}[/dim]")
        console.print(table)


@app.command()
def pause(name: Pipeline, why: Why = "", conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Take in nothing more until it is resumed; what the source keeps meanwhile comes then."""
    _decide(verbs.pause_stream, name, why, conf_dir, env, f"lakeloop stream resume {name}")


@app.command()
def resume(name: Pipeline, why: Why = "", conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Take in again what has come meanwhile."""
    _decide(verbs.resume_stream, name, why, conf_dir, env, f"lakeloop run {name}")


@app.command()
def reset(name: Pipeline, why: Why = "", conf_dir: ConfDir = Path("conf"), env: Env = "local") -> None:
    """Read the source from its beginning again; refused where rows would come twice."""
    _decide(verbs.reset_stream, name, why, conf_dir, env, f"lakeloop run {name}")


def _decide(
    verb: Callable[[Project, str, str, RunContext], Decision], name: str, why: str, conf_dir: Path, env: str, then: str
) -> None:
    with explained():
        decision = verb(Project(conf_dir, env), name, why, RunContext("stream", env))
        console.print(f"{escape(name)} {escape(decision.said)}. Next: {escape(then)}", soft_wrap=True)
