"""The log of a Delta table as files: which commits and checkpoints there are, and what is wrong with them.

Reads the files themselves, so that a log which no engine opens can be described. `folder` is that of the table.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs, parquet

from lakeloop.lake.storage import filesystem

LOG = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?(?:\.[0-9a-f-]{36})?\.(?:parquet|json)")
CHECKSUM = re.compile(r"(\d{20})\.crc")
HINT = "_last_checkpoint"
PROBED = 16  # commits that are asked for at a time
Actions = list[dict[str, Any]]


@dataclass(frozen=True)
class DeltaLog:
    """The files of a log: the sizes of commits by version, the names and sizes of checkpoints and checksums."""

    folder: str
    commits: Mapping[int, int] = field(default_factory=dict)
    checkpoints: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    checksums: Mapping[int, str] = field(default_factory=dict)
    has_hint: bool = False

    @property
    def latest(self) -> int | None:
        """The newest version that a file speaks of; a checksum is written after its commit."""
        return max([*self.commits, *self.checkpoints, *self.checksums], default=None)

    @cached_property
    def defects(self) -> list[str]:
        """What the listing alone shows to be wrong, in words."""
        if self.latest is None:
            return ["its log has no commit"]
        found = [f"commit {version} is empty" for version, size in sorted(self.commits.items()) if not size]
        found += [
            f"checkpoint {version} is not whole"
            for version, parts in sorted(self.checkpoints.items())
            if not all(parts.values()) or len(parts) != _parts(next(iter(parts)))
        ]
        return found + [f"commit {version} is missing" for version in self.gaps()]

    def gaps(self) -> list[int]:
        """Commits that are not there. Those before a checkpoint may go from the oldest on; that is no gap."""
        if self.latest is None:
            return []
        first = min([*self.commits, *(version + 1 for version in self.checkpoints)])
        begins = 0 if not any(version + 1 >= first for version in self.checkpoints) else first
        return [version for version in range(begins, self.latest + 1) if version not in self.commits]

    def commit(self, version: int) -> tuple[Actions, bool]:
        """The actions of a commit, and whether it is whole; of a torn one those lines that are."""
        try:
            lines = read_bytes(f"{self.folder}/{LOG}/{version:020d}.json").splitlines()
        except FileNotFoundError:
            return [], False
        actions: Actions = []
        for line in lines:
            try:
                action = json.loads(line)
            except ValueError:
                return actions, False
            if not isinstance(action, dict):
                return actions, False
            actions.append(action)
        return actions, bool(actions)

    def checkpoint(self, version: int) -> Actions | None:
        """The actions of a checkpoint, or None where it is not whole."""
        parts, actions = self.checkpoints[version], Actions()
        if len(parts) != _parts(next(iter(parts))):
            return None
        try:
            for name in parts:
                system, path = filesystem(f"{self.folder}/{LOG}/{name}")
                with system.open_input_file(path) as stream:
                    rows = parquet.ParquetFile(stream).read().to_pylist()
                actions += [{kind: value for kind, value in row.items() if value is not None} for row in rows]
        except (pa.ArrowException, OSError):
            return None
        return actions if any("metaData" in action for action in actions) else None

    def history(self) -> Iterator[tuple[int, Actions]]:
        """The readable actions of every commit that is there, oldest first."""
        for version in sorted(self.commits):
            yield version, self.commit(version)[0]


def list_log(folder: str) -> DeltaLog:
    """The log of the table in a folder or URI; one without files where there is none."""
    system, path = filesystem(f"{folder}/{LOG}")
    commits: dict[int, int] = {}
    checkpoints: dict[int, dict[str, int]] = {}
    checksums: dict[int, str] = {}
    has_hint = False
    for info in system.get_file_info(fs.FileSelector(path, allow_not_found=True)):
        has_hint = has_hint or info.base_name == HINT
        if found := COMMIT.fullmatch(info.base_name):
            commits[int(found[1])] = info.size
        elif found := CHECKPOINT.fullmatch(info.base_name):
            checkpoints.setdefault(int(found[1]), {})[info.base_name] = info.size
        elif found := CHECKSUM.fullmatch(info.base_name):
            checksums[int(found[1])] = info.base_name
    return DeltaLog(folder, commits, checkpoints, checksums, has_hint)


def newest_version(folder: str) -> int:
    """The newest commit of a sound log, -1 where there is none.

    Looked for from the last checkpoint on: of a table that is written each second a list of the log is long.
    """
    try:
        newest = int(json.loads(read_bytes(f"{folder}/{LOG}/{HINT}"))["version"])
    except (FileNotFoundError, ValueError, KeyError):
        newest = -1
    while True:
        system, log = filesystem(f"{folder}/{LOG}")
        ahead = [f"{log}/{version:020d}.json" for version in range(newest + 1, newest + 1 + PROBED)]
        there = [info.type is fs.FileType.File for info in system.get_file_info(ahead)]
        if not all(there):
            found = newest + there.index(False)
            # Without a hint, the first commits may be gone.
            return found if found >= 0 else max(list_log(folder).commits, default=-1)
        newest += PROBED


def data_files(folder: str) -> dict[str, int]:
    """The sizes of all data files under a table's folder, named by the log or not, by path inside the folder."""
    system, path = filesystem(folder)
    found = {}
    for info in system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True)):
        inside = info.path.removeprefix(path).lstrip("/")
        if info.is_file and inside.endswith(".parquet") and not inside.startswith((LOG, "_change_data")):
            found[inside] = info.size
    return found


def named_files(actions: Actions) -> set[str]:
    """The data files that actions add or remove."""
    found = [action.get("add") or action.get("remove") for action in actions]
    return {unquote(file["path"]) for file in found if file}


def said_of(actions: Actions) -> dict[str, Any]:
    """The user metadata of a commit as Lakeloop writes it: `writer`, `batch_id`, `run_id`; empty for other commits."""
    for action in actions:
        try:
            said = json.loads((action.get("commitInfo") or {}).get("userMetadata") or "null")
        except ValueError:
            continue
        if isinstance(said, dict) and {"writer", "batch_id", "run_id"} <= said.keys():
            return said
    return {}


def read_bytes(uri: str) -> bytes:
    """The whole of a small file. Raises FileNotFoundError."""
    system, path = filesystem(uri)
    with system.open_input_stream(path, compression=None) as stream:
        return bytes(stream.read())


def _parts(name: str) -> int:
    found = CHECKPOINT.fullmatch(name)
    return int(found[3]) if found and found[3] else 1
