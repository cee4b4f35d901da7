import datetime as dt

import pytest
from pyspark.sql import functions as F

from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ledger import BATCHES, RULE_RESULTS, RUNS, Batch, Ledger, Outcome, Plan, RunEntry
from lakeloop.lake.tables import Lake

RUN = RunContext("run", "test", run_id="r1", user="somebody")


@pytest.fixture
def ledger(lake: Lake) -> Ledger:
    return Ledger(lake)


def plan(ledger: Ledger, number: int, pipeline: str = "p") -> Batch:
    """Plan the next batch as a pipeline does."""
    return ledger.plan(pipeline, Plan({"number": number}, f"{number} rows"), RUN, ledger.batches(pipeline))


def end(ledger: Ledger, outcome: Outcome, batch_id: int | None, pipeline: str = "p") -> None:
    ledger.record(RUN, RunEntry(pipeline, "silver.p", outcome, now(), batch_id=batch_id))


def outcomes(ledger: Ledger, pipeline: str = "p") -> list[tuple[int, Outcome | None]]:
    return [(batch.batch_id, outcome) for batch, outcome in ledger.batches(pipeline)]


def test_a_ledger_without_tables_is_empty(ledger: Ledger) -> None:
    assert ledger.batches("p") == []


def test_a_batch_comes_back_as_it_was_planned(ledger: Ledger) -> None:
    planned = Plan({"files": [{"path": "/ä", "size": 3}], "after": None, "from": 1.5}, "2 files", "stopped at page 3")
    batch = ledger.plan("p", planned, RUN, [])
    assert ledger.batches("p") == [(batch, None)]
    assert batch.plan == planned
    assert (batch.batch_id, batch.commit.run_id) == (0, "r1")


def test_a_batch_is_open_until_it_succeeded_or_was_withdrawn(ledger: Ledger) -> None:
    plan(ledger, 1)
    end(ledger, "nothing_new", None)
    assert outcomes(ledger) == [(0, None)]
    end(ledger, "failed", 0)
    assert outcomes(ledger) == [(0, None)]
    end(ledger, "succeeded", 0)
    plan(ledger, 2)
    assert outcomes(ledger) == [(0, "succeeded"), (1, None)]
    end(ledger, "withdrawn", 1)
    end(ledger, "nothing_new", None)
    assert outcomes(ledger) == [(0, "succeeded"), (1, "withdrawn")]


def test_batches_of_a_pipeline_share_a_writer_and_no_other_pipeline_has_it(ledger: Ledger) -> None:
    first, second, other = plan(ledger, 1), plan(ledger, 2), plan(ledger, 1, "q")
    assert [first.batch_id, second.batch_id, other.batch_id] == [0, 1, 0]
    assert first.commit.writer == second.commit.writer
    assert first.commit.writer.startswith("p-")
    assert other.commit.writer.startswith("q-")
    end(ledger, "succeeded", 0, "q")
    assert outcomes(ledger) == [(0, None), (1, None)]
    assert outcomes(ledger, "q") == [(0, "succeeded")]


def test_a_ledger_that_starts_anew_has_another_writer_and_no_old_outcomes(ledger: Ledger) -> None:
    first = plan(ledger, 1)
    end(ledger, "succeeded", 0)
    ledger.lake.handle(BATCHES).delete()
    again = plan(ledger, 1)
    assert again.commit.writer != first.commit.writer
    assert outcomes(ledger) == [(0, None)]


def test_a_run_is_recorded_whole(ledger: Ledger) -> None:
    started_at = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    entry = RunEntry("p", "silver.p", "succeeded", started_at, "3 files", 7, RowCounts(10, 6, 3, 1))
    ledger.record(RUN, entry)
    ledger.record(RUN, RunEntry("churn", None, "failed", started_at))
    wanted = ["name", "table", "outcome", "batch_id", "rows_read", "rows_good", "rows_quarantined", "rows_dropped",
              "message", "run_id", "verb", "environment", "user"]  # fmt: skip
    rows = ledger.lake.read(RUNS).where(F.col("started_at") == F.lit(started_at)).orderBy("name")
    assert [tuple(row) for row in rows.select(wanted).collect()] == [
        ("churn", None, "failed", None, 0, 0, 0, 0, "", "r1", "run", "test", "somebody"),
        ("p", "silver.p", "succeeded", 7, 10, 6, 3, 1, "3 files", "r1", "run", "test", "somebody"),
    ]
    assert rows.where("ended_at < started_at").isEmpty()


def test_violations_are_recorded_per_rule_and_nothing_where_there_are_no_rules(ledger: Ledger) -> None:
    ledger.record_rules(RUN, "p", 3, "abc", [])
    assert not ledger.lake.exists(RULE_RESULTS)
    ledger.record_rules(RUN, "p", 3, "abc", [("a_is_in", "warn", 0), ("a_is_unique", "error", 2)])
    assert {tuple(row) for row in ledger.lake.read(RULE_RESULTS).collect()} == {
        ("r1", "p", 3, "abc", "a_is_in", "warn", 0),
        ("r1", "p", 3, "abc", "a_is_unique", "error", 2),
    }
