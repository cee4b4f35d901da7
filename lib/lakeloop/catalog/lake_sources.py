"""What sources that read tables give: their columns, and what each of these is made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lakeloop.catalog.lineage import Field, Origin
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs import JoinSource, LakeSource, QuerySource, TablesSource

ColumnsOf = Mapping[str, Sequence[str]]  # of each table; none where they are not known


def arriving_columns(source: LakeSource, columns_of: ColumnsOf) -> list[str]:
    """The columns of its rows; what tables whose columns are not known would give is left out."""
    match source:
        case QuerySource():
            from lakeloop.catalog.query_lineage import result_columns

            return result_columns(source, columns_of)
        case JoinSource():
            return list(_joined(source, columns_of)[0])
        case TablesSource():
            return _united(source, columns_of)


def origins_in(
    source: LakeSource, columns: Iterable[str], columns_of: ColumnsOf
) -> tuple[dict[str, list[Origin]], str | None]:
    """What `columns` of its rows are made of, as far as that can be told, and what keeps it from being known."""
    match source:
        case QuerySource():
            from lakeloop.catalog.query_lineage import origins_in_query

            return origins_in_query(source, columns_of)
        case JoinSource():
            return _joined(source, columns_of)
        case TablesSource():
            return {column: list(_of_each_table(source, column, columns_of)) for column in columns}, None


def _joined(source: JoinSource, columns_of: ColumnsOf) -> tuple[dict[str, list[Origin]], str | None]:
    join = source.join
    try:
        result = join.result(columns_of.get(join.left.table, ()), columns_of.get(join.right.table, ()))
    except ConfigError as clash:
        return {}, str(clash)
    found_by = [Origin(Field(join.left.table, key), ("join",), direct=False) for key in join.keys("left")]
    return {
        new: [Origin(Field(source.inputs[side], column), ()), *(found_by if side == "right" else ())]
        for new, (side, column) in result.items()
    }, None


def _united(source: TablesSource, columns_of: ColumnsOf) -> list[str]:
    """The columns of all tables, as the first that has one calls it; none where those of a table are not known."""
    known = [columns_of.get(table, ()) for table in source.data_sets]
    if not all(known):
        return []
    spelt: dict[str, str] = {}
    for name in (name for columns in known for name in columns):
        spelt.setdefault(name.lower(), name)
    return [*spelt.values(), *([source.table_column] if source.table_column else [])]


def _of_each_table(source: TablesSource, column: str, columns_of: ColumnsOf) -> Iterator[Origin]:
    """The column in each table; one that is not known to lack it has it."""
    if column == source.table_column:
        return
    for table in source.data_sets:
        names = {name.lower(): name for name in columns_of.get(table, ())}
        found = names.get(column.lower()) if names else column
        if found is not None:
            yield Origin(Field(table, found), ())
