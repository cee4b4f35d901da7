"""What each column of a query's result is made of, read from its SQL.

Apart from `lineage.py`, since sqlglot takes a fifth of a second to import and few commands ask.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

from lakeloop.catalog.lineage import ALL, Field, Origin
from lakeloop.ingestion.source_specs import QuerySource


def origins_in_query(
    source: QuerySource, columns_of: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[Origin]], str | None]:
    """What each column of a query's result is made of, and what keeps that from being known.

    `columns_of` has the columns of the tables it reads.
    """
    fields = {view: dict.fromkeys(columns_of.get(table, ()), "string") for view, table in source.inputs.items()}
    schema = {view: columns for view, columns in fields.items() if columns}
    origins: dict[str, list[Origin]] = {}
    try:
        sqlglot.parse_one(source.query, dialect="spark")
        for column in result_columns(source, columns_of):
            node = lineage(column, source.query, schema=cast(dict[Any, Any], schema), dialect="spark")
            leaves = list(dict.fromkeys(_leaves(node, source.inputs)))
            by = () if _is_copied(node) else ("query",)
            origins[column] = [Origin(leaf, by) for leaf in leaves]
    except (SqlglotError, ValueError) as error:
        return origins, f"the query cannot be traced: {str(error).splitlines()[0]}"
    return origins, None


def result_columns(source: QuerySource, columns_of: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of a query's columns; a star over a table whose columns are unknown gives none of them."""
    try:
        query = sqlglot.parse_one(source.query, dialect="spark")
    except SqlglotError:
        return []
    names: list[str] = []
    for selected in query.selects if isinstance(query, exp.Query) else ():
        if selected.is_star:
            names += [name for table in source.inputs.values() for name in columns_of.get(table, ())]
        else:
            names.append(selected.alias_or_name)
    return list(dict.fromkeys(filter(None, names)))


def _is_copied(node: Node) -> bool:
    """Whether a column of the result is, all the way down, a column and nothing done to it."""
    while isinstance(node.expression, exp.Expression) and isinstance(node.expression.unalias(), exp.Column):
        if len(node.downstream) != 1:
            return False
        node = node.downstream[0]
    return isinstance(node.expression, exp.Table)


def _leaves(node: Node, inputs: Mapping[str, str]) -> Iterator[Field]:
    """The columns of input tables below a node; the rows of a table where only those count."""
    for leaf in node.walk():
        if leaf.downstream:
            continue
        if isinstance(leaf.source, exp.Table):
            if (view := leaf.source.name) in inputs:
                yield Field(inputs[view], leaf.name.rpartition(".")[2])
        elif not leaf.expression.find(exp.Column):
            for table in leaf.source.find_all(exp.Table):
                if table.name in inputs and leaf.expression.find(exp.Star):
                    yield Field(inputs[table.name], ALL)
