"""A look at a table whose changes are followed: the server, the rights, the slot and what it retains."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lakeloop.ingestion.source_specs.cdc import CdcSource, size_in_words
from lakeloop.ingestion.sources.cdc.checks import require_server, require_table
from lakeloop.ingestion.sources.cdc.slots import find_slot
from lakeloop.ingestion.sources.probing import Check

if TYPE_CHECKING:
    from lakeloop.ingestion.sources.cdc.server import Connection


def probe_changes(connection: "Connection", spec: CdcSource, keys: tuple[str, ...]) -> Iterator[Check]:
    """The checks of `Probed.probe`; the rows are those that the server itself estimates."""
    require_server(connection, spec)
    yield Check("reachable", f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}")
    table = require_table(connection, spec, keys)
    yield Check("permitted", f"{spec.publication} publishes {spec.table}")
    names = [column.name for column in table.columns]
    yield Check("schema", f"{len(names)} columns: {', '.join(names)}")
    slot = find_slot(connection, spec.slot)
    said = f"the first run makes the slot {spec.slot}"
    if slot is not None:
        said = f"the slot {slot.name} retains {size_in_words(slot.retained_bytes)} of changes"
    yield Check("freshness", said, ok=slot is None or slot.wal_status != "lost")
    row = connection.execute("SELECT greatest(reltuples, 0)::int8 FROM pg_class WHERE oid = %s", [table.oid]).fetchone()
    assert row is not None
    yield Check("volume", f"about {row[0]:,} rows")
