"""What each column of a table is made of, read from the declaration that makes it."""

from collections.abc import Sequence
from typing import NamedTuple

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
    """What a column of a source that reads tables is made of or, where not `direct`, found by, and the steps."""

    field: Field
    by: tuple[str, ...]
    direct: bool = True


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
        elif each.score:
            # Which columns it takes is known of the model, which the catalog draws, too.
            flows.append(Flow(Field(f"model:{each.score.model}", each.score.columns[column]), target, (step,)))
            keys = ()
        else:
            assert each.http is not None
            flows.append(
                Flow(Field(f"rest:{each.http.rest}{each.http.path}", each.http.columns[column].path), target, (step,))
            )
            keys = each.http.keys
        flows += [_traced(spec.transforms, source, key, target, (step,))._replace(direct=False) for key in keys]
    return flows


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
