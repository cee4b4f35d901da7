"""A look at a database: reached, permitted, the columns, how far the cursor is, how many rows."""

from collections.abc import Iterator

from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.held_back import said
from lakeloop.ingestion.sources.jdbc.database import Database
from lakeloop.ingestion.sources.jdbc.order import is_before
from lakeloop.ingestion.sources.jdbc.table import Table, latest_cursor
from lakeloop.ingestion.sources.probing import Check


def probe_database(database: Database, spec: JdbcSource) -> Iterator[Check]:
    """The checks of `Probed.probe`; rows are counted by the database."""
    database.ask("SELECT 1 AS one", {"one": "INT"})
    yield Check("reachable", database.connection.url.partition("?")[0])
    table = Table.look(database, spec)
    (found,) = database.ask(table.relation.select(["count(*) AS n"]), {"n": "BIGINT"})
    yield Check("permitted", f"{database.origin} can be read" + (f" where {spec.where}" if spec.where else ""))
    yield Check("schema", f"{len(table.names)} columns: {', '.join(table.names)}")
    if table.cursor is not None:
        _, upto, _ = table.survey("1 = 1", 1)
        yield _freshness(table, spec, upto)
    yield Check("volume", f"{found['n']:,} rows")


def _freshness(table: Table, spec: JdbcSource, upto: str | None) -> Check:
    assert table.cursor is not None
    if upto is None:
        return Check("freshness", "no row has a value in the cursor")
    reached = f"{table.cursor.name} reaches {upto}"
    latest = latest_cursor(table, spec.incremental.ahead if spec.incremental else None)
    if latest is None or not is_before(latest, upto, table.order):
        return Check("freshness", reached)
    (found,) = table.database.ask(
        table.relation.select(["count(*) AS n"], table.interval.after(table.literal(latest))), {"n": "BIGINT"}
    )
    return Check("freshness", f"{reached}; {said(found['n'], 'row', latest)}", ok=False)
