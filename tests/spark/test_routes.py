"""Rows of one pipeline in several tables: which goes where, a kill between two tables, a declaration that changes."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.replay import ReplayReader, Replays, WithReplays
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.tables import Commit, Lake
from lakeloop.lake.views import View
from lakeloop.repair import Bench, examine_pipeline

ORDERS = {"where": "kind = 'order' AND CAST(n AS int) > 0", "table": "silver.orders", "columns": ["id", "n"]}
PEOPLE = {"where": "kind = 'person'", "table": "silver.people", "mode": "merge", "keys": ["id"]}
BIG = {"where": "CAST(n AS int) > 0", "table": "silver.big"}
SINK = {"routes": [ORDERS, PEOPLE, BIG]}
Rows = Counter[tuple[Any, ...]]


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends before or after its write number `at` to a table, counted from 0."""

    at: int = 0
    when: str = "after"
    steps: list[str] = field(default_factory=list)

    def write(self, table: str, frame: DataFrame, **options: Any) -> None:
        with self._step(table):
            super().write(table, frame, **options)

    def publish_view(self, table: str, view: View) -> None:
        with self._step(table):
            super().publish_view(table, view)

    @contextmanager
    def committing(self, table: str, commit: Commit) -> Iterator[None]:
        with self._step("merge"), super().committing(table, commit):
            yield

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.steps.append(name)
        if (len(self.steps) - 1, self.when) == (self.at, "before"):
            raise KilledError(f"before {name}")
        yield
        if (len(self.steps) - 1, self.when) == (self.at, "after"):
            raise KilledError(f"after {name}")


@dataclass(frozen=True)
class Shop:
    """A drop folder, a lake, and the pipeline between them, whose declaration may change from run to run."""

    spark: SparkSession
    folder: Path
    sink: dict[str, Any] = field(default_factory=lambda: SINK)
    declared: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> PipelineSpec:
        source = {"files": "drop", "formats": {"csv": {}}, "fields": ["kind", "id", "n"], "settle": "0s"}
        whole = {"pipeline": "shop", "description": "Shop", "source": source, "sink": self.sink}
        return PipelineSpec.model_validate(whole | self.declared)

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    def run(self, lake: Lake | None = None, replays: Replays | None = None) -> RunEntry:
        spec, lake = self.spec, lake or self.lake
        assert isinstance(spec.source, FilesSource)
        usual = FilesReader(
            self.spark, str(self.folder / "drop"), spec.source, FileCatalog(lake.root, spec.pipeline, "shop")
        )
        source = WithReplays(usual, ReplayReader(lake, spec, replays or Replays(), usual), is_asked=replays is not None)
        return Pipeline(spec, source, lake).run(RunContext("run", "test"), lambda text: None)

    def drop(self, name: str, *lines: str) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        (self.folder / "drop" / name).write_text("\n".join(["kind,id,n", *lines, ""]))

    def rows(self, table: str, *columns: str) -> Rows:
        frame = self.lake.read(table)
        return Counter(tuple(row) for row in frame.select(*(columns or frame.columns)).collect())

    def reasons(self, verdict: str) -> Rows:
        rows = self.lake.read("bronze.shop").where(F.col("_verdict") == verdict)
        return Counter(tuple(row) for row in rows.select("id", F.inline("_reasons")).select("id", "rule").collect())


LINES = [
    "order,o1,1", "order,o1,1", "order,o2,-1", "order,o3,many", ",o4,7",
    "person,p,1", "person,,2", "person,q,x", "person,q,y", "order,,",
]  # fmt: skip


def test_the_first_condition_that_is_true_takes_the_row(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", *LINES)
    entry = shop.run()
    # o2, o3 and the last order fulfil no condition: their number is negative, none, or fails to be one.
    assert entry.counts == RowCounts(read=10, good=4, quarantined=6)
    assert (entry.table, entry.by_table) == (
        "silver.orders, silver.people, silver.big", {"silver.orders": 2, "silver.people": 1, "silver.big": 1},
    )  # fmt: skip
    assert entry.message == "1 new file; 2 to silver.orders, 1 to silver.people, 1 to silver.big"
    assert shop.rows("silver.orders") == Counter({("o1", "1"): 2})
    assert shop.rows("silver.people") == Counter({("person", "p", "1"): 1})
    assert shop.rows("silver.big") == Counter({(None, "o4", "7"): 1})
    assert shop.reasons("quarantined") == Counter({
        ("o2", "no_route"): 1, ("o3", "no_route"): 1, (None, "no_route"): 1,
        (None, "silver.people_id_is_not_null"): 1, ("q", "silver.people_id_is_unique"): 2,
    })  # fmt: skip
    results = shop.lake.read("ops.rule_results").where("violations > 0").select("rule", "severity", "violations")
    assert Counter(tuple(row) for row in results.collect()) == Counter([
        ("no_route", "error", 3), ("silver.people_id_is_not_null", "error", 1),
        ("silver.people_id_is_unique", "error", 2),
    ])  # fmt: skip


@pytest.mark.slow
def test_a_kill_between_two_tables_is_resumed_exactly(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("0.csv", "order,o,1", "person,p,1", ",b,1")
    shop.run()
    kills = [(step, when) for step in range(4) for when in ("before", "after")]
    for number, (step, when) in enumerate(kills, start=1):
        shop.drop(f"{number}.csv", f"order,o,{number}", f"person,p,{number}", f",b,{number}", f"person,n{number},0")
        dying = DyingLake(spark, shop.lake.root, step, when)
        with pytest.raises(KilledError):
            shop.run(dying)
        assert dying.steps == ["bronze.shop", "silver.orders", "merge", "silver.big"][: step + 1]
        resumed = shop.run()
        assert (resumed.batch_id, resumed.counts) == (number, RowCounts(read=4, good=4)), (step, when)
        assert resumed.by_table == {"silver.orders": 1, "silver.people": 2, "silver.big": 1}
        assert shop.run().outcome == "nothing_new"
        upto = range(number + 1)
        assert shop.rows("silver.orders", "n") == Counter((str(n) if n else "1",) for n in upto), (step, when)
        assert shop.rows("silver.big", "n") == Counter((str(n) if n else "1",) for n in upto), (step, when)
        people = Counter([("p", str(number)), *((f"n{n}", "0") for n in upto if n)])
        assert shop.rows("silver.people", "id", "n") == people, (step, when)
    merges = [commit for commit in shop.lake.handle("silver.people").history().collect() if commit["userMetadata"]]
    assert len({commit["userMetadata"] for commit in merges}) == len(kills) + 1


@pytest.mark.slow
def test_a_replayed_row_takes_the_route_of_today(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", "order,a,1", "refund,r,", "refund,s,")
    assert shop.run().counts == RowCounts(read=3, good=1, quarantined=2)
    assert shop.run(replays=Replays()).counts == RowCounts(read=2, quarantined=2)
    assert shop.run(replays=Replays()).outcome == "nothing_new"  # the same declaration has judged them already
    refunds = {"where": "kind = 'refund' AND id = 'r'", "table": "silver.refunds"}
    now = replace(shop, sink={"routes": [*SINK["routes"], refunds], "otherwise": "silver.rest"})
    assert now.run(replays=Replays()).by_table == {
        "silver.orders": 0, "silver.people": 0, "silver.big": 0, "silver.refunds": 1, "silver.rest": 1,
    }  # fmt: skip
    assert now.rows("silver.refunds") == Counter({("refund", "r", None): 1})
    assert now.rows("silver.rest") == Counter({("refund", "s", None): 1})
    assert now.rows("silver.orders") == Counter({("a", "1"): 1})


def test_what_no_route_takes_is_dropped_where_that_is_declared(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"is_in": {"column": "id", "values": ["a", "b"], "filter": "_route = 'silver.orders'", "name": "known"}}]
    cast = [{"cast": {"n": "int"}}]
    routes = [{"where": "n > 0", "table": "silver.orders"}]
    shop = Shop(spark, tmp_path, {"routes": routes, "otherwise": "drop"}, {"rules": rules, "transforms": cast})
    # Of z the rule knows nothing, since its route is another one; whether n is positive is not known of a bad one.
    shop.drop("1.csv", "x,a,1", "x,c,2", "x,z,0", "x,b,many", ",,")
    assert shop.run().counts == RowCounts(read=5, good=1, quarantined=2, dropped=2)
    assert shop.reasons("quarantined") == Counter({("c", "known"): 1, ("b", "n_is_castable"): 1})
    assert shop.reasons("dropped") == Counter({("z", "no_route"): 1, (None, "no_route"): 1})
    originals = shop.lake.read("bronze.shop").where("_verdict = 'dropped'").select("_original").collect()
    assert sorted(row[0] for row in originals) == [",,", "x,z,0"]


def test_rows_keep_the_route_that_they_were_recorded_with(spark: SparkSession, tmp_path: Path) -> None:
    alone = Shop(spark, tmp_path, {"table": "silver.big"})
    alone.drop("1.csv", "order,a,1")
    alone.run()
    alone.drop("2.csv", "order,b,1", "person,p,1")
    routed = replace(alone, sink=SINK)
    with pytest.raises(TableError, match=r"silver\.big shows every good row of bronze\.shop, .* another name"):
        routed.run()
    elsewhere = replace(alone, sink={"routes": [ORDERS], "otherwise": "silver.rest"})
    with pytest.raises(KilledError):
        elsewhere.run(DyingLake(spark, elsewhere.lake.root, at=0))
    shrunk = replace(alone, sink={"routes": [ORDERS]})
    with pytest.raises(TableError, match=r"no route takes any more \(1 for silver\.rest\); declare the sink as it was"):
        shrunk.run()
    assert elsewhere.run().counts == RowCounts(read=2, good=2)
    assert elsewhere.rows("silver.big", "id") == Counter({("a",): 1})
    assert elsewhere.rows("silver.orders", "id") == Counter({("b",): 1})
    assert elsewhere.rows("silver.rest", "id") == Counter({("p",): 1})


def test_a_table_that_is_lost_is_made_anew_of_its_own_rows(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", "order,o,1", "person,p,1")
    shop.run()
    shop.drop("2.csv", "order,o,2")
    shop.run()
    shutil.rmtree(f"{shop.lake.root}/silver/people")
    Path(shop.lake.root, "silver/orders/_view.json").unlink()
    bench = Bench(shop.lake.root, RunContext("repair", "test"), False)
    found = list(examine_pipeline(bench, shop.spec, str(tmp_path / "drop"), lambda: shop.lake))
    assert [(each.table, each.state) for each in found] == [("silver.orders", "mended"), ("silver.people", "mended")]
    assert shop.rows("silver.people") == Counter({("person", "p", "1"): 1})
    assert shop.rows("silver.orders") == Counter({("o", "1"): 1, ("o", "2"): 1})
    assert list(examine_pipeline(bench, shop.spec, str(tmp_path / "drop"), lambda: shop.lake)) == []


def test_routes_that_replace_their_tables_replace_all_of_them(spark: SparkSession, tmp_path: Path) -> None:
    routes = [{"where": "kind = 'order'", "table": "silver.orders", "mode": "overwrite"}]
    shop = Shop(spark, tmp_path, {"routes": routes, "otherwise": "silver.rest"})
    shop.drop("1.csv", "order,a,1", ",b,2")
    assert shop.run().by_table == {"silver.orders": 1, "silver.rest": 1}
    shop.drop("2.csv", ",c,3")
    assert shop.run().by_table == {"silver.orders": 0, "silver.rest": 1}
    assert shop.rows("silver.orders", "id") == Counter()
    assert shop.rows("silver.rest", "id") == Counter({("c",): 1})


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ({"where": "knd = 'a'", "table": "silver.a"}, r"the route to silver\.a: .*knd"),
        ({"where": "kind", "table": "silver.a"}, r"the route to silver\.a: .*BOOLEAN"),
        ({"where": "kind = 'a'", "table": "silver.a", "columns": ["idd"]}, r"no column 'idd' for silver\.a; .*'id'"),
    ],
)
def test_a_route_that_does_not_fit_the_rows_is_named(
    spark: SparkSession, tmp_path: Path, route: dict[str, Any], words: str
) -> None:
    shop = Shop(spark, tmp_path, {"routes": [BIG, route]})
    shop.drop("1.csv", "a,b,1")
    with pytest.raises(TableError, match=words):
        shop.run()
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
