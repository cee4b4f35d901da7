"""Types of PostgreSQL as types of tables; a value that is none of them quarantines its row like any other misfit."""

from lakeloop.ingestion.schemas.columns import NESTED, Found, Schema
from lakeloop.ingestion.sources.cdc.pgoutput import RelationColumn

NUMERIC = 1700
# OIDs of built-in types never change (pg_type.dat). Every other type, and numeric without a precision, is text.
TYPES = {
    16: "boolean", 20: "bigint", 21: "int", 23: "int", 700: "float", 701: "double", 1082: "date", 1114: "timestamp",
    1184: "timestamp",
}  # fmt: skip
DOCUMENTS = {114, 3802}  # json, jsonb
ARRAYS = {199, 1000, 1005, 1007, 1009, 1015, 1016, 1021, 1022, 1115, 1182, 1185, 1231, 2951, 3807}
MAX_PRECISION = 38


def sql_type(column: RelationColumn) -> str:
    """The type that values of the column are cast to; `nested` for JSON and arrays of built-in types."""
    if column.type_oid in DOCUMENTS | ARRAYS:
        return NESTED
    if column.type_oid == NUMERIC and column.type_modifier >= 4:
        # The upper half holds the precision, the lower eleven bits the scale, which may be negative.
        precision = ((column.type_modifier - 4) >> 16) & 0xFFFF
        scale = (((column.type_modifier - 4) & 0x7FF) ^ 0x400) - 0x400
        if 0 <= scale <= precision <= MAX_PRECISION:
            return f"decimal({precision},{scale})"
    return TYPES.get(column.type_oid, "string")


def found_in(table: str, columns: tuple[RelationColumn, ...], known: Schema | None) -> Found:
    """What a table has, for the decision on its difference to the schema.

    Where the schema has text, a document is its text and no change; elsewhere it is what does not fit.
    """
    types = {column.name: sql_type(column) for column in columns}
    for name, type_ in types.items():
        there = known.column(name) if known else None
        if type_ == NESTED and (there is None or there.type in (None, "string")):
            types[name] = "string"
    return Found(table, tuple(types), types)
