"""`lakeloop catalog`: what data there is, what it means and where it comes from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from lakeloop import verbs
from lakeloop.catalog import Catalog, CatalogColumn, DataSet, Field, Flow, Relation, search
from lakeloop.cli.terminal import ConfDir, Env, console, explained, plain_table
from lakeloop.core.config import Project

SHOWN_COLUMNS = 8
Place = TypeVar("Place")

app = typer.Typer(help="What data there is, what it means and where it comes from.", no_args_is_help=True)


@app.command("search")
def search_(
    words: Annotated[list[str] | None, typer.Argument(help="Words that all must be found; none lists all")] = None,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Find data sets by words of their names, columns, descriptions, owners and tags; starts no Spark."""
    with explained():
        hits = search(verbs.load_catalog(Project(conf_dir, env)), words or [])
        if not hits:
            console.print(f"Nothing has {escape(' and '.join(words or []))}. Next: lakeloop catalog search")
            return
        table = plain_table()
        for hit in hits:
            table.add_row(f"[bold]{escape(hit.data_set.name)}[/bold]", _said(hit.data_set))
            if words and hit.columns:
                names = [escape(column.name) for column in hit.columns[:SHOWN_COLUMNS]]
                more = f" and {len(hit.columns) - SHOWN_COLUMNS} more" if len(hit.columns) > SHOWN_COLUMNS else ""
                table.add_row("", f"[dim]columns {', '.join(names)}{more}[/dim]")
        console.print(table)
        console.print(f"Next: lakeloop catalog show {escape(hits[0].data_set.name)}", soft_wrap=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A data set, as silver.customers", show_default=False)],
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show a data set: its columns and what they mean, its owner, tags and relations; starts no Spark."""
    with explained():
        catalog = verbs.load_catalog(Project(conf_dir, env))
        found = catalog.data_set(name)
        console.print(f"[bold]{escape(found.name)}[/bold] {_said(found)}", soft_wrap=True)
        facts = plain_table()
        for title, texts in (
            ("pipeline", [found.pipeline] if found.pipeline else []),
            ("made of", list(found.made_of)),
            ("feeds", list(found.feeds)),
            ("relations", [_relation(each) for each in found.relations]),
            ("note", [found.note] if found.note else []),
        ):
            for place, text in enumerate(texts):
                facts.add_row(f"[dim]{'' if place else title}[/dim]", escape(text))
        console.print(facts)
        console.print(_columns(found.columns))
        console.print(f"Next: lakeloop catalog lineage {escape(name)}", soft_wrap=True)


@app.command()
def lineage(
    name: Annotated[str, typer.Argument(help="A data set or a column, as silver.customers.email", show_default=False)],
    down: Annotated[bool, typer.Option("--down", help="What is made of it, rather than what it is made of")] = False,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show what a data set or a column is made of, or with --down what is made of it; starts no Spark."""
    with explained():
        catalog = verbs.load_catalog(Project(conf_dir, env))
        field = catalog.field(name)
        tree = Tree(f"[bold]{escape(name)}[/bold] [dim]{'feeds' if down else 'is made of'}[/dim]")
        if field is None:
            _grow(tree, name, lambda each: _neighbours(catalog, each, down=down), (name,))
        else:
            _grow(tree, field, lambda each: _flows(catalog, each, down=down), (field,))
        if not tree.children:
            tree.add("[dim]nothing that is declared[/dim]")
        console.print(tree)


def _grow(
    tree: Tree, place: Place, following: Callable[[Place], Iterator[tuple[Place, str]]], above: tuple[Place, ...]
) -> None:
    for other, how in following(place):
        said = f" [dim]{escape(how)}[/dim]" if how else ""
        if other in above:
            tree.add(f"{escape(str(other))}{said} [dim]again[/dim]")
        else:
            _grow(tree.add(f"{escape(str(other))}{said}"), other, following, (*above, other))


def _neighbours(catalog: Catalog, name: str, *, down: bool) -> Iterator[tuple[str, str]]:
    data_set = catalog.data_set(name)
    for other in data_set.feeds if down else data_set.made_of:
        yield other, catalog.data_set(other).kind


def _flows(catalog: Catalog, field: Field, *, down: bool) -> Iterator[tuple[Field, str]]:
    for flow in (catalog.out_of if down else catalog.into).get(field, ()):
        yield flow.target if down else flow.source, _how(flow)


def _how(flow: Flow) -> str:
    steps = " → ".join(flow.by)
    return steps if flow.direct else f"as the key of {steps}"


def _said(data_set: DataSet) -> str:
    parts = [data_set.kind, data_set.description]
    parts += [f"owner {data_set.owner}"] if data_set.owner else []
    parts += [f"tags {', '.join(data_set.tags)}"] if data_set.tags else []
    parts += [] if data_set.exists else ["not written yet"]
    return escape(" · ".join(filter(None, parts)))


def _columns(columns: tuple[CatalogColumn, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("column", "type", "tags", "meaning"):
        table.add_column(title, no_wrap=title == "column")
    for each in columns:
        table.add_row(*map(escape, (each.name, each.type, ", ".join(each.tags), each.description)))
    return table


def _relation(relation: Relation) -> str:
    columns = ", ".join(relation.columns)
    if relation.kind == "key":
        return f"{columns} tells its rows apart"
    return f"{columns} {relation.kind} {relation.table} ({', '.join(relation.keys)})"
