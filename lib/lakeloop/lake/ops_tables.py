"""The small tables of the schema `ops`, read and appended to without Spark.

`root` is the lake's folder or URI; an object store's credentials come from the environment.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from pyarrow import fs

from lakeloop.core.errors import DamageError
from lakeloop.lake.compaction import tidy
from lakeloop.lake.storage_failures import storage_explained

TIME = pa.timestamp("us", tz="UTC")
Filter = tuple[str, str, Any]
# A row a commit: few commits are read at a time, and of the log no more is kept than a day, since rows only come to it.
SETTINGS = {"delta.checkpointInterval": "20", "delta.logRetentionDuration": "interval 1 days"}
UNREADABLE = (DeltaError, pa.ArrowException, OSError)  # what delta-rs and Arrow raise for files that are not whole


def uri_of(root: str, table: str) -> str:
    """Where a table of the lake is."""
    return f"{root}/{table.replace('.', '/')}"


def has_table(root: str, table: str) -> bool:
    """Whether the table has been written at least once."""
    with storage_explained(uri_of(root, table)):
        return DeltaTable.is_deltatable(uri_of(root, table))


def read_rows(
    root: str, table: str, filters: Sequence[Filter] = (), columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The rows that fulfil all filters (`(column, "=", value)`), in no order; none where the table does not exist.

    Raises DamageError for a table that is there and cannot be read.
    """
    found = read_columns(root, table, filters, columns)
    rows: list[dict[str, Any]] = [] if found is None else found.to_pylist()
    return rows


def read_columns(
    root: str, table: str, filters: Sequence[Filter] = (), columns: Sequence[str] | None = None
) -> pa.Table | None:
    """What `read_rows` gives, for many rows; None where the table does not exist."""
    if not has_table(root, table):
        return None
    wanted = list(columns) if columns else None
    try:
        with storage_explained(uri_of(root, table)):
            delta, files = DeltaTable(uri_of(root, table)), files_of_table(root, table)
            return delta.to_pyarrow_table(columns=wanted, filters=list(filters) or None, filesystem=files)
    except UNREADABLE as error:
        raise unreadable(table, error) from error


def files_of_table(root: str, table: str) -> fs.FileSystem | None:
    """Arrow's own way to the files of a local table, None for one elsewhere, which delta-rs finds.

    The way that delta-rs gives to Arrow runs Python in Arrow's threads, and a process that ends at that moment aborts.
    """
    return None if "://" in root else fs.SubTreeFileSystem(uri_of(root, table), fs.LocalFileSystem())


def unreadable(table: str, error: Exception) -> DamageError:
    """The error for a table that is there and cannot be read."""
    said = str(error).split("\n")[0].strip()
    return DamageError(f"{table} cannot be read: {said}; where its storage answers, run `lakeloop repair`")


def append_rows(root: str, table: str, rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> None:
    """Append rows, whose values stand in the order of `schema`, in one commit; creates the table."""
    with storage_explained(uri_of(root, table)):
        delta = DeltaTable(created(root, table, schema))
        write_deltalake(delta, table_of(rows, schema), mode="append")
    tidy(delta)


def append_against(table: DeltaTable, rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> bool:
    """Append rows to the very version that `table` has; False when somebody else has committed since."""
    try:
        only_once = CommitProperties(max_commit_retries=0)
        with storage_explained(table.table_uri):
            write_deltalake(table, table_of(rows, schema), mode="append", commit_properties=only_once)
    except CommitFailedError:
        return False
    tidy(table)
    return True


def created(
    root: str,
    table: str,
    schema: pa.Schema,
    partition_by: Sequence[str] = (),
    settings: Mapping[str, str] = SETTINGS,
) -> str:
    """Where a table is, which exists from now on; division and settings count where it did not exist before."""
    uri = uri_of(root, table)
    if not has_table(root, table):
        if "://" not in uri:
            Path(uri).mkdir(parents=True, exist_ok=True)
        with suppress(CommitFailedError), storage_explained(uri):  # another run was first
            DeltaTable.create(
                uri, schema, mode="ignore", configuration=dict(settings), partition_by=list(partition_by) or None
            )
    return uri


def table_of(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows, of which there is at least one, as an Arrow table."""
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)
