"""`lakeloop serve`: tables and models over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, start
from lakeloop.core.config import Project

app = typer.Typer(help="Serve over HTTP, until Ctrl-C.", no_args_is_help=True)


@app.command("data")
def data(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8090,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """The tables of the lake for readers with a key of access.yml; starts no Spark."""
    with explained():
        project = Project(conf_dir, env)
        start("serve", conf_dir, env)
        if host not in {"127.0.0.1", "localhost"}:
            console.print(f"{host} is reached from elsewhere and keys come in clear: put TLS in front", style="yellow")
        verbs.serve_data(project, host, port, lambda address: console.print(f"Data API: {address}", soft_wrap=True))


@app.command("models")
def models(
    names: Names = None,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8091,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer")] = 1,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds between being told to end, when /readyz says so, and ending")
    ] = 0.0,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """The champions of models, and who else holds a role, for callers with a key of access.yml; starts no Spark."""
    with explained():
        project = Project(conf_dir, env)
        verbs.serve_models(project, names or [], host, port, workers=workers, drain_seconds=drain_seconds)


@app.callback()
def serving() -> None:
    """Serve over HTTP, until Ctrl-C."""
