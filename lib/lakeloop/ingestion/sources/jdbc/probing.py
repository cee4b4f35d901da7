"""A look at a database: reached, permitted, the columns, how far the cursor is, how many rows."""

from collections.abc import Iterator

from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc.database import Database
from lakeloop.ingestion.sources.jdbc.table import Table
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
        yield Check("freshness", f"{table.cursor.name} reaches {upto}" if upto else "no row has a value in the cursor")
    yield Check("volume", f"{found['n']:,} rows")
