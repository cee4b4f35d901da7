"""Rows of changes as files, so that a batch can be read again after a kill; and those files as a frame."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow import fs, parquet
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.changes import CHANGE, KEPT, LINE
from lakeloop.ingestion.sources.cdc.changes import Row
from lakeloop.ingestion.sources.files.columnar import union_by_name
from lakeloop.ingestion.sources.headers import match_names
from lakeloop.ingestion.sources.line_parsers import MALFORMED, MISSING
from lakeloop.ingestion.sources.protocol import AS_JSON, ORIGINAL, POSITION, RESCUED
from lakeloop.lake.storage import filesystem, literal_path
from lakeloop.lake.storage_failures import storage_explained
from lakeloop.quality.row_rules.columns import value_of

ROWS_AT_ONCE = 5_000
ROWS_PER_FILE = 500_000
OWN = pa.schema({
    "operation": pa.string(), "lsn": pa.int64(), "sequence": pa.int64(), "committed_at": pa.timestamp("us", tz="UTC"),
    "record": pa.int64(), "kept": pa.list_(pa.string()), "line": pa.string(),
})  # fmt: skip
OWN_SQL = (
    "operation string, lsn bigint, sequence bigint, committed_at timestamp, record bigint, kept array<string>, "
    "line string"
)


@dataclass
class Landing:
    """Writes rows into Parquet files of a folder: one after the other, a new one for each change of the columns.

    Values are text. They stand in columns c0, c1, …, because a table of PostgreSQL may call its columns anything;
    `files` has the names.
    """

    folder: str
    files: list[dict[str, Any]] = field(default_factory=list)
    _names: tuple[str, ...] = ()
    _rows: list[Row] = field(default_factory=list)
    _in_file: int = 0
    _writer: parquet.ParquetWriter | None = None

    def write(self, names: tuple[str, ...], row: Row) -> None:
        """Take one more row, whose values stand in the order of `names`."""
        if names != self._names or self._in_file >= ROWS_PER_FILE:
            self.close()
            self._names, self._in_file = names, 0
        self._rows.append(row)
        self._in_file += 1
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Bring the last rows to the disk."""
        self._flush()
        if self._writer is not None:
            with storage_explained(self.folder):
                self._writer.close()
            self._writer = None

    def abandon(self) -> None:
        """Let go of the file that is open."""
        self._rows.clear()
        with suppress(OSError, pa.ArrowException):
            self.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        schema = pa.schema([*OWN, *(pa.field(f"c{place}", pa.string()) for place in range(len(self._names)))])
        flat = [(*row[:-1], *row.values) for row in self._rows]
        columns = [pa.array(column, each.type) for column, each in zip(zip(*flat, strict=True), schema, strict=True)]
        with storage_explained(self.folder):
            if self._writer is None:
                system, path = filesystem(self.folder)
                system.create_dir(path, recursive=True)
                name = f"changes-{len(self.files):06d}.parquet"
                self._writer = parquet.ParquetWriter(f"{path}/{name}", schema, filesystem=system)
                self.files.append({"path": f"{self.folder}/{name}", "names": list(self._names)})
            self._writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        self._rows.clear()


@contextmanager
def landing_in(folder: str) -> Iterator[Landing]:
    """A landing that is whole at the end of the block, and gone where the block did not end."""
    landing = Landing(folder)
    try:
        yield landing
        landing.close()
    except BaseException:
        landing.abandon()
        delete_landed(folder)
        raise


def read_landed(
    spark: SparkSession,
    files: Sequence[Mapping[str, Any]],
    origin: str,
    fields: Sequence[str],
    aliases: Mapping[str, Sequence[str]],
) -> DataFrame:
    """Landed rows with the columns `fields` as text, matched by name, and Lakeloop's own.

    A column that is none of them goes to `_rescued`, one that a row's table did not have stands in `_missing`.
    """
    by_names: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        by_names.setdefault(tuple(file["names"]), []).append(file["path"])
    frames = [
        _of_columns(_scanned(spark, names, paths), names, origin, fields, aliases)
        for names, paths in (by_names or {tuple(fields): []}).items()
    ]
    return union_by_name(frames, fields)


def delete_landed(folder: str) -> None:
    """Delete what was landed, if it is there."""
    system, path = filesystem(folder)
    if system.get_file_info(path).type is not fs.FileType.NotFound:
        system.delete_dir(path)


def _scanned(spark: SparkSession, names: Sequence[str], paths: Sequence[str]) -> DataFrame:
    schema = ", ".join([OWN_SQL, *(f"c{place} string" for place in range(len(names)))])
    if not paths:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).parquet(*(literal_path(path) for path in paths))


def _of_columns(
    scanned: DataFrame, names: Sequence[str], origin: str, fields: Sequence[str], aliases: Mapping[str, Sequence[str]]
) -> DataFrame:
    matched, given = match_names(names, fields, aliases), {name: F.col(f"c{at}") for at, name in enumerate(names)}
    absent = [name for name in fields if name not in matched]
    extra = [name for name in names if name not in matched.values()]
    none = F.lit(None).cast("string")
    rescued = F.to_json(F.struct(*(given[name].alias(name) for name in extra))) if extra else none
    arrived = F.struct(*(given[name].alias(name) for name in names)) if names else none
    return scanned.select(
        *((given[matched[name]] if name in matched else none).alias(name) for name in fields),
        F.struct(F.lit(origin).alias("origin"), F.col("record")).alias(POSITION),
        (F.to_json(arrived, AS_JSON) if names else none).alias(ORIGINAL),
        rescued.alias(RESCUED),
        none.alias(MALFORMED),
        (F.lit(",".join(absent)) if absent else none).alias(MISSING),
        F.struct("operation", "lsn", "sequence", "committed_at").alias(CHANGE),
        value_of("kept").alias(KEPT),
        value_of("line").alias(LINE),
    )
