"""Whether a server, a publication and a table can give changes at all, asked before each plan."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.core.documents import propose
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs.cdc import CdcSource
from lakeloop.ingestion.sources.cdc.pgoutput import RelationColumn

if TYPE_CHECKING:
    from lakeloop.ingestion.sources.cdc.server import Connection

PARTS = {"pubinsert": "insert", "pubupdate": "update", "pubdelete": "delete", "pubtruncate": "truncate"}


@dataclass(frozen=True)
class PublishedTable:
    """A table as its publication shows it. `keys` tell its rows apart in every change."""

    oid: int
    columns: tuple[RelationColumn, ...]
    keys: tuple[str, ...]
    row_filter: str | None
    is_partitioned: bool


def require_server(connection: "Connection", source: CdcSource) -> str:
    """The server's own number, by which another one is told from it. Raises SourceError for one without changes."""
    row = connection.execute(
        "SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(), "
        "current_database()"
    ).fetchone()
    assert row is not None
    version, wal_level, is_standby, database = row
    if version < 130_000:
        raise SourceError(f"{source.cdc}: the server is PostgreSQL {version // 10_000}; changes need 13 or later")
    if is_standby:
        raise SourceError(f"{source.cdc}: the server is a standby; let the connection's url name the primary")
    if wal_level != "logical":
        raise SourceError(
            f"{source.cdc}: the server's wal_level is {wal_level}, changes need logical; set wal_level = logical in "
            "postgresql.conf and restart the server"
        )
    found = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
    assert found is not None
    return f"{found[0]}/{database}"


def require_table(connection: "Connection", source: CdcSource, sink_keys: tuple[str, ...]) -> PublishedTable:
    """The table of a source. Raises SourceError where changes of it would not tell all.

    `sink_keys` are the columns of the table that the sink's keys are made of.
    """
    schema, name = source.table.split(".")
    row = connection.execute(
        "SELECT c.oid::int8, c.relkind::text, c.relreplident::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = %s",
        [schema, name],
    ).fetchone()
    if row is None:
        of_publication = "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %s"
        names = connection.execute(of_publication, [source.publication]).fetchall()
        hint = propose(source.table, [each[0] for each in names]) if names else "check its schema and name"
        raise SourceError(f"{source.cdc}: there is no table {source.table}; {hint}")
    oid, kind, identity = row
    published, row_filter = _publication(connection, source, kind)
    primary = _index_columns(connection, oid, "indisprimary")
    keys = _index_columns(connection, oid, "indisreplident") if identity == "i" else primary
    if identity == "n" or (identity != "f" and not keys):
        why = "has REPLICA IDENTITY NOTHING" if identity == "n" else "has neither a primary key nor a replica identity"
        raise SourceError(
            f"{source.cdc}: {source.table} {why}, so its changes do not say which row they change; give it a primary "
            f"key and ALTER TABLE {source.table} REPLICA IDENTITY DEFAULT, or REPLICA IDENTITY FULL"
        )
    if keys and set(keys) != set(sink_keys):
        raise SourceError(
            f"{source.cdc}: changes of {source.table} tell its rows by {', '.join(keys)}, but the sink's keys are "
            f"{', '.join(sink_keys)} there; declare keys: [{', '.join(keys)}]"
        )
    columns = tuple(
        RelationColumn(column, type_oid, type_modifier, column in keys)
        for column, type_oid, type_modifier in connection.execute(
            "SELECT attname::text, atttypid::int8, atttypmod FROM pg_attribute "
            "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [oid],
        )
        if published is None or column in published
    )
    if lacking := sorted(set(sink_keys) - {column.name for column in columns}):
        raise SourceError(
            f"{source.cdc}: {source.table} gives no column {', '.join(lacking)}, which the sink's keys are made of; "
            f"{propose(lacking[0], [column.name for column in columns])}"
        )
    return PublishedTable(oid, columns, tuple(sink_keys), row_filter, kind == "p")


def _publication(connection: "Connection", source: CdcSource, kind: str) -> tuple[list[str] | None, str | None]:
    """The published columns, None for all, and the filter of rows."""
    parts = ", ".join(PARTS)
    row = connection.execute(f"SELECT {parts} FROM pg_publication WHERE pubname = %s", [source.publication]).fetchone()
    if row is None:
        known = [each[0] for each in connection.execute("SELECT pubname FROM pg_publication")]
        raise SourceError(
            f"{source.cdc}: there is no publication '{source.publication}'; CREATE PUBLICATION {source.publication} "
            f"FOR TABLE {source.table}{', or name one of ' + ', '.join(known) if known else ''}"
        )
    if missing := [what for what, is_there in zip(PARTS.values(), row, strict=True) if not is_there]:
        raise SourceError(
            f"{source.cdc}: the publication {source.publication} leaves out {', '.join(missing)}, so the table would "
            f"drift from its source; ALTER PUBLICATION {source.publication} "
            f"SET (publish = '{', '.join(PARTS.values())}')"
        )
    # PostgreSQL 15 added columns and filters to the view.
    rows = connection.execute(
        "SELECT to_jsonb(t) FROM pg_publication_tables t WHERE pubname = %s AND schemaname = %s AND tablename = %s",
        [source.publication, *source.table.split(".")],
    ).fetchall()
    if not rows:
        remedy = f"ALTER PUBLICATION {source.publication} ADD TABLE {source.table}"
        if kind == "p":
            remedy += f" and SET (publish_via_partition_root = true), since {source.table} is partitioned"
        raise SourceError(f"{source.cdc}: the publication {source.publication} does not have {source.table}; {remedy}")
    return rows[0][0].get("attnames"), rows[0][0].get("rowfilter")


def _index_columns(connection: "Connection", oid: int, which: str) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT attname::text FROM pg_index i JOIN pg_attribute a ON attrelid = indrelid AND attnum = ANY (indkey) "
        f"WHERE indrelid = %s AND {which} ORDER BY attnum",
        [oid],
    )
    return tuple(row[0] for row in rows)
