"""Whole batches on a lake of their own: what adds up, what a kill at any step leaves, what is taken back."""

import json
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

from lakeloop.core.errors import AccountingError, DamageError, EngineError, RuleFailedError, SourceError, TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.recording import Recorder
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress, Source
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.tables import Commit, Lake
from lakeloop.lake.views import View

APPEND = {"table": "silver.orders"}
HISTORY = {"table": "silver.orders", "mode": "merge", "keys": ["id"], "sequence_by": "at", "history": "scd2"}


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends before or after the commit to `table`, whichever of the two is in `when`."""

    table: str = ""
    when: str = ""

    def write(self, table: str, frame: DataFrame, **options: Any) -> None:
        self._die(table, "before")
        super().write(table, frame, **options)
        self._die(table, "after")

    def publish_view(self, table: str, view: View) -> None:
        self._die(table, "before")
        super().publish_view(table, view)
        self._die(table, "after")

    @contextmanager
    def committing(self, table: str, commit: Commit) -> Iterator[None]:
        self._die(table, "before")
        with super().committing(table, commit):
            yield
        self._die(table, "after")

    def _die(self, table: str, when: str) -> None:
        if (table, when) == (self.table, self.when):
            raise KilledError(f"{when} the commit to {table}")


@dataclass(frozen=True)
class DyingSource:
    """A source whose process ends in the method named `at`."""

    source: Source
    at: str

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        return self.source.plan(last, progress)

    def read(self, plan: Plan) -> Extract:
        if self.at == "read":
            raise KilledError("while reading")
        return self.source.read(plan)

    def finish(self, ended: Ended) -> None:
        if self.at == "before finish":
            raise KilledError("before the files are noted")
        self.source.finish(ended)
        if self.at == "after finish":
            raise KilledError("after the files were noted")

    def release(self, plan: Plan) -> None:
        if self.at == "release":
            raise KilledError("while releasing")


@dataclass(frozen=True)
class Shop:
    """A drop folder of orders, a lake, and the pipeline between them."""

    spark: SparkSession
    folder: Path
    declared: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> PipelineSpec:
        fields = ["id", "at", "amount"]
        source = {"files": "drop", "formats": {"csv": {}}, "fields": fields, "settle": "0s"}
        transforms = [{"cast": {"at": "timestamp", "amount": "int"}}, {"dedupe": {"keys": ["id"], "latest_by": "at"}}]
        rules = [{"is_not_null": "id"}, {"is_in_range": {"column": "amount", "min": 0}}]
        return PipelineSpec.model_validate(
            {"pipeline": "orders", "description": "Orders", "source": source, "transforms": transforms, "rules": rules}
            | {"sink": APPEND}
            | self.declared
        )

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    @property
    def pipeline(self) -> Pipeline:
        spec = self.spec
        assert isinstance(spec.source, FilesSource)
        catalog = FileCatalog(self.lake.root, spec.pipeline, "shop")
        return Pipeline(spec, FilesReader(self.spark, str(self.folder / "drop"), spec.source, catalog), self.lake)

    def drop(self, name: str, *lines: str) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        (self.folder / "drop" / name).write_text("\n".join(["id,at,amount", *lines, ""]))

    def run(self, pipeline: Pipeline | None = None) -> RunEntry:
        return (pipeline or self.pipeline).run(RunContext("run", "test"), lambda text: None)

    def silver(self) -> Counter[tuple[str, int]]:
        return Counter((row["id"], row["amount"]) for row in self.lake.read("silver.orders").collect())

    def bronze(self) -> Counter[tuple[str, str]]:
        return Counter((row["id"], row["_verdict"]) for row in self.lake.read("bronze.orders").collect())

    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in Ledger(self.lake.root).runs(100)]


def committed_by(lake: Lake, table: str) -> set[tuple[str, int]]:
    """Who wrote a table by its log: the writer of the pipeline's ledger, and the number of the batch."""
    log = Path(lake.path(table)) / "_delta_log"
    actions = [json.loads(line) for commit in log.glob("*.json") for line in commit.read_text().splitlines()]
    return {(each["txn"]["appId"], each["txn"]["version"]) for each in actions if "txn" in each}


DAY = "2026-01-01"


def test_counts_add_up_and_a_second_run_finds_nothing(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop(
        "1.csv", f"a,{DAY},1", f"a,{DAY} 10:00,2", f",{DAY},3", f"b,{DAY},-4", "c,soon,5", f"d,{DAY}", f"e,{DAY},6"
    )
    entry = shop.run()
    assert entry.counts == RowCounts(read=7, good=2, quarantined=4, dropped=1)
    assert (entry.outcome, entry.batch_id, entry.message) == ("succeeded", 0, "1 new file")
    assert shop.silver() == Counter({("a", 2): 1, ("e", 6): 1})
    bronze = shop.lake.read("bronze.orders")
    bad = bronze.where("_verdict != 'good'").select("_position.record", "_verdict", F.inline("_reasons"), "_original")
    assert sorted(tuple(row) for row in bad.collect()) == [
        (2, "dropped", "dedupe", "another row of this key was kept", f"a,{DAY},1"),
        (4, "quarantined", "id_is_not_null", "id: found NULL, expected a value", f",{DAY},3"),
        (5, "quarantined", "amount_is_in_range", "amount: found -4, expected a number from 0 to ∞", f"b,{DAY},-4"),
        (6, "quarantined", "at_is_castable", "at: found soon, expected a timestamp", "c,soon,5"),
        (7, "quarantined", "malformed", "the line does not have the 3 cells of the header", f"d,{DAY}"),
    ]
    assert {row["_original"] for row in bronze.where("_verdict = 'good'").collect()} == {None}
    violations = {row["rule"]: row["violations"] for row in shop.lake.read("ops.rule_results").collect()}
    assert {rule: rows for rule, rows in violations.items() if rows} == {
        "id_is_not_null": 1, "amount_is_in_range": 1, "at_is_castable": 1, "malformed": 1
    }  # fmt: skip

    version = shop.lake.version("bronze.orders")
    assert shop.run().outcome == "nothing_new"
    assert shop.lake.version("bronze.orders") == version
    shop.drop("2.csv", f"f,{DAY},7")
    assert shop.run().counts == RowCounts(read=1, good=1)
    assert sum(shop.bronze().values()) == 8
    assert shop.outcomes() == ["succeeded", "nothing_new", "succeeded"]


def killed_at(shop: Shop, step: str) -> Pipeline:
    """The pipeline of a process that ends at this step."""
    pipeline = shop.pipeline
    if step in ("read", "before finish", "after finish", "release"):
        return replace(pipeline, source=DyingSource(pipeline.source, step))
    when, table = step.split()
    return replace(pipeline, lake=DyingLake(spark=shop.spark, root=shop.lake.root, table=table, when=when))


STEPS = [
    "read",
    "before bronze.orders",
    "after bronze.orders",
    "before silver.orders",
    "after silver.orders",
    "before finish",
    "after finish",
    "release",
]


def test_killed_at_any_step_nothing_is_lost_and_nothing_comes_twice(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    expected: Counter[tuple[str, str]] = Counter()
    for number, step in enumerate(STEPS):
        shop.drop(f"{number}.csv", f"{step},{DAY},{number}", f"{step},{DAY},{number}", f"{step},2025-12-31,-1")
        expected += Counter({(step, "good"): 1, (step, "dropped"): 2})
        with pytest.raises(KilledError):
            shop.run(killed_at(shop, step))
        shop.drop(f"{number}_late.csv", f"late {number},{DAY},-1")  # comes between the kill and the next run
        finishing = shop.run()
        if step != "release":
            assert (finishing.batch_id, finishing.counts) == (2 * number, RowCounts(read=3, good=1, dropped=2)), step
            finishing = shop.run()
        assert finishing.counts == RowCounts(read=1, quarantined=1), step
        expected += Counter({(f"late {number}", "quarantined"): 1})
        assert shop.run().outcome == "nothing_new"
        assert shop.bronze() == expected, step
        assert shop.silver() == Counter({(name, n): 1 for n, name in enumerate(STEPS[: number + 1])}), step


@pytest.mark.parametrize("step", ["after bronze.orders", "before silver.orders", "after silver.orders"])
def test_a_killed_merge_is_merged_once(spark: SparkSession, tmp_path: Path, step: str) -> None:
    shop = Shop(spark, tmp_path, {"sink": HISTORY})
    shop.drop("1.csv", f"a,{DAY},1")
    shop.run()
    shop.drop("2.csv", "a,2026-01-02,2", "b,2026-01-02,1")
    with pytest.raises(KilledError):
        shop.run(killed_at(shop, step))
    shop.run()
    assert shop.run().outcome == "nothing_new"
    planned = {(row["writer"], row["batch_id"]) for row in read_rows(shop.lake.root, "ops.batches")}
    for table in ("bronze.orders", "silver.orders"):
        assert committed_by(shop.lake, table) == planned
    rows = shop.lake.read("silver.orders").select("id", "amount", "is_current", F.col("end_time").isNull()).collect()
    assert sorted(tuple(row) for row in rows) == [
        ("a", 1, False, False), ("a", 2, True, True), ("b", 1, True, True)
    ]  # fmt: skip


STRICT = {"rules": [{"is_in_range": {"column": "amount", "min": 0, "severity": "fail"}}]}


def test_a_rule_of_severity_fail_withdraws_the_batch_and_it_is_read_again(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, STRICT)
    shop.drop("1.csv", f"a,{DAY},1")
    shop.run()
    shop.drop("2.csv", f"b,{DAY},2", f"c,{DAY},-3")
    for _ in range(2):
        with pytest.raises(RuleFailedError, match=r"amount_is_in_range \(1 rows\) violated, so silver.orders was not"):
            shop.run()
        assert shop.silver() == Counter({("a", 1): 1})
        assert shop.bronze() == Counter({("a", "good"): 1})
    shop.drop("2.csv", f"b,{DAY},2", f"c,{DAY},3")
    assert shop.run().counts == RowCounts(read=2, good=2)
    assert shop.silver() == Counter({("a", 1): 1, ("b", 2): 1, ("c", 3): 1})
    assert shop.outcomes() == ["succeeded", "withdrawn", "withdrawn", "succeeded"]


def test_a_failing_batch_killed_after_bronze_is_withdrawn_by_the_next_run(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, STRICT)
    shop.drop("1.csv", f"b,{DAY},2", f"c,{DAY},-3")
    with pytest.raises(KilledError):
        shop.run(killed_at(shop, "after bronze.orders"))
    with pytest.raises(RuleFailedError):
        shop.run()
    assert shop.bronze() == Counter()
    assert not shop.lake.exists("silver.orders")


@dataclass(frozen=True)
class Losing:
    """Stands for a transform with a fault: it leaves rows out."""

    dedupe: None = None
    root: tuple[str, ...] = ()

    @property
    def step(self) -> "Losing":
        return self

    def apply(self, conformed: Conformed) -> Conformed:
        return Conformed(conformed.frame.where("amount != '2'"), conformed.findings)


def losing(pipeline: Pipeline) -> Pipeline:
    return replace(pipeline, spec=pipeline.spec.model_copy(update={"transforms": (Losing(),)}))


def test_a_transform_that_loses_rows_is_found_out(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"a,{DAY},1", f"b,{DAY},2", f"c,{DAY},3")
    with pytest.raises(
        AccountingError, match=r"batch 0 was withdrawn: 3 rows were read, but 2 are good, 0 quarantined"
    ):
        shop.run(losing(shop.pipeline))
    assert not shop.lake.exists("silver.orders")
    assert shop.bronze() == Counter()
    assert shop.run().counts == RowCounts(read=3, good=3)


def test_a_loss_is_found_out_by_the_run_that_finishes_a_killed_one(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"a,{DAY},1", f"b,{DAY},2")
    with pytest.raises(KilledError):
        shop.run(losing(killed_at(shop, "after bronze.orders")))
    with pytest.raises(AccountingError):
        shop.run(losing(shop.pipeline))


def test_errors_of_the_source_are_recorded_and_the_same_batch_is_tried_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = Shop(spark, tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        shop.run()
    shop.drop("1.csv", f"a,{DAY},1")
    wrong = replace(shop, declared={"transforms": [{"trim": ["ident"]}]})
    with pytest.raises(TableError, match="trim: no column 'ident'"):
        wrong.run()
    assert shop.run().counts == RowCounts(read=1, good=1)
    entries = Ledger(shop.lake.root).runs(9)
    assert [(row["outcome"], row["batch_id"]) for row in entries] == [("failed", None), ("failed", 0), ("succeeded", 0)]
    assert "no column 'ident'" in entries[1]["message"]


@pytest.mark.parametrize("sink", [APPEND, HISTORY])
def test_a_table_has_one_pipeline_whatever_another_project_declares(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any]
) -> None:
    shop = Shop(spark, tmp_path, {"sink": sink})
    shop.drop("1.csv", f"a,{DAY},1")
    shop.run()
    other = Shop(spark, tmp_path, {"sink": sink, "pipeline": "returns"})
    with pytest.raises(
        TableError, match=r"silver\.orders is written by the pipeline orders, and a table has one; name"
    ):
        other.run()
    shop.drop("2.csv", f"b,{DAY},2")
    assert shop.run().counts.read == 1
    assert shop.silver() == Counter({("a", 1): 1, ("b", 2): 1})


def test_a_table_of_somebody_else_is_not_taken_over(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"a,{DAY},1")
    theirs = "SELECT 'x' AS id, array(1) AS at, 1 AS amount"
    spark.sql(theirs).write.format("delta").save(shop.lake.path("silver.orders"))
    with pytest.raises(TableError, match=r"silver\.orders exists and has rows of its own"):
        shop.run()
    # A merge goes into it, where the types fit.
    merging = replace(shop, declared={"sink": {"table": "silver.orders", "mode": "merge", "keys": ["id"]}})
    with pytest.raises(EngineError, match="orders: Spark refuses the batch"):
        merging.run()
    assert shop.outcomes() == ["failed", "failed"]
    elsewhere = replace(shop, declared={"sink": {"table": "silver.other"}})
    assert elsewhere.run().counts == RowCounts(read=1, good=1)


def test_a_view_shows_no_batch_before_it_is_accepted(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"a,{DAY},1")
    shop.run()
    shop.drop("2.csv", f"b,{DAY},2")
    with pytest.raises(KilledError):
        shop.run(killed_at(shop, "before silver.orders"))
    assert shop.bronze() == Counter({("a", "good"): 1, ("b", "good"): 1})
    assert shop.silver() == Counter({("a", 1): 1})
    shop.run()
    assert shop.silver() == Counter({("a", 1): 1, ("b", 2): 1})
    assert shop.lake.read("silver.orders").columns == ["id", "at", "amount"]


def test_a_lost_ledger_is_named_before_anything_is_read(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    for number in (1, 2):
        shop.drop(f"{number}.csv", f"{number},{DAY},{number}")
        shop.run()
    for table in ("batches", "runs"):
        shutil.rmtree(tmp_path / "lake/ops" / table)
    shop.drop("3.csv", f"3,{DAY},3")
    with pytest.raises(DamageError, match=r"bronze\.orders has batches, but ops\.batches knows none"):
        shop.run()
    assert shop.silver() == Counter({(str(n), n): 1 for n in (1, 2)})


def test_a_cast_that_is_declared_anew_is_refused_in_words(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"a,{DAY},1")
    shop.run()
    shop.drop("2.csv", f"b,{DAY},2")
    with pytest.raises(TableError, match="the transforms make amount a double, but the table has it as int since"):
        replace(shop, declared={"transforms": [{"cast": {"at": "timestamp", "amount": "double"}}]}).run()
    assert shop.run().counts == RowCounts(read=1, good=1)


def test_files_without_a_row_make_an_empty_batch(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("header.csv")
    (tmp_path / "drop/empty.csv").touch()
    entry = shop.run()
    assert (entry.counts, entry.message) == (RowCounts(), "2 new files, 1 empty")
    assert shop.run().outcome == "nothing_new"


def test_null_merge_keys_never_reach_the_sink(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"is_not_null": {"column": "id", "severity": "warn"}}]
    sink = {"table": "silver.orders", "mode": "merge", "keys": ["id"]}
    shop = Shop(spark, tmp_path, {"sink": sink, "rules": rules, "transforms": []})
    shop.drop("1.csv", f",{DAY},1", f"a,{DAY},2", f"b,{DAY},3", f"b,{DAY},4")
    assert shop.run().counts == RowCounts(read=4, good=1, quarantined=3)
    assert [row["id"] for row in shop.lake.read("silver.orders").collect()] == ["a"]


AGAINST = [{"cast": {"at": "timestamp", "amount": "int"}}, {"dedupe": {"keys": ["id", "at"], "against": "table"}}]


@pytest.mark.parametrize("step", ["before bronze.orders", "after bronze.orders", "after silver.orders"])
def test_what_the_table_holds_is_not_taken_again(spark: SparkSession, tmp_path: Path, step: str) -> None:
    shop = Shop(spark, tmp_path, {"transforms": AGAINST})
    shop.drop("1.csv", f"a,{DAY},1", f"b,{DAY},-1", f"c,{DAY},3")
    assert shop.run().counts == RowCounts(read=3, good=2, quarantined=1)
    shop.drop("2.csv", f"a,{DAY},1", f"b,{DAY},2", "a,2026-01-02,1", f"d,{DAY},4", f"d,{DAY},4")
    with pytest.raises(KilledError):
        shop.run(killed_at(shop, step))
    # The batch that is repeated does not take its own rows for duplicates; b was not good the first time.
    assert shop.run().counts == RowCounts(read=5, good=3, dropped=2)
    assert shop.silver() == Counter({("a", 1): 2, ("b", 2): 1, ("c", 3): 1, ("d", 4): 1})
    reasons = shop.lake.read("bronze.orders").where("_verdict = 'dropped'").select("id", F.inline("_reasons")).collect()
    assert sorted(tuple(row) for row in reasons) == [
        ("a", "dedupe", "a row of this key is in the table already"),
        ("d", "dedupe", "another row of this key was kept"),
    ]


def test_figures_of_the_batch_do_not_upset_the_accounts(spark: SparkSession, tmp_path: Path) -> None:
    steps = [{"cast": {"at": "timestamp", "amount": "int"}}, {"impute": {"amount": "median", "at": "mode"}}]
    shop = Shop(spark, tmp_path, {"transforms": steps})
    shop.drop("1.csv", f"a,{DAY},1", f"b,{DAY},", "c,,9", f"d,{DAY},x")
    assert shop.run().counts == RowCounts(read=4, good=3, quarantined=1)
    assert shop.silver() == Counter({("a", 1): 1, ("b", 5): 1, ("c", 9): 1})
    shop.drop("2.csv", f"e,{DAY},2", "f,,")
    assert shop.run().counts == RowCounts(read=2, good=2)
    shop.drop("3.csv")
    assert shop.run().counts == RowCounts()


def test_a_batch_that_is_conformed_again_does_not_meet_itself(spark: SparkSession, tmp_path: Path) -> None:
    """Its rows may stand in bronze already, when the history that would say so has been cleaned away."""
    shop = Shop(spark, tmp_path, {"transforms": AGAINST})
    for number in (1, 2):
        shop.drop(f"{number}.csv", f"{number},{DAY},1")
        shop.run()
    second = Ledger(shop.lake.root).history("orders").last
    assert second is not None
    rows = spark.createDataFrame([("1", DAY, "1"), ("2", DAY, "1")], "id string, at string, amount string")
    recorder = Recorder(shop.spec, shop.pipeline.source, shop.lake)
    conformed = recorder._conformed(Conformed(rows), None, second).frame
    assert {row["id"]: row["_dropped"] for row in conformed.collect()} == {"1": True, "2": False}
