"""Tables by reference: where they are, how they are read, and writes that a repeated batch cannot repeat."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

import deltalake
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakeloop.core.errors import TableError
from lakeloop.core.spark_failures import SPARK_FAILURES
from lakeloop.lake.table_turns import alone, in_turn
from lakeloop.lake.views import REFERENCE, View, find_view, write_view

NEWEST = 20  # commits that are looked at before the whole history is
WRITER = re.compile(r'\{"writer": "(.+?)-[0-9a-f]{12}[-"]')  # as Commit.metadata has it


@dataclass(frozen=True)
class Commit:
    """Identity of one write of one batch: the same (`writer`, `batch_id`) is never committed twice to a table.

    `writer` must change when a pipeline's ledger starts anew, or Delta would skip its first batches in silence.
    `run_id` is the run that writes, which for a resumed batch is not the one that planned it.
    """

    writer: str
    batch_id: int
    run_id: str

    @property
    def metadata(self) -> str:
        """What the commit carries as user metadata, so that a table's history names the run."""
        return json.dumps({"writer": self.writer, "batch_id": self.batch_id, "run_id": self.run_id})

    @property
    def withdrawal(self) -> "Commit":
        """Identity of the commit that takes this one back."""
        return Commit(f"{self.writer}-withdrawn", self.batch_id, self.run_id)


class Committed(NamedTuple):
    """What a table's history says of a batch: the run that wrote it, and how many rows."""

    run_id: str
    rows: int


def data_columns(frame: DataFrame) -> list[str]:
    """The columns of users, without those of Lakeloop, quoted."""
    return [f"`{name}`" for name in frame.columns if not name.startswith("_")]


@dataclass(frozen=True)
class Lake:
    """Delta tables under one root folder or URI: `silver.customers` is `<root>/silver/customers`."""

    spark: SparkSession
    root: str

    def path(self, table: str) -> str:
        """Where a table is. Raises TableError when the reference is not `schema.name` in lower case."""
        if not REFERENCE.fullmatch(table):
            raise TableError(
                f"'{table}' is not a table reference; write schema.name in lower case, as silver.customers"
            )
        return f"{self.root}/{table.replace('.', '/')}"

    def exists(self, table: str) -> bool:
        """Whether the table or view has been written at least once."""
        return DeltaTable.isDeltaTable(self.spark, self.path(table)) or self.view(table) is not None

    def view(self, table: str) -> View | None:
        """What `table` shows of another one, or None for a table with rows of its own."""
        return find_view(self.path(table))

    def publish_view(self, table: str, view: View) -> None:
        """Let `table` show rows of a record; saying it again changes nothing.

        Raises TableError when `table` has rows of its own, or shows those of another table.
        """
        if DeltaTable.isDeltaTable(self.spark, self.path(table)):
            raise TableError(f"{table} exists and has rows of its own; name another table as the sink, or move it away")
        if (known := self.view(table)) is not None and known.record_table != view.record_table:
            raise TableError(
                f"{table} shows the rows of {known.record_table}, and a table has one pipeline; name another table as "
                "the sink, or move it away"
            )
        write_view(self.path(table), view)

    def read(self, table: str, version: int | None = None) -> DataFrame:
        """All rows of a table or view, now or as of a version. Raises TableError when it does not exist."""
        if not self.exists(table):
            raise TableError(f"the table {table} does not exist in {self.root}; run the pipeline that writes it first")
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        if (view := self.view(table)) is None:
            return reader.load(self.path(table))
        rows = reader.load(self.path(view.record_table))
        return rows.where(view.condition).select(*(f"`{name}`" for name in view.shown(rows.columns)))

    def schema(self, table: str) -> StructType | None:
        """The table's schema, or None where it has no rows that would have to keep it."""
        if not self.exists(table) or (
            self.view(table) is None and not deltalake.DeltaTable(self.path(table)).file_uris()
        ):
            return None
        return self.read(table).schema

    def handle(self, table: str) -> DeltaTable:
        """Delta's own handle, for MERGE, history and maintenance."""
        return DeltaTable.forPath(self.spark, self.path(table))

    def version(self, table: str) -> int:
        """The latest version; of a view, that of its record. Raises TableError when the table does not exist."""
        if not self.exists(table):
            raise TableError(f"the table {table} does not exist in {self.root}; run the pipeline that writes it first")
        if (view := self.view(table)) is not None:
            return self.version(view.record_table)
        latest = self.handle(table).history(1).select("version").first()
        assert latest is not None
        return int(latest["version"])

    def find_commit(self, table: str, commit: Commit) -> Committed | None:
        """The commit of this batch to the table, or None; looks through the history that Delta keeps."""
        if not self.exists(table):
            return None
        delta, wanted = deltalake.DeltaTable(self.path(table)), (commit.writer, commit.batch_id)
        for limit in (NEWEST, None):  # it is nearly always among the newest
            for entry in delta.history(limit):
                try:
                    said = json.loads(entry.get("userMetadata") or "null")
                except ValueError:  # another program's own words
                    continue
                if isinstance(said, dict) and (said.get("writer"), said.get("batch_id")) == wanted:
                    return Committed(said["run_id"], int(entry.get("operationMetrics", {}).get("numOutputRows", 0)))
        return None

    def writers(self, table: str) -> set[str]:
        """The pipelines that the newest commits to a table are of, as these say; of a view, the one that it shows."""
        if (view := self.view(table)) is not None:
            return {view.record_table.partition(".")[2]}
        if not self.exists(table):
            return set()
        said = (entry.get("userMetadata") or "" for entry in deltalake.DeltaTable(self.path(table)).history(NEWEST))
        found = (WRITER.match(text) for text in said)
        return {each[1] for each in found if each}

    def write(
        self,
        table: str,
        frame: DataFrame,
        *,
        mode: Literal["append", "overwrite"],
        commit: Commit | None = None,
        partition_by: Sequence[str] = (),
        stats_columns: Sequence[str] = (),
    ) -> None:
        """Append to or replace a table in one commit; new columns are added, a changed type is an error of Delta's.

        With `commit`, a second write of the same batch does nothing. `stats_columns`, said when the table is created,
        are those whose minimum and maximum per file are kept, instead of Delta's first 32.
        """
        writer = frame.write.format("delta").mode(mode)
        writer = writer.option("mergeSchema" if mode == "append" else "overwriteSchema", "true")
        if partition_by:
            writer = writer.partitionBy(*partition_by)
        if stats_columns:
            writer = writer.option("delta.dataSkippingStatsColumns", ",".join(f"`{name}`" for name in stats_columns))
        if commit is not None:
            writer = writer.option("txnAppId", commit.writer).option("txnVersion", commit.batch_id)
            writer = writer.option("userMetadata", commit.metadata)
        path = self.path(table)
        in_turn(path, lambda: writer.save(path))

    def look_ahead(self, table: str) -> None:
        """Let Delta compute the state of a table, which a write waits for to see whether it was committed before."""
        with suppress(*SPARK_FAILURES):  # the next write meets it again, and says so
            if DeltaTable.isDeltaTable(self.spark, self.path(table)):
                self.handle(table).detail().collect()

    @contextmanager
    def committing(self, table: str, commit: Commit) -> Iterator[None]:
        """Give MERGE, UPDATE and DELETE of a table inside this block the identity of a batch, as `write` has it.

        Where the table is on a local disk no other process writes it meanwhile.
        """
        settings = {
            "spark.databricks.delta.write.txnAppId": commit.writer,
            "spark.databricks.delta.write.txnVersion": str(commit.batch_id),
            "spark.databricks.delta.commitInfo.userMetadata": commit.metadata,
        }
        for key, value in settings.items():
            self.spark.conf.set(key, value)
        try:
            with alone(self.path(table)):
                yield
        finally:
            for key in settings:
                self.spark.conf.unset(key)
