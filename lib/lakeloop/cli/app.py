"""The command itself: which functions it offers, under which names."""

from typing import Annotated

import typer

from lakeloop import __version__
from lakeloop.cli import (
    access,
    alerts,
    backfilling,
    catalog,
    champions,
    models,
    pipelines,
    profiling,
    quality,
    quarantine,
    repairing,
    schemas,
    sources,
    streams,
    watching,
)
from lakeloop.cli.terminal import console

app = typer.Typer(
    help="Data in, models out, and the loop closed.", no_args_is_help=True, pretty_exceptions_enable=False
)
for command in (
    pipelines.validate,
    sources.sources,
    pipelines.run,
    watching.watch,
    backfilling.backfill,
    models.train,
    models.score,
    models.explain,
    models.reproduce,
    pipelines.runs,
    quality.quality,
    alerts.incidents,
    schemas.schema,
    schemas.json_schema,
    access.query,
    profiling.profile,
    access.retain,
    repairing.repair,
):
    app.command()(command)
app.add_typer(access.serve, name="serve")
app.add_typer(alerts.app, name="alerts")
app.add_typer(catalog.app, name="catalog")
app.add_typer(champions.app, name="champion")
app.add_typer(profiling.contract, name="contract")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(streams.app, name="stream")


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    """Data in, models out, and the loop closed."""
    if show:
        console.print(__version__)
        raise typer.Exit


def main() -> None:
    """Console entry point."""
    app()
