"""What tables that are united by name give: their columns, and where each of these comes from."""

from collections.abc import Iterator, Mapping, Sequence

from lakeloop.catalog.lineage import Field, Flow
from lakeloop.ingestion.source_specs import TablesSource


def united_names(source: TablesSource, columns_of: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns of all tables, as the first that has one calls it; none where those of a table are not known."""
    known = [columns_of.get(table, ()) for table in source.data_sets]
    if not all(known):
        return []
    spelt: dict[str, str] = {}
    for name in (name for columns in known for name in columns):
        spelt.setdefault(name.lower(), name)
    return [*spelt.values(), *([source.table_column] if source.table_column else [])]


def from_each_table(flow: Flow, source: TablesSource, columns_of: Mapping[str, Sequence[str]]) -> Iterator[Flow]:
    """A flow from a column of the union as flows from those of the tables; one that is not known to lack it has it."""
    if flow.source.column == source.table_column:
        return
    for table in source.data_sets:
        names = {name.lower(): name for name in columns_of.get(table, ())}
        column = names.get(flow.source.column.lower()) if names else flow.source.column
        if column is not None:
            yield flow._replace(source=Field(table, column))
