"""`lakeloop schema` and `json-schema`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, console, explained, plain_table
from lakeloop.core.config import Project


def schema(
    pipeline: Annotated[str, typer.Argument(help="Name of a pipeline", show_default=False)],
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show the columns of a pipeline's files by version, and what changed; starts no Spark."""
    with explained():
        history = verbs.schema_history(Project(conf_dir, env), pipeline)
        if not history.versions:
            console.print(f"No schema of {pipeline} is on record; files have one. Next: lakeloop run {pipeline}")
            return
        table = plain_table()
        for version in history.versions:
            by = f" by {version.file}" if version.file else ""
            table.add_row(
                f"[bold]version {version.version}[/bold]", f"{version.origin}{escape(by)}, {version.at:%F %H:%M}"
            )
            for name, type_ in version.columns:
                table.add_row(f"  {escape(name)}", escape(type_ or "as it comes"))
            for change in history.changes:
                if change["version"] == version.version:
                    said = f"[dim]{change['at']:%F %H:%M} {escape(change['detail'])}[/dim]"
                    table.add_row(f"  [dim]{change['change']} {escape(change['column'])}[/dim]", said)
        console.print(table)


def json_schema(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made if it is not there")] = Path("schemas"),
) -> None:
    """Write the JSON Schema of each kind of YAML file, by which editors complete and check; starts no Spark."""
    with explained():
        table = plain_table()
        for glob, file in verbs.write_json_schemas(folder).items():
            table.add_row(f"conf/*/{glob}", escape(str(file)))
        console.print(table)
        console.print("Next: tell your editor which schema is for which files (docs/editors.md)")
