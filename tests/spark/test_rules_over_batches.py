"""Rules of a pipeline beyond one batch and one row: horizons, numbers of all rows, tolerance, what drops or stops."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import RuleFailedError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion import pipeline
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.replay import ReplayReader, Replays, WithReplays
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.rule_results import RULE_RESULTS
from lakeloop.lake.rule_states import RULE_STATES, states_before
from lakeloop.lake.tables import Lake


@dataclass(frozen=True)
class Orders:
    """A drop folder of orders, a lake, and the pipeline between them."""

    spark: SparkSession
    folder: Path
    rules: list[dict[str, Any]]
    replays: Replays | None = field(default=None)

    @property
    def spec(self) -> PipelineSpec:
        return PipelineSpec.model_validate({
            "pipeline": "orders", "description": "Orders", "owner": "sales", "sink": {"table": "silver.orders"},
            "source": {"files": "drop", "formats": {"csv": {}}, "fields": ["id", "n", "at"], "settle": "0s"},
            "transforms": [{"cast": {"n": "int", "at": "timestamp"}}], "rules": self.rules,
        })  # fmt: skip

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    def run(self, replays: Replays | None = None) -> RunEntry:
        spec, lake = self.spec, self.lake
        assert isinstance(spec.source, FilesSource)
        catalog = FileCatalog(lake.root, spec.pipeline, "sales")
        usual = FilesReader(self.spark, str(self.folder / "drop"), spec.source, catalog)
        source = WithReplays(usual, ReplayReader(lake, spec, replays or Replays(), usual), is_asked=replays is not None)
        return Pipeline(spec, source, lake).run(RunContext("run", "test"), lambda _: None)

    def drop(self, name: str, *lines: str) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        (self.folder / "drop" / name).write_text("\n".join(["id,n,at", *lines, ""]))

    def reasons(self) -> dict[int, Counter[tuple[Any, ...]]]:
        """By batch: rows with their verdict and the rules that they violate."""
        found: dict[int, Counter[tuple[Any, ...]]] = {}
        rows = self.lake.read("bronze.orders").select("_batch_id", "id", "_verdict", F.col("_reasons.rule"))
        for batch, key, verdict, rules in rows.collect():
            found.setdefault(batch, Counter())[key, verdict, *(rules or [])] += 1
        return found

    def results(self, rule: str) -> list[tuple[Any, ...]]:
        rows = read_rows(self.lake.root, RULE_RESULTS, [("rule", "=", rule)])
        wanted = ("batch_id", "violations", "rows", "value", "message")
        return sorted((tuple(row[name] for name in wanted) for row in rows), key=lambda row: row[0])


def test_a_key_may_not_come_again_in_a_later_batch_and_a_row_that_was_refused_does_not_count(
    spark: SparkSession, tmp_path: Path
) -> None:
    rules: list[dict[str, Any]] = [
        {"is_in_range": {"column": "n", "min": 0}},
        {"is_unique": {"columns": ["id"], "horizon": "all", "name": "once"}},
        {"determines": {"columns": ["id"], "column": "n", "horizon": "all", "severity": "warn", "name": "same_n"}},
    ]
    orders = Orders(spark, tmp_path, rules)
    orders.drop("1.csv", "a,1,", "b,-1,", ",1,", ",1,", "c,1,", "c,1,")
    assert orders.run().counts == RowCounts(6, 4, 2, 0)
    orders.drop("2.csv", "a,1,", "b,1,", "b,2,", "c,3,")
    assert orders.run().counts == RowCounts(4, 1, 3, 0)
    assert orders.reasons() == {
        0: Counter({
            ("a", "good"): 1, ("b", "quarantined", "n_is_in_range"): 1, (None, "good"): 2, ("c", "good"): 1,
            ("c", "quarantined", "once"): 1,
        }),
        1: Counter({
            ("a", "quarantined", "once"): 1, ("b", "good"): 1, ("b", "quarantined", "once", "same_n"): 1,
            ("c", "quarantined", "once", "same_n"): 1,
        }),
    }  # fmt: skip
    message = orders.lake.read("bronze.orders").where("_batch_id = 1 AND id = 'a'").select("_reasons.message").first()
    assert message is not None
    assert message[0] == [f"id: found a again, first at {tmp_path / 'drop/1.csv'}:2"]
    # Judged again, a row meets what is good and not itself: the first `c` is, so the others stay where they are.
    assert orders.run(Replays(why="again", again=True)).counts == RowCounts(5, 0, 5, 0)
    relaxed = Orders(spark, tmp_path, [{"is_unique": {"columns": ["id", "n"], "horizon": "all", "name": "once"}}])
    assert relaxed.run(Replays(why="refunds")).counts == RowCounts(5, 3, 2, 0)
    good = Counter(map(tuple, orders.lake.read("silver.orders").select("id", "n").collect()))
    assert good == Counter(
        {("a", 1): 1, ("b", 1): 1, ("b", -1): 1, ("b", 2): 1, ("c", 1): 1, ("c", 3): 1, (None, 1): 2}
    )


def test_a_row_that_a_rule_beyond_it_refused_counts_in_later_batches_as_in_its_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    usual = {"column": "n", "baseline": {"median": 1, "mad": 1}, "name": "usual"}
    rules: list[dict[str, Any]] = [
        {"is_no_outlier": usual},
        {"is_unique": {"columns": ["id"], "horizon": "all", "name": "once"}},
    ]
    orders = Orders(spark, tmp_path, rules)
    orders.drop("1.csv", "a,900,", "b,900,", "b,1,", ",,", ",,")
    orders.run()
    orders.drop("2.csv", "a,1,")
    orders.run()
    assert orders.reasons() == {
        0: Counter({
            ("a", "quarantined", "usual"): 1, ("b", "quarantined", "usual"): 1, ("b", "quarantined", "once"): 1,
            (None, "good"): 2,
        }),
        1: Counter({("a", "quarantined", "once"): 1}),
    }  # fmt: skip


def test_numbers_of_all_rows_are_measured_in_the_write_and_go_on_from_batch_to_batch(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules: list[dict[str, Any]] = [
        {"is_not_null": {"column": "id", "severity": "drop"}},
        {"row_count": {"min": 4, "name": "rows"}},
        {"mean": {"column": "n", "max": 4, "horizon": "all", "owner": "ann"}},
        {"row_count": {"min": 3, "per": "1d", "event_time": "at", "name": "daily"}},
    ]
    orders = Orders(spark, tmp_path, rules)
    orders.drop("1.csv", "a,1,2026-01-01 10:00:00", "b,2,2026-01-01 11:00:00", ",99,2026-01-02 00:00:00", "b,,", "c,3,")
    assert orders.run().counts == RowCounts(5, 4, 0, 1)
    assert orders.results("id_is_not_null") == [(0, 1, 5, None, None)]
    assert orders.results("rows") == [(0, 0, 5, 4.0, None)]  # of five that were not dropped before, four were not then
    assert orders.results("n_mean") == [(0, 0, 5, 2.0, None)]
    assert orders.results("daily") == [
        (0, 1, 5, 2.0, "rows: found 2, expected at least 3 (from 2026-01-01 00:00:00 UTC)")
    ]

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    orders.drop("2.csv", "d,18,2026-01-01 23:59:59", "e,6,2026-01-02 00:00:00")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "append_results", die)  # after the states of the batch were recorded
        with pytest.raises(KeyboardInterrupt):
            orders.run()
    assert orders.run().counts == RowCounts(2, 2, 0, 0)
    assert orders.results("rows")[1:] == [(1, 1, 2, 2.0, "rows: found 2, expected at least 4")]
    assert orders.results("n_mean")[1:] == [(1, 1, 2, 6.0, "mean of n: found 6, expected at most 4")]
    assert orders.results("daily")[1:] == [
        (1, 1, 2, 1.0, "rows: found 1, expected at least 3 (from 2026-01-02 00:00:00 UTC)")
    ]
    assert states_before(orders.lake.root, "orders", 2, orders.spec.rule_versions)["daily"] == {
        "2026-01-01 00:00:00": {"n": 3},
        "2026-01-02 00:00:00": {"n": 1},
    }
    changed = [rules[0], rules[1], {"stddev": {"column": "n", "max": 9, "horizon": "all", "name": "n_mean"}}]
    orders.drop("3.csv", "f,5,", "g,5,", "g,,")
    Orders(spark, tmp_path, changed).run()
    assert orders.results("n_mean")[2:] == [(2, 0, 3, 0.0, None)]  # of another kind now: it begins anew
    owners = {row["rule"]: row["owner"] for row in read_rows(orders.lake.root, RULE_RESULTS) if row["batch_id"] < 2}
    assert {rule: owner for rule, owner in owners.items() if owner != "sales"} == {"n_mean": "ann"}
    assert {"id_is_not_null", "rows", "daily"} <= set(owners)
    assert {row["pipeline"] for row in read_rows(orders.lake.root, RULE_STATES)} == {"orders"}


def test_a_rule_that_drops_is_counted_in_a_batch_that_was_resumed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    orders = Orders(spark, tmp_path, [{"is_not_null": {"column": "id", "severity": "drop", "at_most": "60%"}}])
    orders.drop("1.csv", "a,1,", "a,1,", ",1,", ",2,", ",3,")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            orders.run()
    assert orders.run().counts == RowCounts(5, 2, 0, 3)
    assert orders.results("id_is_not_null") == [(0, 3, 5, None, None)]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            {"is_in_range": {"column": "n", "min": 0, "at_most": "30%"}},
            r"n_is_in_range \(2 of 5 rows, at most 30%",
        ),
        ({"row_count": {"max": 4, "severity": "fail"}}, r"row_count \(rows: found 5, expected at most 4\)"),
        ({"has_schema": {"columns": {"n": "bigint"}, "severity": "fail"}}, "n is int, expected bigint"),
    ],
)
def test_what_is_not_tolerated_stops_the_run_and_the_batch_is_taken_back(
    spark: SparkSession, tmp_path: Path, rule: dict[str, Any], said: str
) -> None:
    orders = Orders(spark, tmp_path, [rule])
    orders.drop("1.csv", "a,1,", "b,-1,", ",-1,", "c,,", "c,1,")
    with pytest.raises(RuleFailedError, match=said):
        orders.run()
    assert orders.lake.read("bronze.orders").count() == 0
    ((kind, parameters),) = rule.items()
    softer = {"at_most": "40%"} if "at_most" in parameters else {"severity": "warn"}
    assert Orders(spark, tmp_path, [{kind: {**parameters, **softer}}]).run().counts.read == 5


def test_a_condition_holds_for_all_rules_under_it(spark: SparkSession, tmp_path: Path) -> None:
    under = [{"is_not_null": {"column": "at", "filter": "n > 1"}}, {"is_in": {"column": "id", "values": ["a"]}}]
    orders = Orders(spark, tmp_path, [{"when": {"condition": "n > 0", "rules": under}}])
    assert [rule.filter for rule in orders.spec.rules] == ["(n > 0) AND (n > 1)", "n > 0"]
    orders.drop("1.csv", "a,1,", "b,2,", "b,0,", "b,,", "b,,")
    orders.run()
    assert orders.reasons()[0] == Counter({
        ("a", "good"): 1, ("b", "quarantined", "at_is_not_null", "id_is_in"): 1, ("b", "good"): 3,
    })  # fmt: skip
