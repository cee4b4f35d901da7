"""Joins of growing tables as pipelines: batches worked out by hand, late rows, expectations, kills, what is refused."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, RuleFailedError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import JoinSource
from lakeloop.ingestion.sources.joins import JoinReader
from lakeloop.ingestion.sources.probing import probe
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress, Source
from lakeloop.ingestion.sources.replay import ReplayReader, Replays, WithReplays
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Plan, RunEntry
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.tables import Lake
from lakeloop.lake.views import View

Rows = Sequence[tuple[str, str | None, str | None]]
CLICK, ORDER = "click_id string, session_id string, clicked_at timestamp", "id string, session string, at timestamp"
WARNED = {"match_rate": {"at_least": "50%", "severity": "warn"}, "fan_out": {"at_most": 1, "severity": "warn"}}

# (id, session, time of 2026-05-01): a duplicate, NULLs in the key and in the time, rows far too late on either side.
CLICKS: list[Rows] = [
    [("c1", "s1", "10:00"), ("c2", "s2", "10:05"), ("c2", "s2", "10:05"), ("c3", None, "10:06"), ("c4", "s1", None),
     ("c8", "s8", "10:02")],
    [("c5", "s5", "11:00")],
    [("c6", "s6", "12:00"), ("c7", "s7", "11:50"), ("c9", "s1", "09:55")],
]  # fmt: skip
ORDERS: list[Rows] = [
    [("o1", "s1", "10:10"), ("o2", "s1", "10:20"), ("o3", None, "10:11"), ("o4", "s9", "10:12")],
    [("o5", "s2", "10:30"), ("o6", "s5", "11:05")],
    [("o7", "s8", "10:20"), ("o8", "s6", "12:10"), ("o9", "s2", "10:34")],
]
Pairs = list[tuple[str, str | None]]
GIVEN: list[Pairs] = [
    [("c1", "o1"), ("c1", "o2"), ("c3", None), ("c4", None)],
    [("c2", "o5"), ("c2", "o5"), ("c5", "o6"), ("c8", None)],
    [("c6", "o8"), ("c9", "o1"), ("c9", "o2")],
]
LATE: Pairs = [("c2", "o9"), ("c2", "o9"), ("c8", "o7")]


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends before or after the commit to bronze, or before the view shows it."""

    when: str = ""

    def write(self, table: str, frame: Any, **options: Any) -> None:
        self._die(f"before {table}")
        super().write(table, frame, **options)
        self._die(f"after {table}")

    def publish_view(self, table: str, view: View) -> None:
        self._die(f"before {table}")
        super().publish_view(table, view)

    def _die(self, when: str) -> None:
        if when == self.when:
            raise KilledError(when)


@dataclass(frozen=True)
class DyingSource:
    """A source whose process ends once the batch is planned."""

    source: Source

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        return self.source.plan(last, progress)

    def read(self, plan: Plan) -> Extract:
        raise KilledError("while reading")

    def finish(self, ended: Ended) -> None: ...

    def release(self, plan: Plan) -> None: ...


@dataclass(frozen=True)
class Shop:
    """Clicks and orders that come in batches, and the pipeline that joins them."""

    lake: Lake
    join: dict[str, Any] = field(default_factory=dict)
    expect: dict[str, Any] | None = None
    sink: dict[str, Any] = field(default_factory=lambda: {"table": "gold.attributed"})

    @property
    def spec(self) -> PipelineSpec:
        columns = {"order_id": "id", "at": "at"}
        join = {
            "left": {"table": "silver.clicks", "event_time": "clicked_at", "delay": "10m"},
            "right": {"table": "silver.orders", "event_time": "at", "delay": "10m", "columns": columns},
            "on": {"session_id": "session"},
            "within": {"after": "30m"},
            "how": "left",
        }
        source = {"join": join | self.join} | ({"expect": self.expect} if self.expect else {})
        declared = {"pipeline": "attributed", "description": "Clicks with orders", "source": source, "sink": self.sink}
        return PipelineSpec.model_validate(declared)

    @property
    def reader(self) -> JoinReader:
        spec = self.spec
        assert isinstance(spec.source, JoinSource)
        return JoinReader(self.lake, spec.source, spec.pipeline)

    def clicks(self, batch: int, rows: Rows) -> None:
        self._came("clicks", CLICK, batch, rows)

    def orders(self, batch: int, rows: Rows) -> None:
        self._came("orders", ORDER, batch, rows)

    def _came(self, name: str, schema: str, batch: int, rows: Rows) -> None:
        timed = [(id_, key, at and dt.datetime.fromisoformat(f"2026-05-01T{at}:00+00:00")) for id_, key, at in rows]
        frame = self.lake.spark.createDataFrame(timed, schema)
        recorded = frame.select(F.lit(batch).cast("bigint").alias("_batch_id"), F.lit("good").alias("_verdict"), "*")
        self.lake.write(f"bronze.{name}", recorded, mode="append", partition_by=["_verdict"])
        self.lake.publish_view(f"silver.{name}", View(f"bronze.{name}", batch))

    def run(self, pipeline: Pipeline | None = None) -> RunEntry:
        return (pipeline or self.pipeline).run(RunContext("run", "test"), lambda text: None)

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.spec, self.reader, self.lake)

    def replay(self) -> RunEntry:
        replays = ReplayReader(self.lake, self.spec, Replays(again=True), self.reader)
        return self.run(replace(self.pipeline, source=WithReplays(self.reader, replays, is_asked=True)))

    def bronze(self, condition: str) -> list[tuple[str, str | None]]:
        rows = self.lake.read("bronze.attributed").where(condition).select("click_id", "order_id").collect()
        return sorted(((row[0], row[1]) for row in rows), key=str)


def test_a_left_join_batch_by_batch(lake: Lake) -> None:
    shop, entries = Shop(lake, expect=WARNED), []
    for number in range(3):
        shop.clicks(number, CLICKS[number])
        shop.orders(number, ORDERS[number])
        entries.append(shop.run())
        assert shop.bronze(f"_batch_id = {number} AND _verdict = 'good'") == GIVEN[number]
    assert [entry.counts for entry in entries] == [RowCounts(4, 4), RowCounts(4, 4), RowCounts(6, 3, 3)]
    told = [entry.message.split("; ") for entry in entries]
    assert [came for came, _, _ in told] == [
        f"{clicks} new rows of silver.clicks and {orders} new rows of silver.orders"
        for clicks, orders in ((6, 4), (1, 2), (3, 3))
    ]
    assert [reached for _, reached, _ in told] == [
        f"watermark 2026-05-01 {at}:00" for at in ("09:56", "10:50", "11:50")
    ]
    whose = "rows of silver.clicks whose time was up"
    assert [fared for _, _, fared in told] == [
        f"of 2 {whose} 0 matched (0.00%), at most 0 times, expected at least 50%",
        f"of 4 {whose} 3 matched (75.00%), at most 2 times",
        f"of 2 {whose} 2 matched (100.00%), at most 2 times",
    ]

    assert shop.bronze("_verdict = 'quarantined'") == LATE
    [late] = lake.read("bronze.attributed").where("order_id = 'o7'").select(F.inline("_reasons")).collect()
    assert late["rule"] == "late"
    assert late["message"] == (
        "at: found 2026-05-01 10:20:00, but the row of silver.clicks had been given out for good when the watermark "
        "passed 2026-05-01 10:32:00"
    )
    violations = {(row["batch_id"], row["rule"]): row["violations"] for row in read_rows(lake.root, "ops.rule_results")}
    assert {key: rows for key, rows in violations.items() if rows} == {
        (0, "match_rate"): 2, (0, "fan_out"): 2, (2, "fan_out"): 4, (2, "late"): 3
    }  # fmt: skip
    assert shop.run().outcome == "nothing_new"
    assert [check.ok for check in probe(shop.reader)] == [True] * 5

    # Whoever looked at the late pairs and wants them takes them in by a replay.
    assert shop.replay().counts == RowCounts(3, 3)
    rows = lake.read("gold.attributed").select("click_id", "order_id", F.date_format("at", "HH:mm")).collect()
    taken = sorted(tuple(row) for row in rows if row["order_id"] in {"o7", "o9"})
    assert taken == [("c2", "o9", "10:34"), ("c2", "o9", "10:34"), ("c8", "o7", "10:20")]


@pytest.mark.slow
def test_killed_at_any_step_the_same_batch_is_joined(lake: Lake) -> None:
    shop = Shop(lake)
    dying = {
        0: replace(shop.pipeline, source=DyingSource(shop.reader)),
        1: replace(shop.pipeline, lake=DyingLake(lake.spark, lake.root, "after bronze.attributed")),
        2: replace(shop.pipeline, lake=DyingLake(lake.spark, lake.root, "before gold.attributed")),
    }
    for number, pipeline in dying.items():
        shop.clicks(2 * number, CLICKS[number])
        shop.orders(number, ORDERS[number])
        with pytest.raises(KilledError):
            shop.run(pipeline)
        shop.clicks(2 * number + 1, [(f"x{number}", "s1", "10:00")])  # comes between the kill and the next run
        assert shop.run().counts.good == len(GIVEN[number])
        assert shop.bronze(f"_batch_id = {2 * number}  AND _verdict = 'good'") == GIVEN[number]
        assert shop.run().counts == RowCounts(2, 2)  # o1 and o2, however late the click is
    assert shop.bronze("_verdict = 'quarantined'") == LATE
    assert shop.run().outcome == "nothing_new"


@pytest.mark.slow
def test_too_many_partners_are_quarantined_whenever_they_come(lake: Lake) -> None:
    shop = Shop(lake, join={"how": "inner"}, expect={"fan_out": 2})
    shop.clicks(0, [("c1", "s1", "10:00"), ("c2", "s2", "10:00")])
    shop.orders(0, [("o1", "s1", "10:10"), ("o2", "s1", "10:10"), ("o3", "s2", "10:30")])
    assert shop.run().counts == RowCounts(3, 3)
    shop.orders(1, [("o4", "s1", "10:30"), ("o5", "s2", "10:00"), ("o6", "s2", "10:31")])
    assert shop.run().counts == RowCounts(2, 1, 1)
    assert shop.bronze("_verdict = 'quarantined'") == [("c1", "o4")]
    [row] = lake.read("bronze.attributed").where("order_id = 'o4'").select(F.inline("_reasons")).collect()
    assert row["message"] == "session_id: found 3 rows of silver.orders for one of silver.clicks, expected at most 2"


@pytest.mark.slow
def test_a_match_rate_that_is_missed_withdraws_the_batch_until_it_is_met(lake: Lake) -> None:
    shop = Shop(lake, expect={"match_rate": "60%"})
    shop.clicks(0, [("c1", "s1", "10:00"), ("c2", "s2", "10:00"), ("c3", "s3", "11:00")])
    shop.orders(0, [])
    waiting = shop.run()
    assert (waiting.counts, waiting.message.split("; ")[1:]) == (
        RowCounts(), ["no watermark yet, as a side has no row with a time", "no row's time was up"]
    )  # fmt: skip
    shop.orders(1, [("o1", "s1", "10:00"), ("o9", "s9", "11:00")])
    said = r"match_rate \(1 rows\) violated; .* of 2 rows of silver.clicks whose time was up 1 matched \(50.00%\)"
    with pytest.raises(RuleFailedError, match=said):
        shop.run()
    assert shop.bronze("true") == []
    shop.orders(2, [("o2", "s2", "10:01")])  # nothing was given out, so it is not late
    assert shop.run().counts == RowCounts(2, 2)
    assert shop.bronze("true") == [("c1", "o1"), ("c2", "o2")]


def test_what_would_contradict_earlier_batches_is_refused(lake: Lake) -> None:
    shop = Shop(lake)
    shop.clicks(0, CLICKS[0])
    shop.orders(0, ORDERS[0])
    shop.run()
    with pytest.raises(
        ConfigError, match=r"attributed: within of the join was declared otherwise .* stream reset attr"
    ):
        replace(shop, join={"within": {"after": "31m"}}).run()
    changing = lake.read("silver.orders")
    lake.write("silver.changing", changing, mode="append")
    right = {"table": "silver.changing", "event_time": "at", "prefix": "o_", "delay": "10m"}
    with pytest.raises(ConfigError, match=r"attributed: rows of silver.changing may change"):
        replace(shop, join={"right": right}).reader.plan(None, print)


def test_a_table_that_joins_itself_and_gets_a_column(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))
    right = {"table": "silver.clicks", "event_time": "clicked_at", "columns": {"order_id": "click_id"}}
    shop = Shop(lake, join={"right": right, "on": {"session_id": "session_id"}, "how": "inner"})
    shop.clicks(0, [("c1", "s1", "10:00"), ("c2", "s1", "10:10"), ("c2", "s1", "10:10"), ("c3", None, None)])
    assert shop.run().counts == RowCounts(7, 7)
    wider = spark.createDataFrame([(1, "good", "c4", "s1", "new")], "_batch_id long, _verdict string, click_id string, "
                                  "session_id string, extra string")  # fmt: skip
    lake.write(
        "bronze.clicks", wider.withColumn("clicked_at", F.expr("TIMESTAMP '2026-05-01 10:30:00'")), mode="append"
    )
    lake.publish_view("silver.clicks", View("bronze.clicks", 1))
    assert shop.run().counts == RowCounts(4, 4)
    rows = lake.read("gold.attributed").where("order_id = 'c4'").select("click_id", "extra").collect()
    assert sorted((row[0], row[1]) for row in rows) == [("c1", None), ("c2", None), ("c2", None), ("c4", "new")]


DECLARED = {
    "clicks": """
description: Clicks, one row per click
source: {files: drop, pattern: "clicks*", formats: {csv: {}}, fields: [click_id, session_id, clicked_at], settle: 0s}
transforms:
  - cast: {clicked_at: timestamp}
sink: {table: silver.clicks}
""",
    "orders": """
description: Orders, one row per order
source: {files: drop, pattern: "orders*", formats: {csv: {}}, fields: [id, session_id, day], settle: 0s}
transforms:
  - cast: {day: date}
sink: {table: silver.orders}
""",
    "attributed": """
description: Clicks with the orders of the day, one row per pair
source:
  join:
    left: {table: silver.clicks, event_time: clicked_at}
    right: {table: silver.orders, event_time: day, prefix: order_}
    on: {session_id: session_id}
    within: {before: 24h}
sink: {table: gold.attributed}
""",
}


def test_it_runs_after_the_pipelines_that_fill_its_tables(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "conf/base/pipelines").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "drop").mkdir()
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (tmp_path / "conf/base/connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    for name, text in DECLARED.items():
        (tmp_path / f"conf/base/pipelines/{name}.yml").write_text(f"pipeline: {name}{text}")
    (tmp_path / "drop/clicks.csv").write_text(
        "click_id,session_id,clicked_at\nc1,s1,2026-05-01 10:00\nc2,,2026-05-01\nc3,s1,soon\n"
    )
    (tmp_path / "drop/orders.csv").write_text(
        "id,session_id,day\no1,s1,2026-05-01\no2,s1,2026-05-02\no1,s1,2026-05-01\n"
    )
    project = Project(tmp_path / "conf")
    ended = {entry.name: entry for entry in verbs.run(project, [], RunContext("run", "local")).entries}
    assert ended["attributed"].counts == RowCounts(2, 2)
    assert ended["attributed"].message == "2 new rows of silver.clicks and 3 new rows of silver.orders"
    given = Lake(spark, project.lake_root).read("gold.attributed")
    assert given.columns == ["click_id", "session_id", "clicked_at", "order_id", "order_day"]
    texts = [tuple(row) for row in given.select(*(F.col(name).cast("string") for name in given.columns)).collect()]
    assert texts == [("c1", "s1", "2026-05-01 10:00:00", "o1", "2026-05-01")] * 2
    [state] = verbs.find_sources(project, ["attributed"]).states
    assert {check.what: check.said for check in state.checks} == {
        "reachable": "silver.clicks batch 0, silver.orders batch 0",
        "permitted": "both are tables of the lake that only grow",
        "schema": "5 columns: click_id, session_id, clicked_at, order_id, order_day",
        "freshness": "clicked_at of silver.clicks reaches 2026-05-01 10:00:00; day of silver.orders reaches "
        "2026-05-02 00:00:00",
        "volume": "2 rows of silver.clicks, 3 rows of silver.orders",
    }
    assert verbs.run(project, ["attributed"], RunContext("run", "local")).entries[0].outcome == "nothing_new"
