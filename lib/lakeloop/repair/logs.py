"""Tables that no engine reads: commits and checkpoints that are torn or missing, data files that are gone.

A commit that is lost is replaced by one that says so and changes nothing, at its own version, so that the commits after
it hold. What it had brought is found by the examiners of ledger and record.
"""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError
from pyarrow import parquet

from lakeloop.ingestion.soundness import lost_files
from lakeloop.lake.delta_log import HINT, LOG, Actions, DeltaLog, data_files, list_log, read_bytes
from lakeloop.lake.ops_tables import uri_of
from lakeloop.lake.storage import filesystem
from lakeloop.repair.ailment import Ailment, Bench

PLACEHOLDER = "LAKELOOP REPAIR"  # the operation of a commit that stands for a lost one
SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
KEPT = ("protocol", "metaData", "txn")
THREADS = 8


@dataclass(frozen=True)
class LogDefects:
    """What reading the files of a log shows to be wrong with it."""

    log: DeltaLog

    @cached_property
    def torn(self) -> list[int]:
        """Commits that are there and not whole."""
        return [version for version in sorted(self.log.commits) if not self.log.commit(version)[1]]

    @cached_property
    def checkpoints(self) -> list[int]:
        """Checkpoints that are not whole."""
        return [version for version in sorted(self.log.checkpoints) if self.log.checkpoint(version) is None]

    @cached_property
    def missing(self) -> list[int]:
        """Commits that are needed and not there, once those checkpoints are gone."""
        whole = {version: names for version, names in self.log.checkpoints.items() if version not in self.checkpoints}
        return [0] if self.log.latest is None else replace(self.log, checkpoints=whole).gaps()

    @cached_property
    def hint(self) -> bool:
        """Whether the file that names the last checkpoint names none that is there."""
        if not self.log.has_hint:
            return False
        try:
            said = json.loads(read_bytes(f"{self.log.folder}/{LOG}/{HINT}"))
            return said["version"] not in self.log.checkpoints
        except (ValueError, KeyError, TypeError):
            return True

    def words(self) -> str:
        """All of it, or nothing."""
        found = [f"commit {version} is torn" for version in self.torn]
        found += [f"commit {version} is missing" for version in self.missing]
        found += [f"checkpoint {version} is not whole" for version in self.checkpoints]
        return ", ".join([*found, *([f"{HINT} names no checkpoint"] if self.hint else [])])


def log_ailments(bench: Bench, table: str) -> Iterator[Ailment]:
    """What is wrong with the log of a table."""
    folder = uri_of(bench.root, table)
    log, files = list_log(folder), data_files(folder)
    if log.latest is None and not files:
        return
    defects = LogDefects(log)
    if what := defects.words():
        lost = len(defects.torn) + len(defects.missing)
        cure = "what is damaged is set aside" + (f", {lost} empty commits take the place of lost ones" if lost else "")
        yield Ailment(table, what, cure, partial(_mend_log, bench, defects, files))


def file_ailments(bench: Bench, table: str) -> Iterator[Ailment]:
    """Data files of a table of `ops` that are gone or cannot be read."""
    if lost := unreadable_files(uri_of(bench.root, table)):
        words = "; ".join(lost.values())
        yield Ailment(table, words, "the table goes on without them", partial(let_go, bench, table, list(lost)))


def unreadable_files(folder: str) -> dict[str, str]:
    """Data files that the present version needs and that are missing, torn or end in no footer, with words on each."""
    if list_log(folder).latest is None:
        return {}
    lost = lost_files(folder)
    rest = [path for path in pa.table(DeltaTable(folder).get_add_actions())["path"].to_pylist() if path not in lost]
    with ThreadPoolExecutor(THREADS) as pool:
        for path, is_whole in zip(
            rest, pool.map(lambda path: footer(f"{folder}/{path}") is not None, rest), strict=True
        ):
            if not is_whole:
                lost[path] = f"its data file {path} is no Parquet file"
    return lost


def let_go(bench: Bench, table: str, paths: list[str]) -> None:
    """Set data files aside and take them out of the table, in one commit."""
    folder = uri_of(bench.root, table)
    for path in paths:
        bench.set_aside(f"{folder}/{path}")
    DeltaTable(folder).repair()


def footer(uri: str) -> parquet.FileMetaData | None:
    """What a Parquet file says of itself, or None where it is not whole."""
    try:
        system, path = filesystem(uri)
        with system.open_input_file(path) as stream:
            return parquet.ParquetFile(stream).metadata
    except (pa.ArrowException, OSError):
        return None


def _mend_log(bench: Bench, defects: LogDefects, files: dict[str, int]) -> None:
    log = defects.log
    at, lost = f"{log.folder}/{LOG}", sorted([*defects.torn, *defects.missing])
    written = {version: _placeholder(log, version, files) for version in lost}
    if 0 in written and not any("metaData" in action for action in written[0]) and not _base(defects):
        # No file tells the columns: the table begins anew, and what other tables know of it is entered again.
        names = [f"{version:020d}.json" for version in log.commits]
        for name in [*names, *(name for parts in log.checkpoints.values() for name in parts), *log.checksums.values()]:
            bench.set_aside(f"{at}/{name}")
        for path in files:
            bench.set_aside(f"{log.folder}/{path}")
        bench.set_aside(f"{at}/{HINT}")
        return
    bench.set_aside(f"{at}/{HINT}")
    for version in defects.checkpoints:
        for name in log.checkpoints[version]:
            bench.set_aside(f"{at}/{name}")
    for version, name in log.checksums.items():
        if lost and version >= lost[0]:
            bench.set_aside(f"{at}/{name}")
    for version in lost:
        bench.set_aside(f"{at}/{version:020d}.json")
        write_commit(log.folder, version, written[version])


def _base(defects: LogDefects) -> bool:
    return any(version not in defects.checkpoints for version in defects.log.checkpoints)


def write_commit(folder: str, version: int, actions: Actions) -> None:
    """Write a commit that is not there, whole or not at all."""
    system, path = filesystem(f"{folder}/{LOG}")
    system.create_dir(path, recursive=True)
    unfinished = f"{path}/_{uuid.uuid4().hex}.tmp"
    with system.open_output_stream(unfinished) as stream:
        stream.write("".join(json.dumps(action) + "\n" for action in actions).encode())
    system.move(unfinished, f"{path}/{version:020d}.json")


def _placeholder(log: DeltaLog, version: int, files: dict[str, int]) -> Actions:
    """A commit without rows, with what can be told of the lost one's columns."""
    said = {"timestamp": int(time.time() * 1000), "operation": PLACEHOLDER, "operationParameters": {}}
    kept = [action for action in log.commit(version)[0] if action.keys() & set(KEPT)]
    kinds = {kind for action in kept for kind in action}
    if "metaData" not in kinds and (known := _by_checksum(log, version)):
        kept += [action for action in known if action.keys() - kinds]
    elif version == 0 and "metaData" not in kinds and (columns := _columns(log.folder, files)):
        kept += [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": columns}]
    return [{"commitInfo": said}, *kept]


def _by_checksum(log: DeltaLog, version: int) -> Actions:
    """Protocol and columns as the checksum beside a commit has them."""
    if version not in log.checksums:
        return []
    try:
        state = json.loads(read_bytes(f"{log.folder}/{LOG}/{log.checksums[version]}"))
        return [{"protocol": state["protocol"]}, {"metaData": state["metadata"]}]
    except (ValueError, KeyError, TypeError):
        return []


def _columns(folder: str, files: dict[str, int]) -> dict[str, Any] | None:
    """The columns as the data files have them, and those that their folders are named after."""
    fields: dict[str, Any] = {}
    for path in files:
        if (said := footer(f"{folder}/{path}")) is not None:
            for field in _fields(said):
                fields.setdefault(field["name"], field)
    if not fields:
        return None
    partitions = [part.split("=")[0] for part in next(iter(files)).split("/")[:-1]]
    for name in partitions:
        fields.setdefault(name, {"name": name, "type": "string", "nullable": True, "metadata": {}})
    schema = json.dumps({"type": "struct", "fields": list(fields.values())})
    return {
        "id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
        "partitionColumns": partitions, "configuration": {}, "createdTime": int(time.time() * 1000),
    }  # fmt: skip


def _fields(said: parquet.FileMetaData) -> list[dict[str, Any]]:
    if SPARK_SCHEMA in (said.metadata or {}):
        return list(json.loads(said.metadata[SPARK_SCHEMA])["fields"])
    return list(json.loads(Schema.from_arrow(said.schema.to_arrow_schema()).to_json())["fields"])


def opens(root: str, table: str) -> bool:
    """Whether a table is there and delta-rs opens it."""
    if list_log(uri_of(root, table)).latest is None:
        return False
    try:
        DeltaTable(uri_of(root, table))
    except DeltaError:
        return False
    return True
