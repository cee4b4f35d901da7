"""Tables that grow by a row a commit stay small in files, and keep their rows."""

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakeloop.lake import compaction
from lakeloop.lake.delta_log import list_log
from lakeloop.lake.ops_tables import append_against, append_rows, created, read_rows, uri_of

SCHEMA = pa.schema({"id": pa.string()})


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "COMPACT_EVERY", 4)
    monkeypatch.setattr(compaction, "VACUUM_EVERY", 8)


def ids(root: str) -> list[str]:
    return sorted(str(row["id"]) for row in read_rows(root, "ops.t"))


def test_every_so_many_commits_files_are_joined_and_rows_stay(tmp_path: Path) -> None:
    root = str(tmp_path)
    for id_ in ("a", "b", None):
        append_rows(root, "ops.t", [(id_,)], SCHEMA)
    assert len(DeltaTable(uri_of(root, "ops.t")).file_uris()) == 3
    append_rows(root, "ops.t", [("b",)], SCHEMA)
    assert len(DeltaTable(uri_of(root, "ops.t")).file_uris()) == 1
    assert ids(root) == ["None", "a", "b", "b"]


def test_what_is_written_against_a_version_is_joined_too(tmp_path: Path) -> None:
    uri = created(str(tmp_path), "ops.t", SCHEMA)
    for number in range(4):
        assert append_against(DeltaTable(uri), [(str(number),)], SCHEMA)
    assert len(DeltaTable(uri).file_uris()) == 1
    assert ids(str(tmp_path)) == ["0", "1", "2", "3"]


def test_joined_files_stay_for_readers_and_the_rows_of_a_version_can_be_read(tmp_path: Path) -> None:
    for number in range(10):
        append_rows(str(tmp_path), "ops.t", [(str(number),)], SCHEMA)
    assert DeltaTable(uri_of(str(tmp_path), "ops.t"), version=3).to_pyarrow_table().num_rows == 3
    assert ids(str(tmp_path)) == [str(number) for number in range(10)]


def test_a_day_old_log_goes_and_what_is_left_is_sound(tmp_path: Path) -> None:
    uri = created(str(tmp_path), "ops.t", SCHEMA)
    for number in range(30):
        append_rows(str(tmp_path), "ops.t", [(str(number),)], SCHEMA)
    aged = list_log(uri).commits
    two_days_ago = time.time() - 2 * 86_400
    for file in (Path(uri) / "_delta_log").iterdir():
        os.utime(file, (two_days_ago, two_days_ago))
    for number in range(30, 60):
        append_rows(str(tmp_path), "ops.t", [(str(number),)], SCHEMA)
    log = list_log(uri)
    assert 0 < min(log.commits) <= max(aged)  # up to a checkpoint, from which on the rest is told
    assert log.defects == []
    assert len(ids(str(tmp_path))) == 60


def test_rows_are_safe_where_compaction_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(*_: object) -> None:
        tried.append("once")
        raise DeltaError("somebody deleted these files")

    monkeypatch.setattr("deltalake.table.TableOptimizer.compact", refuse)
    for number in range(5):
        append_rows(str(tmp_path), "ops.t", [(str(number),)], SCHEMA)
    assert ids(str(tmp_path)) == ["0", "1", "2", "3", "4"]
    assert tried == ["once"]
