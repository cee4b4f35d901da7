"""What versions of a Delta table brought, as its log says it: whether rows only came, and whether changes were kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

import deltalake
from deltalake.exceptions import DeltaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakeloop.core.errors import SourceError
from lakeloop.lake.delta_log import Actions, DeltaLog, list_log
from lakeloop.lake.storage import literal_path

FEED = "delta.enableChangeDataFeed"
MAPPING = "delta.columnMapping.mode"
VERSION = "_commit_version"
FEED_ON = f"ALTER TABLE … SET TBLPROPERTIES ('{FEED}' = 'true')"


def is_on(key: str, configuration: Mapping[str, Any]) -> bool:
    """Whether a table has a property that is true or false set to true."""
    return str(configuration.get(key, "false")).lower() == "true"


@dataclass(frozen=True)
class VersionRange:
    """The versions after `since` up to `last` of the table in `folder`.

    `recorded` is the first one from which on Delta kept all changes, None where it did not; `files` are the data files
    that came, with their version; `times` has the versions that rows came or went with, in milliseconds since 1970;
    `changed_by` says which version first changed rows that were there, and how.
    """

    table: str
    folder: str
    last: int
    recorded: int | None
    files: Mapping[str, int]
    times: Mapping[int, int]
    changed_by: str | None

    @classmethod
    def between(cls, table: str, folder: str, since: Mapping[str, Any], until: Mapping[str, Any]) -> Self:
        """Read the log. Raises SourceError for a version that is gone, and for changes that nobody kept."""
        log, feed = DeltaLog(folder), bool(since["feed"])
        recorded = since["at"] + 1 if feed else None
        is_whole, files, times, changed_by = True, dict[str, int](), dict[int, int](), None
        for version in range(since["at"] + 1, until["at"] + 1):
            actions, is_there = log.commit(version)
            if not is_there:
                raise _gone(table, folder, version)
            for metadata in (action["metaData"] for action in actions if "metaData" in action):
                was, feed = feed, is_on(FEED, metadata.get("configuration", {}))
                is_whole = is_whole and (feed or not was)
            came, went = _moved(actions, "add"), _moved(actions, "remove")
            if feed and recorded is None:
                recorded = version
            is_whole = is_whole and (feed or not (came or went))
            files |= dict.fromkeys(came, version)
            if went and changed_by is None:
                changed_by = f"version {version} ({_operation(actions)})"
        found = cls(table, folder, until["at"], recorded if is_whole else None, files, times, changed_by)
        if changed_by is not None and not found.is_recorded:
            raise SourceError(
                f"{table} does not only grow: {changed_by} changed or removed rows, and Delta kept no record of what "
                "changed; switch its change feed on, by `change_feed: true` in the sink of the pipeline that writes it "
                f"or by {FEED_ON}, and `lakeloop stream reset` the pipeline that reads it"
            )
        return found

    @property
    def is_recorded(self) -> bool:
        """Whether Delta kept the changes of all these versions, so that its feed has them."""
        return self.recorded is not None

    def feed(self, spark: SparkSession) -> DataFrame:
        """The changes as Delta's feed tells them, with `_change_type`, `_commit_version` and `_commit_timestamp`."""
        reader = spark.read.format("delta").option("readChangeFeed", "true")
        return reader.option("startingVersion", self.recorded).option("endingVersion", self.last).load(self.folder)

    def added_rows(self, spark: SparkSession) -> DataFrame:
        """The rows of the files that came, with `_commit_version`.

        Raises SourceError for files that were vacuumed, and for a table whose files have names of columns of their own.
        """
        try:
            then = deltalake.DeltaTable(self.folder, version=self.last)
        except DeltaError as error:
            raise _gone(self.table, self.folder, self.last) from error
        if (mode := then.metadata().configuration.get(MAPPING, "none")) != "none":
            raise SourceError(
                f"{self.table} maps its columns ({MAPPING} = {mode}), so what was added is told by its change feed "
                f"alone; switch it on by {FEED_ON}, and `lakeloop stream reset` the pipeline that reads it"
            )
        schema = StructType.fromJson(json.loads(then.schema().to_json()))
        if not self.files:
            return spark.createDataFrame([], schema).withColumn(VERSION, F.lit(None).cast("bigint"))
        reader = spark.read.schema(schema).option("basePath", self.folder)
        try:
            rows = reader.parquet(*(literal_path(_inside(self.folder, path)) for path in self.files))
        except AnalysisException as error:
            if error.getErrorClass() != "PATH_NOT_FOUND":
                raise
            raise SourceError(
                f"{self.table}: files that came up to version {self.last} are gone, so they were vacuumed before they "
                "were read; let files stay longer than a reader may lag behind (delta.deletedFileRetentionDuration), "
                "and `lakeloop stream reset` the pipeline that reads it"
            ) from error
        names = [(path.rpartition("/")[2], version) for path, version in self.files.items()]
        versions = spark.createDataFrame(names, f"_file_name string, {VERSION} bigint")
        named = rows.withColumn("_file_name", F.col("_metadata.file_name"))
        return named.join(F.broadcast(versions), "_file_name").drop("_file_name")


def _moved(actions: Actions, kind: str) -> list[str]:
    """The files that a commit adds or removes so that rows come or go; compacting only puts them into other files."""
    files = (action[kind] for action in actions if kind in action)
    return [unquote(file["path"]) for file in files if file.get("dataChange", True)]


def committed_at(actions: Actions) -> int:
    """When a commit was made, in milliseconds since 1970; 0 where it does not say."""
    said = (action["commitInfo"] for action in actions if "commitInfo" in action)
    return max((int(each.get("inCommitTimestamp") or each.get("timestamp") or 0) for each in said), default=0)


def _operation(actions: Actions) -> str:
    return next((action["commitInfo"].get("operation", "?") for action in actions if "commitInfo" in action), "?")


def _inside(folder: str, path: str) -> str:
    return path if "://" in path or path.startswith("/") else f"{folder}/{path}"


def _gone(table: str, folder: str, version: int) -> SourceError:
    there = min(list_log(folder).commits, default=None)
    oldest = "" if there is None else f"; the oldest there is {there}"
    return SourceError(
        f"{table}: version {version} is gone from its log before it was read{oldest}; let versions stay longer than a "
        "reader may lag behind (delta.logRetentionDuration), and `lakeloop stream reset` the pipeline that reads it, "
        "which reads the table anew"
    )
