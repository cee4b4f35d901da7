"""Four processes that write one table, a few operations each; `make drill-sources` has two hundred."""

import json
from pathlib import Path

import pytest

from drills.drill_writers import serial_history, write_at_once


@pytest.mark.slow
@pytest.mark.parametrize("operations", [12, 24])
def test_four_writers_lose_no_acknowledged_commit(operations: int) -> None:
    assert write_at_once(operations, seed=7).is_sound


def commit(table: Path, version: int, *actions: dict[str, object]) -> None:
    (table / "_delta_log").mkdir(exist_ok=True)
    (table / f"_delta_log/{version:020d}.json").write_text("\n".join(map(json.dumps, actions)))


@pytest.mark.parametrize(
    ("third", "said"),
    [
        ([{"remove": {"path": "b"}}], "removes what was not there"),
        ([{"add": {"path": "a"}}], "adds what was"),
        ([{"remove": {"path": "a"}}, {"add": {"path": "c"}}], "1 files of the last version are gone"),
        ([], None),
    ],
)
def test_a_log_that_is_not_serial_is_seen(tmp_path: Path, third: list[dict[str, object]], said: str | None) -> None:
    (tmp_path / "a").touch()
    commit(tmp_path, 0, {"metaData": {}})
    commit(tmp_path, 1, {"add": {"path": "a"}}, {"txn": {"appId": "w", "version": 3}})
    commit(tmp_path, 2, *third)
    if said is None:
        assert serial_history(tmp_path) == {("w", 3): 1}
        commit(tmp_path, 4)
        said = "have a gap"
    with pytest.raises(SystemExit, match=said):
        serial_history(tmp_path)
