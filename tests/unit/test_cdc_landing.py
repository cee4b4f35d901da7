"""Rows of changes as files: a new one for each change of the columns, and none where a batch did not come about."""

import datetime as dt
from pathlib import Path

import pytest
from pyarrow import parquet

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.cdc import landing
from lakeloop.ingestion.sources.cdc.changes import Row
from lakeloop.ingestion.sources.cdc.landing import delete_landed, landing_in
from lakeloop.ingestion.sources.cdc.position import Position

AT = dt.datetime(2026, 5, 1, 12, 0, 0, 1, tzinfo=dt.UTC)


def row(record: int, *values: str | None) -> Row:
    return Row("update", 100, record, AT, record, ("v",) if values[-1] is None else (), '["1"]', values)


def test_rows_come_back_in_files_of_one_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(landing, "ROWS_PER_FILE", 3)
    folder = str(tmp_path / "landed")
    with landing_in(folder) as landed:
        for record in range(4):
            landed.write(("id", "a b"), row(record, "1", None if record == 2 else f"v{record}"))
        landed.write(("id",), row(4, "1"))
    assert [file["names"] for file in landed.files] == [["id", "a b"], ["id", "a b"], ["id"]]
    read = [parquet.read_table(file["path"]).to_pylist() for file in landed.files]
    assert [[each["record"] for each in rows] for rows in read] == [[0, 1, 2], [3], [4]]
    assert read[0][2] == {
        "operation": "update", "lsn": 100, "sequence": 2, "committed_at": AT, "record": 2, "kept": ["v"],
        "line": '["1"]', "c0": "1", "c1": None,
    }  # fmt: skip
    delete_landed(folder)
    delete_landed(folder)
    assert not list(tmp_path.iterdir())


def land_until_the_server_goes_down(folder: str) -> None:
    with landing_in(folder) as landed:
        landed.write(("id",), row(0, "1"))
        raise SourceError("the server went down")


def test_a_batch_that_did_not_come_about_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="went down"):
        land_until_the_server_goes_down(str(tmp_path / "landed"))
    assert not list(tmp_path.iterdir())


def test_a_position_forgets_the_snapshot_once_it_is_past_it() -> None:
    first = Position("s", "server/crm", 7, "0/64", 3, AT.isoformat(), None, "1:2:", "0/C8")
    second = first.after(0xC8, 5, AT, None)
    assert (second.upto, second.record, second.snapshot, second.committed_at) == ("0/C8", 5, "1:2:", None)
    third = second.after(0xC9, 6, AT, AT)
    assert (third.snapshot, third.snapshot_upto, third.committed_at) == (None, None, AT.isoformat())
    assert third.time == AT
