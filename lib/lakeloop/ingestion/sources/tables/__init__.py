"""Tables of the lake, or Delta tables elsewhere, as a source: what came to them, batch by batch.

Enters: a `TablesSource` and the marks of the last plan. Leaves: the rows between two marks of each table, united by
name in `uniting`; where rows change, one change per key and commit, by `changed_rows` in the order of `commit_order`.
`lake.increments` says where a table stands and reads between marks. The plan of a batch is all that remembers them.
"""

from lakeloop.ingestion.sources.tables.reader import TablesReader

__all__ = ["TablesReader"]
