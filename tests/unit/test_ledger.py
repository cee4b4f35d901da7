import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakeloop.core.errors import ConcurrentRunError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ledger import BATCH_SCHEMA, BATCHES, Batch, History, Ledger, Outcome, Plan, RunEntry
from lakeloop.lake.ops_tables import append_rows
from lakeloop.lake.rule_results import RULE_RESULTS, RuleResult, append_results

RUN = RunContext("run", "test", run_id="r1", user="somebody")
NOTHING = History(0, None, None, None)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(str(tmp_path / "lake"))


def table(ledger: Ledger, name: str) -> DeltaTable:
    return DeltaTable(f"{ledger.root}/{name.replace('.', '/')}")


def plan(ledger: Ledger, number: int, pipeline: str = "p") -> Batch:
    """Plan the next batch as a pipeline does."""
    return ledger.plan(pipeline, Plan({"number": number}, f"{number} rows"), RUN, ledger.history(pipeline))


def end(ledger: Ledger, outcome: Outcome, batch_id: int | None, pipeline: str = "p") -> None:
    ledger.record(RUN, RunEntry(pipeline, "silver.p", outcome, now(), batch_id=batch_id))


def standing(ledger: Ledger, pipeline: str = "p") -> tuple[int, int | None, Outcome | None, str | None]:
    """Planned batches, number and outcome of the last one, and the summary of the last that succeeded."""
    found = ledger.history(pipeline)
    last = found.last.batch_id if found.last else None
    return found.batches, last, found.outcome, found.finished.summary if found.finished else None


def test_a_ledger_without_tables_is_empty(ledger: Ledger) -> None:
    assert ledger.history("p") == NOTHING


def test_a_batch_comes_back_as_it_was_planned(ledger: Ledger) -> None:
    planned = Plan({"files": [{"path": "/ä", "size": 3}], "after": None, "from": 1.5}, "2 files", "stopped at page 3")
    batch = ledger.plan("p", planned, RUN, NOTHING)
    assert ledger.history("p") == History(1, batch, None, None)
    assert batch.plan == planned
    assert (batch.batch_id, batch.commit.run_id) == (0, "r1")


def test_a_batch_is_open_until_it_succeeded_or_was_withdrawn(ledger: Ledger) -> None:
    plan(ledger, 1)
    end(ledger, "nothing_new", None)
    assert standing(ledger) == (1, 0, None, None)
    end(ledger, "failed", 0)
    assert standing(ledger) == (1, 0, None, None)
    end(ledger, "succeeded", 0)
    assert standing(ledger) == (1, 0, "succeeded", "1 rows")
    plan(ledger, 2)
    assert standing(ledger) == (2, 1, None, "1 rows")
    end(ledger, "withdrawn", 1)
    end(ledger, "nothing_new", None)
    assert standing(ledger) == (2, 1, "withdrawn", "1 rows")


def test_batches_of_a_pipeline_share_a_writer_and_no_other_pipeline_has_it(ledger: Ledger) -> None:
    first, second, other = plan(ledger, 1), plan(ledger, 2), plan(ledger, 1, "q")
    assert [first.batch_id, second.batch_id, other.batch_id] == [0, 1, 0]
    assert first.commit.writer == second.commit.writer
    assert first.commit.writer.startswith("p-")
    assert other.commit.writer.startswith("q-")
    end(ledger, "succeeded", 0, "q")
    assert standing(ledger) == (2, 1, None, None)
    assert standing(ledger, "q") == (1, 0, "succeeded", "1 rows")


def test_a_ledger_that_starts_anew_has_another_writer(ledger: Ledger) -> None:
    first = plan(ledger, 1)
    table(ledger, BATCHES).delete()
    again = ledger.plan("p", Plan({}, ""), RUN, ledger.history("p"))
    assert again.batch_id == 0
    assert again.commit.writer != first.commit.writer


def test_a_batch_that_another_run_planned_meanwhile_is_refused(ledger: Ledger) -> None:
    before = ledger.history("p")
    plan(ledger, 1)
    with pytest.raises(ConcurrentRunError, match="p: another run has begun batch 0 meanwhile"):
        ledger.plan("p", Plan({}, ""), RUN, before)
    assert standing(ledger) == (1, 0, None, None)


def test_of_runs_that_plan_at_once_one_wins_and_other_pipelines_are_not_in_the_way(ledger: Ledger) -> None:
    def attempt(pipeline: str) -> bool:
        try:
            ledger.plan(pipeline, Plan({}, ""), RUN, NOTHING)
        except ConcurrentRunError:
            return False
        return True

    plan(ledger, 1, "first")  # the table exists
    with ThreadPoolExecutor(6) as threads:
        won = list(threads.map(attempt, ["p", "p", "p", "p", "q", "r"]))
    assert sum(won[:4]) == 1
    assert won[4:] == [True, True]
    assert [standing(ledger, pipeline) for pipeline in ("p", "q", "r")] == [(1, 0, None, None)] * 3


def test_a_run_is_recorded_whole(ledger: Ledger) -> None:
    started_at = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    entry = RunEntry("p", "silver.p", "succeeded", started_at, "3 files", 7, RowCounts(10, 6, 3, 1))
    ledger.record(RUN, entry)
    ledger.record(RUN, RunEntry("churn", None, "failed", started_at))
    row, other = ledger.runs(2)
    assert row.pop("ended_at") > started_at
    assert row == {
        "run_id": "r1", "verb": "run", "name": "p", "table": "silver.p", "batch_id": 7, "outcome": "succeeded",
        "rows_read": 10, "rows_good": 6, "rows_quarantined": 3, "rows_dropped": 1, "started_at": started_at,
        "message": "3 files", "environment": "test", "user": "somebody",
    }  # fmt: skip
    assert (other["name"], other["table"], other["batch_id"], other["rows_read"]) == ("churn", None, None, 0)


def test_the_latest_runs_come_in_the_order_of_their_end(ledger: Ledger) -> None:
    assert ledger.runs(5) == []
    for batch_id in range(3):
        end(ledger, "succeeded", batch_id)
    assert [row["batch_id"] for row in ledger.runs(2)] == [1, 2]
    assert [row["batch_id"] for row in ledger.runs(5)] == [0, 1, 2]


def test_violations_are_recorded_per_rule_and_nothing_where_there_are_no_rules(ledger: Ledger) -> None:
    append_results(ledger.root, RUN, "p", 3, "abc", [])
    assert not Path(ledger.root).exists()
    key = RuleResult("a_is_unique", "error", 2, 8, "is_unique", ("a", "b"), owner="ann")
    append_results(ledger.root, RUN, "p", 3, "abc", [RuleResult("a_is_in", "warn", 0), key])
    found = table(ledger, RULE_RESULTS).to_pyarrow_table().drop_columns(["judged_at"]).to_pylist()
    assert {tuple(row.values()) for row in found} == {
        ("r1", "p", 3, "abc", "a_is_in", "warn", 0, None, None, None, None, None, None),
        ("r1", "p", 3, "abc", "a_is_unique", "error", 2, "is_unique", "a,b", 8, None, None, "ann"),
    }


def test_a_source_goes_on_from_its_own_plan_whatever_was_replayed_since(ledger: Ledger) -> None:
    plan(ledger, 1)
    end(ledger, "succeeded", 0)
    for number in (1, 2):
        replay = Plan({"replay": number}, "a replay", kind="replay")
        ledger.plan("p", replay, RUN, ledger.history("p"))
        last = ledger.history("p").last
        assert last is not None
        assert (last.batch_id, last.plan) == (number, replay)
        end(ledger, "succeeded", number)
        assert standing(ledger) == (number + 1, number, "succeeded", "1 rows")
    assert dict(ledger.plans("p", [0, 2])) == {
        0: Plan({"number": 1}, "1 rows"), 2: Plan({"replay": 2}, "a replay", kind="replay")
    }  # fmt: skip
    assert list(ledger.plans("p", [])) == list(ledger.plans("q", [0])) == []


def test_plans_that_say_no_kind_are_of_the_source(ledger: Ledger) -> None:
    """As they were written before there were replays."""
    row = ("p", "w", 0, "r1", now(), '{"details": {}, "summary": "old", "failure": null}')
    append_rows(ledger.root, BATCHES, [row], BATCH_SCHEMA)
    end(ledger, "succeeded", 0)
    assert ledger.history("p").finished == Plan({}, "old", kind="source")
