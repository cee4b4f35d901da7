"""Delta tables of a few rows per batch, read and written by delta-rs in the driver, without a Spark job."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

TIME = pa.timestamp("us", tz="UTC")
Filters = Sequence[tuple[str, str, Any]]


@dataclass(frozen=True)
class SmallTables:
    """The `ops` tables of a lake by its folder or URI; an object store's credentials come from the environment."""

    root: str

    def rows(self, table: str, filters: Filters = (), columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows that match, as they were appended; none of a table that does not exist yet."""
        uri = self.uri(table)
        if not DeltaTable.is_deltatable(uri):
            return []
        wanted = list(columns) if columns else None
        found = DeltaTable(uri).to_pyarrow_table(columns=wanted, filters=list(filters) or None)
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows

    def append(self, table: str, rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> None:
        """Append rows, creating the table if need be."""
        write_deltalake(self.created(table, schema), _arrow(rows, schema), mode="append")

    def append_to(self, table: DeltaTable, rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> bool:
        """Append against the very version that `table` has; False when somebody else has committed since."""
        try:
            only_once = CommitProperties(max_commit_retries=0)
            write_deltalake(table, _arrow(rows, schema), mode="append", commit_properties=only_once)
        except CommitFailedError:
            return False
        return True

    def created(self, table: str, schema: pa.Schema) -> str:
        """The table's URI, once the table exists."""
        uri = self.uri(table)
        if not DeltaTable.is_deltatable(uri):
            if "://" not in uri:
                Path(uri).mkdir(parents=True, exist_ok=True)
            with suppress(CommitFailedError):  # another run was first
                DeltaTable.create(uri, schema, mode="ignore")
        return uri

    def uri(self, table: str) -> str:
        """Where a table is."""
        return f"{self.root}/{table.replace('.', '/')}"


def _arrow(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)
