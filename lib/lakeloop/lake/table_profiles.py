"""`ops.table_profiles`: numbers that describe tables, of a whole table as of a version or of what one batch brought.

Grain: table, batch (NULL: the whole table), column (NULL: of the table), metric, category (only of the metric `share`).
"""

import pyarrow as pa

from lakeloop.lake.ops_tables import TIME

TABLE_PROFILES = "ops.table_profiles"
SCHEMA = pa.schema({
    "table": pa.string(), "pipeline": pa.string(), "batch_id": pa.int64(), "version": pa.int64(), "at": TIME,
    "column": pa.string(), "metric": pa.string(), "category": pa.string(), "value": pa.float64(),
})  # fmt: skip
