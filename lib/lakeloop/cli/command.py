"""The command itself: which functions it offers, under which names."""

from importlib import import_module
from typing import Annotated

import typer

from lakeloop import __version__
from lakeloop.cli.terminal import console

# In the order in which help shows them: the module of each command, whose function has its name, and of each group.
COMMANDS = {
    "validate": "pipelines",
    "sources": "sources",
    "run": "pipelines",
    "watch": "watching",
    "backfill": "backfilling",
    "train": "models",
    "score": "models",
    "explain": "models",
    "reproduce": "models",
    "runs": "pipelines",
    "quality": "quality",
    "incidents": "alerts",
    "schema": "schemas",
    "json-schema": "schemas",
    "query": "access",
    "profile": "profiling",
    "retain": "access",
    "repair": "repairing",
}
GROUPS = {
    "serve": ("serving", "app"),
    "alerts": ("alerts", "app"),
    "catalog": ("catalog", "app"),
    "champion": ("champions", "app"),
    "contract": ("profiling", "contract"),
    "quarantine": ("quarantine", "app"),
    "stream": ("streams", "app"),
}


def build(asked: str = "") -> typer.Typer:
    """The command. Where the name of a command or group is given, that one alone: others take seconds to import."""
    app = typer.Typer(
        help="Data in, models out, and the loop closed.", no_args_is_help=True, pretty_exceptions_enable=False
    )
    has_all = asked not in COMMANDS | GROUPS
    for name, module in COMMANDS.items():
        if has_all or name == asked:
            app.command(name)(getattr(_module(module), name.replace("-", "_")))
    for name, (module, group) in GROUPS.items():
        if has_all or name == asked:
            app.add_typer(getattr(_module(module), group), name=name)
    app.callback(invoke_without_command=True)(version)
    return app


def version(show: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    """Data in, models out, and the loop closed."""
    if show:
        console.print(__version__)
        raise typer.Exit


def _module(name: str) -> object:
    return import_module(f"lakeloop.cli.{name}")
