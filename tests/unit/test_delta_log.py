import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakeloop.core.errors import DamageError
from lakeloop.lake.delta_log import HINT, LOG, PROBED, data_files, list_log, named_files, newest_version, said_of
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.views import View, find_view, write_view


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four commits of one row each, and a checkpoint at the second."""
    folder = tmp_path / "lake/ops/things"
    for number in range(4):
        said = CommitProperties({"userMetadata": json.dumps({"writer": "w", "batch_id": number, "run_id": "r"})})
        write_deltalake(str(folder), pa.table({"n": [number]}), mode="append", commit_properties=said)
        if number == 1:
            DeltaTable(str(folder)).create_checkpoint()
    return folder


def commit(table: Path, version: int) -> Path:
    return table / LOG / f"{version:020d}.json"


def checkpoint(table: Path) -> Path:
    return next((table / LOG).glob("*.checkpoint.parquet"))


def test_a_whole_log_has_no_defect(table: Path) -> None:
    log = list_log(str(table))
    assert (sorted(log.commits), sorted(log.checkpoints), log.has_hint) == ([0, 1, 2, 3], [1], True)
    assert (log.latest, log.defects, log.gaps()) == (3, [], [])


def test_commits_before_a_checkpoint_may_go_from_the_oldest_on(table: Path) -> None:
    commit(table, 0).unlink()
    assert list_log(str(table)).defects == []
    commit(table, 1).unlink()
    assert list_log(str(table)).defects == []
    commit(table, 2).unlink()
    assert list_log(str(table)).defects == ["commit 2 is missing"]


def test_without_a_checkpoint_every_commit_is_needed(table: Path) -> None:
    checkpoint(table).unlink()
    commit(table, 0).unlink()
    commit(table, 2).unlink()
    assert list_log(str(table)).defects == ["commit 0 is missing", "commit 2 is missing"]


def test_what_the_listing_shows_is_said(table: Path) -> None:
    commit(table, 2).write_bytes(b"")
    checkpoint(table).write_bytes(b"")
    (table / LOG / f"{4:020d}.crc").write_text("{}")  # written after its commit, so there was one
    assert list_log(str(table)).defects == ["commit 2 is empty", "checkpoint 1 is not whole", "commit 4 is missing"]
    shutil.rmtree(table / LOG)
    assert list_log(str(table)).defects == ["its log has no commit"]
    assert len(data_files(str(table))) == 4


def test_a_torn_commit_gives_the_lines_that_are_whole(table: Path) -> None:
    whole, is_whole = list_log(str(table)).commit(0)
    assert is_whole
    lines = commit(table, 0).read_text().splitlines()
    commit(table, 0).write_text("\n".join([*lines[:-1], lines[-1][:20]]))
    assert list_log(str(table)).commit(0) == (whole[:-1], False)
    assert list_log(str(table)).commit(9) == ([], False)


def test_a_checkpoint_is_read_or_none(table: Path) -> None:
    log = list_log(str(table))
    actions = log.checkpoint(1)
    assert actions is not None
    assert len(named_files(actions)) == 2
    checkpoint(table).write_bytes(checkpoint(table).read_bytes()[:100])
    assert log.checkpoint(1) is None


def test_commits_say_their_batches_and_name_their_files(table: Path) -> None:
    history = list(list_log(str(table)).history())
    assert [said_of(actions) for _, actions in history] == [
        {"writer": "w", "batch_id": number, "run_id": "r"} for number in range(4)
    ]
    assert set().union(*(named_files(actions) for _, actions in history)) == data_files(str(table)).keys()
    assert said_of([{"commitInfo": {"userMetadata": "by hand"}}]) == said_of([{"add": {"path": "x"}}]) == {}


def test_a_table_that_cannot_be_read_is_named(table: Path) -> None:
    root = str(table.parents[1])
    assert len(read_rows(root, "ops.things")) == 4
    commit(table, 3).write_bytes(commit(table, 3).read_bytes()[:50])
    with pytest.raises(DamageError, match=r"ops\.things cannot be read: .*run `lakeloop repair`"):
        read_rows(root, "ops.things")


@pytest.mark.parametrize("text", ["", '{"record_table": "bronze.orders", "acc', "[]", '{"accepted": 1}'])
def test_a_torn_view_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "silver/orders"
    write_view(str(folder), View("bronze.orders", 3))
    assert find_view(str(folder)) == View("bronze.orders", 3)
    (folder / "_view.json").write_text(text)
    with pytest.raises(DamageError, match=r"orders/_view\.json is damaged; run `lakeloop repair`"):
        find_view(str(folder))


def test_the_newest_commit_is_found_without_a_list(table: Path) -> None:
    assert newest_version(str(table)) == 3
    commit(table, 0).unlink()  # as clean-up does before a checkpoint
    assert newest_version(str(table)) == 3
    (table / LOG / HINT).unlink()
    assert newest_version(str(table)) == 3
    assert newest_version(str(table.parent / "nothing")) == -1
    for version in range(4, 4 + 2 * PROBED):
        commit(table, version).write_text("{}")
    (table / LOG / HINT).write_text('{"version": 1}')
    assert newest_version(str(table)) == 3 + 2 * PROBED
