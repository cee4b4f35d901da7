import datetime as dt
import getpass
import re

import pytest

from lakeloop.core import run_record
from lakeloop.core.run_record import RowCounts, RunContext


def test_a_run_is_dated_in_utc_and_named_by_its_start() -> None:
    context = RunContext("run", "local")
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{6}", context.run_id)
    assert context.started_at.tzinfo is dt.UTC
    assert dt.datetime.now(dt.UTC) - context.started_at < dt.timedelta(minutes=1)


def test_runs_of_different_seconds_sort_by_start_and_those_of_one_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(second: int) -> str:
        monkeypatch.setattr(run_record, "now", lambda: dt.datetime(2026, 1, 1, 0, 0, second, tzinfo=dt.UTC))
        return RunContext("run", "local").run_id

    assert at(9) < at(10)
    assert at(10) != at(10)


def test_a_user_without_an_entry_in_the_password_file_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert re.fullmatch(r"uid \d+", RunContext("run", "local").user)


@pytest.mark.parametrize(
    ("counts", "adds_up"),
    [
        (RowCounts(), True),
        (RowCounts(10, 6, 3, 1), True),
        (RowCounts(10, 6, 3, 0), False),
        (RowCounts(9, 6, 3, 1), False),
    ],
)
def test_every_row_is_counted_once(counts: RowCounts, adds_up: bool) -> None:
    assert counts.adds_up is adds_up
