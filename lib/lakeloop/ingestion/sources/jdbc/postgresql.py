"""PostgreSQL, 12 or newer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc.dialect import Ask, Column
from lakeloop.ingestion.sources.jdbc.order import Order
from lakeloop.ingestion.sources.jdbc.statements import Relation, identifier, string

PRECISION = re.compile(r"\(.*?\)")
NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
AS_IT_IS: Mapping[str, tuple[str, Order | None]] = {
    "smallint": ("SMALLINT", "integer"),
    "integer": ("INT", "integer"),
    "bigint": ("BIGINT", "integer"),
    "real": ("FLOAT", "float"),
    "double precision": ("DOUBLE", "float"),
    "boolean": ("BOOLEAN", None),
    "bytea": ("BINARY", None),
}
BY_TEXT: Mapping[str, tuple[str, Order]] = {
    "timestamp with time zone": ("timestamp", "instant"),
    "timestamp without time zone": ("timestamp", "moment"),
    "date": ("date", "date"),
}
ELEMENTS = {
    "smallint": "smallint", "integer": "int", "bigint": "bigint", "real": "float", "double precision": "double",
    "boolean": "boolean",
}  # fmt: skip
TEXTS = ("text", "character varying", "character", "bpchar")
# A domain is its type; a view has columns in the catalog as a table has.
COLUMNS = """
SELECT CAST(a.attname AS text) AS name,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
            ELSE format_type(a.atttypid, a.atttypmod) END AS type
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = CAST({table} AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
YEARS = {
    "instant": ("'0001-01-01 00:00:00+00'", "'10000-01-01 00:00:00+00'"),
    "moment": ("'0001-01-01 00:00:00'", "'10000-01-01 00:00:00'"),
    "date": ("'0001-01-01'", "'10000-01-01'"),
}


@dataclass(frozen=True)
class PostgreSql:
    """The types and words of PostgreSQL; SQL states as its manual lists them (appendix A)."""

    driver: str = "org.postgresql.Driver"

    @property
    def options(self) -> Mapping[str, str]:
        """Read only; the zone of the session is that of nobody's machine, and intervals have one form."""
        return {"readOnly": "true", "sessionInitStatement": "SET TIME ZONE 'UTC'; SET intervalstyle = 'iso_8601'"}

    @property
    def clock(self) -> str:
        """Of the server, not of the transaction."""
        return "CAST(clock_timestamp() AT TIME ZONE 'UTC' AS text)"

    @property
    def remedies(self) -> Mapping[str, str]:
        """By SQL state."""
        return {
            "28": "check user and password of the connection",
            "3D": "the database in the connection's url does not exist",
            "42501": "grant SELECT on it to the connection's user",
            "42P01|3F000": "check the table's name and schema",
            "42703": "check the names under `where` and `query`",
            "42": "mend the SQL under `where` or `query`; it is sent as it stands",
            "08|57P": "check that the server runs and that the connection's url is right, then run again",
        }

    def columns(self, declared: JdbcSource, names: Callable[[], Mapping[str, str]], ask: Ask) -> list[Column]:
        """Those of a table from the catalog; those of a query by what its expressions are."""
        relation = Relation.of(declared)
        if declared.table is not None:
            rows = ask(COLUMNS.format(table=string(relation.sql)), {"name": "STRING", "type": "STRING"})
            return [column_of(str(row["name"]), str(row["type"])) for row in rows]
        seen = names()
        types = [f"CAST(pg_typeof(q.{identifier(name)}) AS text) AS type_{at}" for at, name in enumerate(seen)]
        # No row is read: what is joined is known to be empty when the statement is planned.
        joined = f"(SELECT 1) AS one LEFT JOIN (SELECT * FROM {relation.sql} WHERE false) AS q ON true"
        (row,) = ask(f"SELECT {', '.join(types)} FROM {joined}", {f"type_{at}": "STRING" for at in range(len(types))})
        found = zip(seen.items(), row.values(), strict=True)
        return [column_of(name, _with_precision(str(type_), spark_type)) for (name, spark_type), type_ in found]

    def text(self, value: str) -> str:
        """Times as ISO 8601 writes them, since the session is in UTC and its style is ISO."""
        return f"CAST({value} AS text)"

    def literal(self, text: str, order: Order) -> str:
        """Integers as such, since one may be beyond the column's type; all else in the column's own type."""
        return text if order == "integer" else string(text)

    def ordered(self, column: Column) -> str:
        """Without NaN and infinities; of times those of the years 1 to 9999."""
        name = identifier(column.name)
        if column.order in YEARS:
            first, end = YEARS[column.order]
            return f"{name} >= {first} AND {name} < {end}"
        if column.order == "float":
            return f"{name} > '-Infinity' AND {name} < 'Infinity'"
        if column.order == "number":  # releases before 14 know no infinite numeric, not even as a literal
            return f"CAST({name} AS text) NOT IN ('NaN', 'Infinity', '-Infinity')"
        return f"{name} IS NOT NULL"


def column_of(name: str, type_: str) -> Column:
    """A column by the name of its type, as `format_type` writes it; a type that is not known comes as its text."""
    quoted, plain = identifier(name), PRECISION.sub("", type_)
    as_text = f"CAST({quoted} AS text)"
    if plain in AS_IT_IS:
        read_as, order = AS_IT_IS[plain]
        return Column(name, type_, quoted, read_as, order=order)
    if plain in BY_TEXT:
        becomes, order = BY_TEXT[plain]
        # A time without zone is taken as one of UTC, so that its digits stay.
        sql = f"CAST({quoted} AT TIME ZONE 'UTC' AS text)" if order == "moment" else as_text
        return Column(name, type_, sql, becomes=becomes, order=order)
    if plain == "numeric":
        return Column(name, type_, as_text, becomes=_decimal(type_), order="number")
    if plain == "money":  # as text it would depend on the server's language
        return Column(name, type_, f"CAST(CAST({quoted} AS numeric) AS text)")
    if plain == "oid":
        return Column(name, type_, f"CAST({quoted} AS bigint)", "BIGINT", order="integer")
    if plain.endswith("[]"):
        return _array(name, type_, plain.removesuffix("[]"))
    return Column(name, type_, as_text, order="text" if plain in TEXTS else None)


def _array(name: str, type_: str, element: str) -> Column:
    """An array by its JSON; one of several dimensions, which its type does not tell, by a text that is no JSON."""
    quoted = identifier(name)
    listed = quoted if element in ELEMENTS else f"CAST({quoted} AS text[])"
    json = f"CAST(array_to_json({listed}) AS text)"
    sql = f"CASE WHEN array_ndims({quoted}) > 1 THEN CAST({quoted} AS text) ELSE {json} END"
    return Column(name, type_, sql, becomes=f"array<{ELEMENTS.get(element, 'string')}>")


def _decimal(type_: str) -> str:
    """A decimal of the same precision where the lake has it, else text, so that no digit is lost."""
    declared = NUMERIC.fullmatch(type_)
    if declared and 0 <= int(declared[2]) <= int(declared[1]) <= 38:
        return f"decimal({declared[1]},{declared[2]})"
    return "finite number"


def _with_precision(type_: str, spark_type: str) -> str:
    """A numeric of a query with the precision that Spark was told; 38 may stand for any greater one and for none."""
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", spark_type)
    return f"numeric({found[1]},{found[2]})" if type_ == "numeric" and found and int(found[1]) < 38 else type_
