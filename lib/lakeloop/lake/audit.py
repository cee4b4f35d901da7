"""The audit: who saw or removed which rows, when. One row per access in `ops.audit`, appended by delta-rs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from lakeloop.core.run_record import now
from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

AUDIT = "ops.audit"
AUDIT_SCHEMA = pa.schema({
    "at": TIME, "reader": pa.string(), "through": pa.string(), "action": pa.string(), "tables": pa.list_(pa.string()),
    "columns": pa.list_(pa.string()), "rows": pa.int64(), "status": pa.int64(), "message": pa.string(),
})  # fmt: skip


@dataclass(frozen=True)
class AuditEntry:
    """One access. Grain of `ops.audit`.

    `reader` is the name of a key (NULL for a key that is none) or, through the terminal, of the user; never a key.
    `rows` is how many were shown or removed; `status` is HTTP's, also where no HTTP was spoken.
    """

    reader: str | None
    through: Literal["api", "terminal"]
    action: Literal["tables", "schema", "rows", "query", "retain"]
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: int = 0
    status: int = 200
    message: str = ""
    at: dt.datetime = field(default_factory=now)


def append_audit(root: str, entries: Sequence[AuditEntry]) -> None:
    """Append entries in one commit; other writers may do so at the same time."""
    names = AUDIT_SCHEMA.names
    rows = [tuple(_stored(getattr(entry, name)) for name in names) for entry in entries]
    append_rows(root, AUDIT, rows, AUDIT_SCHEMA)


def audit_entries(root: str) -> list[dict[str, Any]]:
    """Every entry, in the order of time."""
    return sorted(read_rows(root, AUDIT), key=lambda row: row["at"])


def _stored(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
