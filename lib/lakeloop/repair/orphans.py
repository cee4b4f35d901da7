"""Data files that no commit names: what a lost commit had brought, or a killed run had left."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Transaction
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import parquet

from lakeloop.core.run_record import RowCounts
from lakeloop.lake.delta_log import data_files, list_log, named_files
from lakeloop.lake.ops_tables import UNREADABLE, uri_of
from lakeloop.lake.storage import filesystem
from lakeloop.lake.tables import Commit
from lakeloop.quality.judgement import VERDICTS
from lakeloop.repair.logs import SPARK_SCHEMA, footer


@dataclass(frozen=True)
class OrphanFile:
    """A whole data file of the record that no commit names: rows of one verdict, batch and run."""

    path: str
    size: int
    rows: int
    verdict: str


def orphan_paths(root: str, table: str) -> dict[str, int]:
    """The sizes of data files that neither a commit nor a checkpoint that can be read adds or removes, by path."""
    log = list_log(uri_of(root, table))
    named = {path for _, actions in log.history() for path in named_files(actions)}
    for version in log.checkpoints:
        named |= named_files(log.checkpoint(version) or [])
    return {path: size for path, size in data_files(log.folder).items() if path not in named}


def orphan_rows(root: str, table: str) -> list[dict[str, Any]]:
    """The rows of the orphans of a small table; a file that cannot be read has none."""
    rows: list[dict[str, Any]] = []
    for path in orphan_paths(root, table):
        try:
            system, inner = filesystem(f"{uri_of(root, table)}/{path}")
            with system.open_input_file(inner) as stream:
                rows += parquet.ParquetFile(stream).read().to_pylist()
        except UNREADABLE:
            continue
    return rows


def orphan_batches(root: str, table: str) -> Mapping[tuple[int, str], list[OrphanFile]]:
    """The orphans of a record by batch and the run that wrote them."""
    found: dict[tuple[int, str], list[OrphanFile]] = defaultdict(list)
    for path, size in orphan_paths(root, table).items():
        verdict = dict(part.split("=", 1) for part in path.split("/")[:-1]).get("_verdict", "")
        said = footer(f"{uri_of(root, table)}/{path}")
        if said is None or verdict not in VERDICTS or not said.num_rows:
            continue
        system, inner = filesystem(f"{uri_of(root, table)}/{path}")
        with system.open_input_file(inner) as stream:
            own = parquet.ParquetFile(stream).read(columns=["_batch_id", "_run_id"])
        batches = {(row["_batch_id"], row["_run_id"]) for row in own.to_pylist()}
        if len(batches) == 1:
            found[batches.pop()].append(OrphanFile(path, size, said.num_rows, verdict))
    return found


def rows_of(files: Iterable[OrphanFile]) -> RowCounts:
    """The rows of orphans by verdict."""
    return sum((RowCounts(file.rows, **{file.verdict: file.rows}) for file in files), RowCounts())


def adopt(root: str, table: str, commit: Commit, files: list[OrphanFile]) -> None:
    """Take orphans of one batch into the record again, in one commit that carries the identity of the lost one."""
    folder = uri_of(root, table)
    delta = DeltaTable(folder)
    known = {field.name for field in delta.schema().fields}
    schemas = [json.loads(_own_metadata(f"{folder}/{file.path}")[SPARK_SCHEMA]) for file in files]
    new = {field["name"]: field for schema in schemas for field in schema["fields"] if field["name"] not in known}
    if new:
        delta.alter.add_columns([Field.from_json(json.dumps(field)) for field in new.values()])
        delta = DeltaTable(folder)
    number, range_ = commit.batch_id, {"_batch_id": commit.batch_id}
    adds: list[AddAction | RemoveAction] = [
        AddAction(
            file.path, file.size, {"_verdict": file.verdict}, 0, data_change=True,
            stats=json.dumps({
                "numRecords": file.rows, "minValues": range_, "maxValues": range_, "nullCount": {"_batch_id": 0}
            }),
        )
        for file in files
    ]  # fmt: skip
    # Delta takes the last number that a writer said for its greatest, so an older batch does not say its own.
    said = delta.transaction_version(commit.writer)
    numbers = [Transaction(commit.writer, number)] if said is None or said < number else []
    properties = CommitProperties({"userMetadata": commit.metadata}, app_transactions=numbers)
    schema = pa.schema(delta.schema().to_arrow())
    delta.create_write_transaction(adds, "append", schema, ["_verdict"], commit_properties=properties)


def _own_metadata(uri: str) -> Mapping[bytes, bytes]:
    said = footer(uri)
    return {SPARK_SCHEMA: b'{"fields": []}', **((said.metadata if said else None) or {})}
