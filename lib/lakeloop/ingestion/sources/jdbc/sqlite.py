"""SQLite, 3.23 or newer: a value has a type of its own, whatever its column declares, so all of them come as texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc.dialect import Ask, Column
from lakeloop.ingestion.sources.jdbc.order import Order
from lakeloop.ingestion.sources.jdbc.statements import identifier, string

MOMENT = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*"


@dataclass(frozen=True)
class Sqlite:
    """A file of SQLite. It is opened read only, so that one that is missing is not made."""

    driver: str = "org.sqlite.JDBC"

    @property
    def options(self) -> Mapping[str, str]:
        """SQLITE_OPEN_READONLY, and a wait in milliseconds for whoever writes."""
        return {"open_mode": "1", "busy_timeout": "10000"}

    @property
    def clock(self) -> str:
        """Of this machine."""
        return "datetime('now')"

    @property
    def remedies(self) -> Mapping[str, str]:
        """By the name of the error, as the driver writes it into the message."""
        return {
            r".*no such table": "check the table's name",
            r".*no such column": "check the names under `where` and `query`",
            r".*SQLITE_(CANTOPEN|READONLY)": "check that the file in the connection's url exists and may be read",
            r".*SQLITE_(NOTADB|CORRUPT)": "the file in the connection's url is no SQLite database, or it is damaged",
            r".*SQLITE_(BUSY|LOCKED)": "another process keeps the file locked; run again when it is done",
            r".*SQLITE_ERROR": "mend the SQL under `where` or `query`; it is sent as it stands",
        }

    def columns(self, declared: JdbcSource, names: Callable[[], Mapping[str, str]], ask: Ask) -> list[Column]:
        """Those of a table by their declared types; those of a query are texts."""
        if declared.table is None:
            return [column_of(name, "") for name in names()]
        schema, _, table = declared.table.rpartition(".")
        called = f"{string(table)}, {string(schema)}" if schema else string(table)
        rows = ask(f"SELECT name, type FROM pragma_table_info({called})", {"name": "STRING", "type": "STRING"})
        return [column_of(str(row["name"]), str(row["type"] or "")) for row in rows]

    def text(self, value: str) -> str:
        """The value as it stands there."""
        return f"CAST({value} AS TEXT)"

    def literal(self, text: str, order: Order) -> str:
        """Integers as such, all else as text."""
        return text if order == "integer" else string(text)

    def ordered(self, column: Column) -> str:
        """Values of the column's own kind; times are those that exist, in the one form whose order is that of time."""
        name = identifier(column.name)
        if column.order == "integer":
            return f"typeof({name}) = 'integer'"
        is_text = f"typeof({name}) = 'text'"
        if column.order == "date":  # adding nothing makes SQLite carry the 30th of February over
            return f"{is_text} AND date({name}, '+0 days') = {name} AND {name} >= '0001'"
        if column.order == "moment":
            whole, fraction = f"substr({name}, 1, 19)", f"substr({name}, 20)"
            has_digits = f"{fraction} GLOB '.[0-9]*' AND {fraction} NOT GLOB '.*[^0-9]*'"
            exists = f"datetime({whole}, '+0 days') = {whole} AND {name} >= '0001'"
            return f"{is_text} AND {exists} AND ({fraction} = '' OR ({has_digits}))"
        return is_text


def column_of(name: str, type_: str) -> Column:
    """A column by its declared type, by the rules that SQLite itself takes to find an affinity."""
    quoted, upper = identifier(name), type_.upper()
    short, whole = (f"printf('%!.{digits}g', {quoted})" for digits in (15, 17))
    real = f"CASE WHEN CAST({short} AS REAL) = {quoted} THEN {short} ELSE {whole} END"  # 12.3, not 12.300000000000001
    blob = f"'x''' || hex({quoted}) || ''''"
    as_text = f"CASE typeof({quoted}) WHEN 'real' THEN {real} WHEN 'blob' THEN {blob} ELSE CAST({quoted} AS TEXT) END"
    if "BOOL" in upper:
        return Column(name, type_, as_text, becomes="boolean")
    if "INT" in upper:
        return Column(name, type_, as_text, becomes="bigint", order="integer")
    if any(word in upper for word in ("REAL", "FLOA", "DOUB")):
        return Column(name, type_, as_text, becomes="double")
    if "DATETIME" in upper or "TIMESTAMP" in upper:
        # What SQLite's own functions give is in UTC and does not say so.
        has_no_zone = f"{quoted} GLOB '{MOMENT}' AND substr({quoted}, 20) NOT GLOB '*[Z+-]*'"
        moment = f"CASE WHEN {has_no_zone} THEN {quoted} || '+00:00' ELSE {as_text} END"
        return Column(name, type_, moment, becomes="timestamp", order="moment")
    if upper == "DATE":
        return Column(name, type_, as_text, becomes="date", order="date")
    if "BLOB" in upper:
        return Column(name, type_, f"CASE WHEN {quoted} IS NOT NULL THEN hex({quoted}) END", becomes="binary")
    return Column(name, type_, as_text, order="text")
