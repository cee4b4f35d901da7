"""What each column of a table is made of, read from the declaration that makes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

from lakeloop.ingestion.source_specs import QuerySource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Rename, Split, Survive, Transform

ALL = "*"  # the rows of a data set rather than one of its columns: what `count(*)` is made of


class Field(NamedTuple):
    """A column of a data set."""

    data_set: str
    column: str

    def __str__(self) -> str:
        """`silver.customers.email`."""
        return f"{self.data_set}.{self.column}"


class Flow(NamedTuple):
    """A value of `target` is made of one of `source`, or, where it is not `direct`, found by means of it.

    `by` names the steps in their order, the last one last; none where the value stays as it is.
    """

    source: Field
    target: Field
    by: tuple[str, ...] = ()
    direct: bool = True


class Origin(NamedTuple):
    """A column that a column of a query is made of, and by what."""

    field: Field
    by: tuple[str, ...]


def columns_after(arriving: Sequence[str], spec: PipelineSpec) -> list[str]:
    """The columns that the transforms and enrichments of a pipeline make of those that arrive, in no order."""
    columns = list(arriving)
    for step in (transform.step for transform in spec.transforms):
        if isinstance(step, Rename):
            columns = [step.root.get(name, name) for name in columns]
        else:
            columns += sorted(step.writes - set(columns))
    return [*columns, *(name for each in spec.enrich for name in each.declared.columns)]


def flows_into(spec: PipelineSpec, source: str, columns: Sequence[str]) -> list[Flow]:
    """The flows into `columns` of the pipeline's record from `source` and from the data sets that it looks up."""
    looked_up = {name: each for each in spec.enrich for name in each.declared.columns}
    flows: list[Flow] = []
    for column in columns:
        target = Field(spec.record_table, column)
        if (each := looked_up.get(column)) is None:
            flows.append(_traced(spec.transforms, source, column, target, ()))
            continue
        step = f"enrich {each.name}"
        if each.lookup:
            flows.append(Flow(Field(each.lookup.table, each.lookup.columns[column]), target, (step,)))
            keys: Sequence[str] = list(each.lookup.on)
        else:
            assert each.http is not None
            flows.append(
                Flow(Field(f"rest:{each.http.rest}{each.http.path}", each.http.columns[column].path), target, (step,))
            )
            keys = each.http.keys
        flows += [_traced(spec.transforms, source, key, target, (step,))._replace(direct=False) for key in keys]
    return flows


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


def _traced(transforms: Sequence[Transform], source: str, column: str, target: Field, later: tuple[str, ...]) -> Flow:
    """The column back through the transforms to the one that it arrived as."""
    by = later
    for transform in reversed(transforms):
        step = transform.step
        kind = type(step).__name__.lower()
        if isinstance(step, Rename):
            came_from = {new: old for old, new in step.root.items()}
            if column in came_from:
                column, by = came_from[column], (kind, *by)
        elif isinstance(step, Split):
            whole = next((name for name, parts in step.root.items() if column in parts.into), None)
            if whole is not None:
                column, by = whole, (kind, *by)
        elif isinstance(step, Survive):
            by = (kind, *by) if step.replaces(column) else by
        elif column in step.writes:
            column, by = column.removesuffix("_is_outlier") if kind == "outliers" else column, (kind, *by)
    return Flow(Field(source, column), target, by)


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
