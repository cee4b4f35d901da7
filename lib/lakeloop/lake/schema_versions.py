"""Versions of the schemas of sources, and what changed: `ops.schemas` and `ops.schema_changes`."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

SCHEMAS = "ops.schemas"
SCHEMA_CHANGES = "ops.schema_changes"
SCHEMAS_SCHEMA = pa.schema({
    "pipeline": pa.string(), "version": pa.int64(), "origin": pa.string(), "columns": pa.string(), "file": pa.string(),
    "at": TIME, "run_id": pa.string(),
})  # fmt: skip
CHANGES_SCHEMA = pa.schema({
    "pipeline": pa.string(), "at": TIME, "run_id": pa.string(), "version": pa.int64(), "change": pa.string(),
    "column": pa.string(), "detail": pa.string(),
})  # fmt: skip


@dataclass(frozen=True)
class SchemaVersion:
    """One version. `columns` are name and type, `origin` is inferred, declared or evolved, `file` its first file."""

    version: int
    origin: str
    columns: tuple[tuple[str, str | None], ...]
    file: str | None
    at: dt.datetime | None = None


@dataclass(frozen=True)
class SchemaVersions:
    """The versions of one pipeline. Grain of `ops.schemas`: pipeline and version; of the changes: one a version."""

    root: str
    pipeline: str

    def all(self) -> list[SchemaVersion]:
        """Every version, oldest first."""
        rows = read_rows(self.root, SCHEMAS, [("pipeline", "=", self.pipeline)])
        return [
            SchemaVersion(
                row["version"],
                row["origin"],
                tuple((column["name"], column["type"]) for column in json.loads(row["columns"])),
                row["file"],
                row["at"],
            )
            for row in sorted(rows, key=lambda row: row["version"])
        ]

    def changes(self) -> list[dict[str, Any]]:
        """What changed, oldest first."""
        rows = read_rows(self.root, SCHEMA_CHANGES, [("pipeline", "=", self.pipeline)])
        return sorted(rows, key=lambda row: (row["version"], row["at"]))

    def record(
        self, run: RunContext, version: int, new: Sequence[SchemaVersion], changes: Sequence[tuple[str, str, str]]
    ) -> None:
        """Append new versions, and changes (change, column, detail) that are not on record for `version` yet.

        Doing it again changes nothing, and neither does a second file with the same difference.
        """
        at = now()
        known = {(row["version"], row["change"], row["column"]) for row in self.changes()} if changes else set()
        added = [change for change in changes if (version, *change[:2]) not in known]
        if added:
            rows = [(self.pipeline, at, run.run_id, version, *change) for change in added]
            append_rows(self.root, SCHEMA_CHANGES, rows, CHANGES_SCHEMA)
        recorded = {each.version for each in self.all()} if new else set()
        versions = [
            (self.pipeline, each.version, each.origin, _columns_json(each.columns), each.file, at, run.run_id)
            for each in new
            if each.version not in recorded
        ]
        if versions:
            append_rows(self.root, SCHEMAS, versions, SCHEMAS_SCHEMA)


def _columns_json(columns: Sequence[tuple[str, str | None]]) -> str:
    return json.dumps([{"name": name, "type": type_} for name, type_ in columns], ensure_ascii=False)
