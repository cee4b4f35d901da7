"""`lakeloop profile` and `contract`."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lakeloop import verbs
from lakeloop.cli.terminal import ConfDir, Env, console, explained, plain_table, progress_bar, start
from lakeloop.core.config import Project
from lakeloop.quality.profiling import remarks_on

MOST_REMARKS = 8

contract = typer.Typer(help="Data contracts by the Open Data Contract Standard.", no_args_is_help=True)


def _share(text: str) -> float:
    """`10%` or `0.1`."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?|\.\d+)(%?)", text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 0
    if not 0 < share < 1:
        raise typer.BadParameter(f"'{text}' is no share of rows; write one above 0 and below 1, as 0.1 or 10%")
    return share


def profile(
    name: Annotated[str, typer.Argument(help="A table, as silver.customers, or a pipeline for its record")],
    columns: Annotated[str | None, typer.Option(help="Only these, divided by commas")] = None,
    sample: Annotated[str | None, typer.Option(help="A share of the rows, as 10%; then no numbers are kept")] = None,
    output: Annotated[Path | None, typer.Option(help="File for the page instead of one in the lake")] = None,
    rules: Annotated[Path | None, typer.Option(help="File for the proposed rules, judged by one more pass")] = None,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show what a table holds, in one pass, and propose rules for review."""
    named = tuple(filter(None, (part.strip() for part in (columns or "").split(","))))
    share = None if sample is None else _share(sample)
    with explained():
        project, context = Project(conf_dir, env), start("profile", conf_dir, env)
        with progress_bar() as progress:
            asked = verbs.ProfileAsked(name, named, share, output, rules)
            found = verbs.profile(project, asked, context, progress)
        told = found.profile
        console.print(
            f"[bold]{escape(found.table)}[/bold] version {found.version}: {told.rows:,} rows, "
            f"{len(told.columns)} columns",
            soft_wrap=True,
        )
        table = plain_table()
        remarks = remarks_on(told)
        for column, text in remarks[:MOST_REMARKS]:
            table.add_row(f"  {escape(column)}", escape(text))
        if len(remarks) > MOST_REMARKS:
            table.add_row("", f"[dim]and {len(remarks) - MOST_REMARKS} more remarks in the report[/dim]")
        console.print(table)
        kinds = Counter(each.kind for each in found.proposals if each.holds)
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"
        judged = " that hold in every row" if rules else ""
        console.print(f"Proposed rules{judged}: {said}", soft_wrap=True)
        console.print(f"Report: {escape(found.page)}", soft_wrap=True)
        if rules:
            console.print(f"Next: review {escape(str(rules))}, and paste what is true into a pipeline", soft_wrap=True)
        else:
            console.print(f"Next: lakeloop profile {escape(name)} --rules proposed.yml", soft_wrap=True)


@contract.command("export")
def export(
    pipeline: Annotated[str, typer.Argument(help="Name of a pipeline", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="File instead of the terminal")] = None,
    version: Annotated[str, typer.Option(help="Version of the contract")] = "1.0.0",
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Write a pipeline's data contract: its columns, rules, owner and promises; starts no Spark."""
    with explained():
        _give(verbs.export_contract(Project(conf_dir, env), pipeline, version), output)


@contract.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A contract in YAML", show_default=False)],
    schema: Annotated[str | None, typer.Option(help="The table, where the contract has several")] = None,
    output: Annotated[Path | None, typer.Option(help="File instead of the terminal")] = None,
) -> None:
    """Turn a data contract into the parts `columns` and `rules` of a pipeline; starts no Spark."""
    with explained():
        _give(verbs.import_contract(file, schema), output)


def _give(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        console.print(f"Written: {escape(str(output))}", soft_wrap=True)
