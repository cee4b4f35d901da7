"""`ops.table_profiles`: numbers that describe tables, of a whole table as of a version or of what one batch brought.

Grain: table, batch (NULL: the whole table), column (NULL: of the table), metric, category (only of the metric `share`).
"""

from collections.abc import Sequence

import pyarrow as pa

from lakeloop.lake.ops_tables import TIME, append_rows

TABLE_PROFILES = "ops.table_profiles"
PROFILE_SCHEMA = pa.schema({
    "table": pa.string(), "pipeline": pa.string(), "batch_id": pa.int64(), "version": pa.int64(), "at": TIME,
    "column": pa.string(), "metric": pa.string(), "category": pa.string(), "value": pa.float64(),
})  # fmt: skip


def append_profile(root: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Append numbers, in the order of the schema, in one commit; nothing where there are none."""
    if rows:
        append_rows(root, TABLE_PROFILES, rows, PROFILE_SCHEMA)
