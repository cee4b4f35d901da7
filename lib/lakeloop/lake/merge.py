"""Merging a batch into a table with keys: the latest state of each key (SCD1)."""

import operator
from collections.abc import Sequence
from functools import reduce

from delta.tables import DeltaMergeBuilder
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.lake.table_turns import in_turn
from lakeloop.lake.tables import Commit, Lake


def same_keys(keys: Sequence[str], left: str, right: str) -> Column:
    """Equality of all keys between two aliases; NULL keys never match."""
    return reduce(operator.and_, (F.col(f"{left}.`{key}`") == F.col(f"{right}.`{key}`") for key in keys))


def merge_latest(
    lake: Lake,
    table: str,
    rows: DataFrame,
    *,
    keys: Sequence[str],
    sequence_by: str | None,
    commit: Commit,
    deleted: str | None = None,
    replaces: bool = False,
) -> None:
    """Upsert `rows` (at most one per key, keys not NULL) into `table`.

    A row replaces the stored one unless `sequence_by` says it is older; an equal sequence replaces it too, so that a
    repeated batch ends in the same state. A NULL sequence is older than any other. Columns that the table lacks
    are added. `deleted` names a boolean column, which is not stored: where it is true the key goes. With `replaces`
    every key goes that is not among the rows.

    Raises ConcurrentRunError where other writers change the table again and again meanwhile.
    """

    def upsert() -> None:
        if not lake.exists(table):
            kept = rows if deleted is None else rows.where(~F.col(deleted)).drop(deleted)
            lake.write(table, kept, mode="append", commit=commit)
            return
        merge = _merge(lake, table, rows, keys, sequence_by, deleted, replaces=replaces)
        with lake.committing(table, commit):
            merge.execute()

    in_turn(lake.path(table), upsert)


def _merge(
    lake: Lake, table: str, rows: DataFrame, keys: Sequence[str], sequence_by: str | None, deleted: str | None,
    *, replaces: bool,
) -> DeltaMergeBuilder:  # fmt: skip
    columns = [name for name in rows.columns if name != deleted]
    condition = None
    if sequence_by is not None:
        new, stored = F.col(f"new.`{sequence_by}`"), F.col(f"stored.`{sequence_by}`")
        condition = stored.isNull() | (new >= stored)
    values: dict[str, str | Column] = {f"`{name}`": f"new.`{name}`" for name in columns}
    merge = lake.handle(table).alias("stored").merge(rows.alias("new"), same_keys(keys, "stored", "new"))
    merge = merge.withSchemaEvolution()
    if deleted is not None:
        is_deleted = F.col(f"new.`{deleted}`")
        merge = merge.whenMatchedDelete(is_deleted if condition is None else is_deleted & condition)
        merge = merge.whenMatchedUpdate(condition, values).whenNotMatchedInsert(~is_deleted, values)
    else:
        merge = merge.whenMatchedUpdateAll(condition).whenNotMatchedInsertAll()
    if replaces:
        merge = merge.whenNotMatchedBySourceDelete()
    return merge
