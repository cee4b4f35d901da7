"""The catalog of files: what came in, under which name and hash, and what became of its rows."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

FILES = "ops.files"
FILE_SCHEMA = pa.schema({
    "pipeline": pa.string(), "path": pa.string(), "size": pa.int64(), "modified_at": TIME, "modified_ns": pa.int64(),
    "sha256": pa.string(), "same_content_as": pa.string(), "format": pa.string(), "encoding": pa.string(),
    "outcome": pa.string(), "reason": pa.string(), "batch_id": pa.int64(), "run_id": pa.string(), "taken_at": TIME,
    "rows_read": pa.int64(), "rows_good": pa.int64(), "rows_quarantined": pa.int64(), "rows_dropped": pa.int64(),
    "owner": pa.string(), "user": pa.string(), "schema_version": pa.int64(),
})  # fmt: skip

FileOutcome = Literal["read", "refused", "forgotten", "discarded"]


@dataclass(frozen=True)
class FileEntry:
    """One file of one batch. Grain of `ops.files`; `reason` says why a file was refused."""

    path: str
    size: int
    modified_ns: int
    sha256: str
    format: str
    encoding: str
    outcome: FileOutcome
    reason: str | None
    counts: RowCounts
    same_content_as: str | None = None
    schema_version: int | None = None


@dataclass(frozen=True)
class KnownFiles:
    """The files that a pipeline has taken, by what tells one from another."""

    taken: frozenset[tuple[str, int, int]]
    names: Mapping[str, str]  # the first path of each hash
    barred: frozenset[tuple[str, int, int]] = frozenset()  # those taken that could not be opened

    def is_new(self, path: str, size: int, modified_ns: int) -> bool:
        """Whether no batch has taken this file as it is."""
        return (path, size, modified_ns) not in self.taken

    def was_barred(self, path: str, size: int, modified_ns: int) -> bool:
        """Whether the file was taken and refused without a look into it, which may be permitted by now."""
        return (path, size, modified_ns) in self.barred

    def other_names(self, files: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Of (path, hash), the path of an earlier file with the same content under another name, by path."""
        names, same = dict(self.names), {}
        for path, sha256 in files:
            if (first := names.setdefault(sha256, path)) != path and sha256:
                same[path] = first
        return same


@dataclass(frozen=True)
class FileCatalog:
    """The part of `ops.files` that belongs to one pipeline."""

    root: str
    pipeline: str
    owner: str | None

    def known(self) -> KnownFiles:
        """What has been taken and was not forgotten since."""
        columns = ("path", "size", "modified_ns", "sha256", "outcome", "taken_at")
        rows = sorted(self.rows(*columns), key=lambda row: row["taken_at"])
        latest = {(row["path"], row["size"], row["modified_ns"]): (row["outcome"], row["sha256"]) for row in rows}
        taken = frozenset(file for file, (outcome, _) in latest.items() if outcome != "forgotten")
        barred = frozenset(file for file, ending in latest.items() if ending == ("refused", ""))
        return KnownFiles(taken, {row["sha256"]: row["path"] for row in reversed(rows) if row["sha256"]}, barred)

    def refused(self) -> list[dict[str, Any]]:
        """The files that could not be read as a whole and that nobody has decided on since, oldest first."""
        return [row for row in self._latest() if row["outcome"] == "refused"]

    def settle(self, run: RunContext, path: str, outcome: Literal["forgotten", "discarded"], why: str) -> int:
        """Let refused files of a path be read again (`forgotten`) or close them, and give how many there were."""
        return self._decide([row for row in self.refused() if row["path"] == path], run, outcome, why)

    def _decide(self, found: Sequence[dict[str, Any]], run: RunContext, outcome: str, why: str) -> int:
        decided = {"outcome": outcome, "reason": why, "batch_id": None, "run_id": run.run_id, "user": run.user}
        rows = [tuple((row | decided | {"taken_at": now()})[name] for name in FILE_SCHEMA.names) for row in found]
        if rows:
            append_rows(self.root, FILES, rows, FILE_SCHEMA)
        return len(rows)

    def forget_all(self, run: RunContext, why: str) -> None:
        """Let every file that was taken be new again; a second time changes nothing."""
        self._decide([row for row in self._latest() if row["outcome"] != "forgotten"], run, "forgotten", why)

    def _latest(self) -> list[dict[str, Any]]:
        """The last entry of each file, oldest file first."""
        latest: dict[tuple[str, int, int], dict[str, Any]] = {}
        for row in sorted(self.rows(), key=lambda row: row["taken_at"]):
            latest[row["path"], row["size"], row["modified_ns"]] = row
        return list(latest.values())

    def rows(self, *columns: str) -> list[dict[str, Any]]:
        """The entries of this pipeline, in no order."""
        return read_rows(self.root, FILES, [("pipeline", "=", self.pipeline)], columns or None)

    def record(
        self, run: RunContext, batch_id: int, files: Sequence[FileEntry], taken_at: dt.datetime | None = None
    ) -> None:
        """Append the files of a batch, by default as taken now; a batch that is on record already is left as it is."""
        batch = [("pipeline", "=", self.pipeline), ("batch_id", "=", batch_id)]
        if not files or read_rows(self.root, FILES, batch, ["path"]):
            return
        at = taken_at or now()
        append_rows(self.root, FILES, [
            (self.pipeline, f.path, f.size, _time(f.modified_ns), f.modified_ns, f.sha256, f.same_content_as, f.format,
             f.encoding, f.outcome, f.reason, batch_id, run.run_id, at, f.counts.read, f.counts.good,
             f.counts.quarantined, f.counts.dropped, self.owner, run.user, f.schema_version)
            for f in files
        ], FILE_SCHEMA)  # fmt: skip


def _time(nanoseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC)
