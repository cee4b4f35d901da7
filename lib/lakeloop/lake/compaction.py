"""Joining the small files of many commits into large ones, by delta-rs; the rows stay as they are."""

from deltalake import DeltaTable

from lakeloop.core.errors import TableError
from lakeloop.lake.ops_tables import has_table, uri_of
from lakeloop.lake.table_turns import in_turn


def compact(root: str, table: str) -> int:
    """Compact a table in one commit, whoever else writes it, and give how many files went.

    The old files stay for readers until a vacuum deletes them. Raises TableError when the table does not exist,
    ConcurrentRunError where other writers change the same files again and again meanwhile.
    """
    if not has_table(root, table):
        raise TableError(f"the table {table} does not exist in {root}; run the pipeline that writes it first")
    uri = uri_of(root, table)

    def once() -> int:
        return int(DeltaTable(uri).optimize.compact()["numFilesRemoved"])

    return in_turn(uri, once)
