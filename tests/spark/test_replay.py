"""Quarantined rows that come back: from each form of original, into each kind of sink, through a kill at any step."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import ConfigError, RuleFailedError, TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract, Progress, Source
from lakeloop.ingestion.sources.replay import ReplayReader, Replays, WithReplays
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import Plan, RunEntry
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.quarantine import Chosen, Quarantine
from lakeloop.lake.quarantine_decisions import QUARANTINE
from lakeloop.lake.tables import Commit, Lake
from lakeloop.lake.views import View

DAY = "2026-01-01"
APPEND = {"table": "silver.orders"}
LATEST = {"table": "silver.orders", "mode": "merge", "keys": ["id"], "sequence_by": "at"}
HISTORY = LATEST | {"history": "scd2"}
CAST = [{"cast": {"at": "timestamp", "amount": "int"}}]
STRICT, RELAXED = ([{"is_in_range": {"column": "amount", "min": least}}] for least in (0, -10))


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
    """A source whose process ends in the step `at`."""

    source: Source
    at: str

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        plan = self.source.plan(last, progress)
        if self.at == "plan":
            raise KilledError("before the batch is in the ledger")
        return plan

    def read(self, plan: Plan) -> Extract:
        if self.at == "read":
            raise KilledError("while reading")
        return self.source.read(plan)

    def finish(self, ended: Ended) -> None:
        if self.at == "before finish":
            raise KilledError("before the decisions")
        self.source.finish(ended)
        if self.at == "after finish":
            raise KilledError("after the decisions")

    def release(self, plan: Plan) -> None:
        if self.at == "release":
            raise KilledError("while releasing")
        self.source.release(plan)


@dataclass(frozen=True)
class Shop:
    """A drop folder of orders, a lake, and the pipeline between them, whose declaration changes from run to run."""

    spark: SparkSession
    folder: Path
    declared: dict[str, Any] = field(default_factory=dict)
    formats: dict[str, Any] = field(default_factory=lambda: {"csv": {}})

    @property
    def spec(self) -> PipelineSpec:
        source = {"files": "drop", "formats": self.formats, "fields": ["id", "at", "amount"], "settle": "0s"}
        whole = {"pipeline": "orders", "description": "Orders", "source": source, "transforms": CAST, "rules": STRICT}
        return PipelineSpec.model_validate(whole | {"sink": APPEND} | self.declared)

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    def usual(self) -> Source:
        spec = self.spec
        assert isinstance(spec.source, FilesSource)
        catalog = FileCatalog(self.lake.root, spec.pipeline, "shop")
        return FilesReader(self.spark, str(self.folder / "drop"), spec.source, catalog)

    def pipeline(self, asked: Replays | None = None) -> Pipeline:
        replays = ReplayReader(self.lake, self.spec, asked or Replays())
        return Pipeline(self.spec, WithReplays(self.usual(), replays, is_asked=asked is not None), self.lake)

    def drop(self, name: str, text: str) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        (self.folder / "drop" / name).write_text(text)

    def run(self, pipeline: Pipeline | None = None) -> RunEntry:
        return (pipeline or self.pipeline()).run(RunContext("run", "test"), lambda text: None)

    def replay(self, chosen: Chosen | None = None, *, again: bool = False) -> RunEntry:
        return self.run(self.pipeline(Replays(chosen or Chosen(), "they are right", again)))

    def silver(self) -> Counter[tuple[str, int]]:
        return Counter((row["id"], row["amount"]) for row in self.lake.read("silver.orders").collect())

    def open(self) -> Counter[str | None]:
        """The texts of open rows, as people without Spark see them."""
        rows = Quarantine(self.lake.root, "orders").open_rows(Chosen(), 1000)
        return Counter(row["original"] for batch in rows for row in batch.to_pylist())

    def decisions(self) -> list[dict[str, Any]]:
        return read_rows(self.lake.root, QUARANTINE)


def relaxed(shop: Shop) -> Shop:
    return replace(shop, declared=shop.declared | {"rules": RELAXED})


def csv(*lines: str) -> str:
    return "\n".join(["id,at,amount", *lines, ""])


def test_rows_come_back_when_the_rule_is_relaxed(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    # Two lines are alike, one amount is missing, one is beyond any rule, and one line is torn.
    shop.drop("1.csv", csv(f"a,{DAY},1", f"b,{DAY},-2", f"b,{DAY},-2", f"c,{DAY},", f"d,{DAY},-99", f"e,{DAY}"))
    assert shop.run().counts == RowCounts(read=6, good=2, quarantined=4)
    before = shop.lake.read("bronze.orders").where("_batch_id = 0").collect()

    entry = relaxed(shop).replay()
    assert (entry.counts, entry.batch_id) == (RowCounts(read=4, good=2, quarantined=2), 1)
    assert entry.message == "4 quarantined rows replayed"
    assert shop.silver() == Counter({("a", 1): 1, ("b", -2): 2, ("c", None): 1})
    assert shop.open() == Counter([f"d,{DAY},-99", f"e,{DAY}"])
    # The record of the first batch stands as it was, and each row of the second stands where its line does.
    assert sorted(shop.lake.read("bronze.orders").where("_batch_id = 0").collect()) == sorted(before)
    places = shop.lake.read("bronze.orders").where("_batch_id = 1").select("id", "_position.record", "_verdict")
    assert sorted(map(tuple, places.collect()), key=lambda row: row[1]) == [
        ("b", 3, "good"), ("b", 4, "good"), ("d", 6, "quarantined"), ("e", 7, "quarantined")
    ]  # fmt: skip
    assert {(row["status"], row["why"], row["batch_id"], row["replayed_to"]) for row in shop.decisions()} == {
        ("replayed", "they are right", 0, 1)
    }
    assert sorted(row["record"] for row in shop.decisions()) == [3, 4, 6, 7]
    # Nothing has changed, so the two that are bad again are not judged a third time, unless somebody insists.
    assert relaxed(shop).replay().outcome == "nothing_new"
    assert relaxed(shop).run().outcome == "nothing_new"
    assert relaxed(shop).replay(again=True).counts == RowCounts(read=2, quarantined=2)
    assert sum(shop.open().values()) == 2
    assert list((tmp_path / "lake/_landing/orders").iterdir()) == []


def test_reason_and_origin_choose_and_the_header_of_a_later_file_does_not_mislead(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},-1", f"b,{DAY}"))
    shop.drop("2.csv", f"amount,at,id\n-2,{DAY},c\n")
    assert shop.run().counts == RowCounts(read=3, quarantined=3)
    shop.drop("2.csv", f"at,id,amount\n{DAY},d,4\n{DAY},e,-5\n")  # the same name, another order of columns
    shop.run()
    lenient = relaxed(shop)
    assert lenient.replay(Chosen(rule="amount_is_in_range", origin=str(tmp_path / "drop/1.csv"))).counts.good == 1
    assert shop.silver() == Counter({("d", 4): 1, ("a", -1): 1})
    assert lenient.replay(Chosen(origin=str(tmp_path / "drop/2.csv"))).counts == RowCounts(read=2, good=2)
    assert shop.silver() == Counter({("d", 4): 1, ("a", -1): 1, ("c", -2): 1, ("e", -5): 1})
    assert lenient.replay(Chosen(rule="no such rule")).outcome == "nothing_new"
    assert shop.open() == Counter([f"b,{DAY}"])


def test_a_row_that_was_replayed_before_keeps_the_header_of_its_file(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"amount,at,id\n-20,{DAY},a\n")
    shop.run()
    assert relaxed(shop).replay().counts == RowCounts(read=1, quarantined=1)
    lenient = replace(shop, declared={"rules": []})
    assert lenient.replay().counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("a", -20): 1})
    assert [row["root_batch_id"] for row in shop.decisions()] == [0, 0]


def test_a_delimiter_that_is_mended_divides_header_and_rows_anew(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"id;at;amount\na;{DAY};1\nb;{DAY};2\n")
    assert shop.run().counts == RowCounts(read=2, quarantined=2)
    mended = replace(shop, formats={"csv": {"delimiter": ";"}})
    assert mended.replay().counts == RowCounts(read=2, good=2)
    assert shop.silver() == Counter({("a", 1): 1, ("b", 2): 1})


TEXTS: dict[str, str] = {
    "1.jsonl": f'{{"id": "lines", "at": "{DAY}", "amount": -2, "more": 1}}\n{{"id": "cut\n[{{"id": "x"}}]\n',
    "1.json": f'[{{"id": "array", "at": "{DAY}", "amount": -2}}, [{{"id": "x"}}], 7]',
    "1.xml": f'<all xmlns:n="n"><o><id>xml</id><n:at>{DAY}</n:at><amount>-2</amount></o>\n<o><id>c</id></all>',
    "1.txt": f"top\nfixed {DAY} -2\nlonger than all the fields are\nc\n",
    "1.csv": csv(f'é,"{DAY}",-2', f'c,{DAY},"-2\nx"', f"d,{DAY}"),
}
FORMATS = {
    "jsonl": {},
    "json_array": {},
    "xml": {"row_tag": "o"},
    "fixed_width": {"widths": {"id": 6, "at": 11, "amount": 3}, "skip_lines": 1},
    "csv": {"encoding": "latin-1", "multiline": True},
}  # fmt: skip


def test_each_form_of_text_is_parsed_as_it_was(spark: SparkSession, tmp_path: Path) -> None:
    """Of each form one row is refused by a rule, others are broken; with the rule relaxed the one comes back."""
    shop = Shop(spark, tmp_path, formats=FORMATS)
    (tmp_path / "drop").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "drop" / name).write_bytes(text.encode("latin-1" if name == "1.csv" else "utf-8"))
    assert shop.run().counts == RowCounts(read=14, quarantined=14)
    entry = relaxed(shop).replay()
    assert shop.silver() == Counter({(name, -2): 1 for name in ("lines", "array", "xml", "fixed", "é")})
    # The end of the XML document was never read, so there is nothing to parse again.
    assert entry.counts == RowCounts(read=13, good=5, quarantined=8)
    assert entry.message.endswith("1 left open: their text or their header is not whole")
    assert sum(shop.open().values()) == 9


def test_a_part_of_a_record_never_passes_for_one(spark: SparkSession, tmp_path: Path) -> None:
    """A line that was cut and a byte that was replaced look like good rows; only the file has what is missing."""
    shop = Shop(spark, tmp_path, formats={"csv": {"multiline": True}})
    limits = {"limits": {"record_bytes": 30}}
    source = {"files": "drop", "formats": {"csv": {"multiline": True}}, "fields": ["id", "at", "amount"]}
    shop = replace(shop, declared={"source": source | limits | {"settle": "0s"}})
    (tmp_path / "drop").mkdir()
    lines = [f"a,{DAY},1{'0' * 40}".encode(), f"b\xff,{DAY},2".encode("latin-1")]
    (tmp_path / "drop/1.csv").write_bytes(b"id,at,amount\n" + b"\n".join(lines) + b"\n")
    assert shop.run().counts == RowCounts(read=2, quarantined=2)
    assert shop.replay(again=True).outcome == "nothing_new"
    assert sum(shop.open().values()) == 2


def test_a_packed_table_needs_its_file_for_the_header(spark: SparkSession, tmp_path: Path) -> None:
    import gzip

    shop = Shop(spark, tmp_path)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/1.csv.gz").write_bytes(gzip.compress(csv(f"a,{DAY},-1").encode()))
    (tmp_path / "drop/2.csv.gz").write_bytes(gzip.compress(csv(f"b,{DAY},-2").encode()))
    shop.run()
    (tmp_path / "drop/2.csv.gz").unlink()
    entry = relaxed(shop).replay()
    assert entry.counts == RowCounts(read=1, good=1)
    assert entry.message == "1 quarantined row replayed, 1 left open: their text or their header is not whole"
    assert shop.open() == Counter([f"b,{DAY},-2"])


@dataclass(frozen=True)
class Database:
    """Stands for a table of a database: typed columns, no place, and a cursor that goes on from the last plan."""

    spark: SparkSession
    rows: str
    seen: list[Plan | None] = field(default_factory=list)

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        self.seen.append(last)
        upto = int(last.details["upto"]) if last else 0
        return Plan({"after": upto, "upto": upto + 1}, "rows") if upto < 2 else None

    def read(self, plan: Plan) -> Extract:
        rows = self.spark.sql(self.rows).where(F.col("day") == plan.details["upto"])
        place = F.struct(F.lit("crm.orders").alias("origin"), F.lit(None).cast("bigint").alias("record"))
        original = F.struct(*(F.col(name) for name in rows.columns))
        own = {POSITION: place, ORIGINAL: original, RESCUED: F.lit(None).cast("string")}
        return Extract(rows.withColumns(own))

    def finish(self, ended: Ended) -> None:
        """Nothing is noted."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""


TYPED = """
SELECT * FROM VALUES
  (1, 'a', TIMESTAMP'2026-01-01 10:00:00.123456', 5.5D, 1.50BD, true, X'01FF'),
  (1, 'b', TIMESTAMP'2026-01-01 10:00:00.123457', -2.0D, 12345678901234567890.12BD, false, X'00'),
  (1, 'b', TIMESTAMP'2026-01-01 10:00:00.123457', -2.0D, 12345678901234567890.12BD, false, X'00'),
  (1, 'c', NULL, -3.25D, NULL, NULL, NULL),
  (2, 'd', TIMESTAMP'2026-01-02 00:00:00', -1.0D, 0BD, true, X'02')
AS t(day, id, at, amount, price, paid, raw)
"""


@dataclass(frozen=True)
class Crm(Shop):
    """The same shop with its orders in a database."""

    table: Database = field(default_factory=lambda: Database(SparkSession.active(), TYPED))

    @property
    def spec(self) -> PipelineSpec:
        source = {"jdbc": "crm", "table": "orders", "incremental": {"cursor": "day"}}
        whole = {"pipeline": "orders", "description": "Orders", "source": source, "rules": STRICT, "sink": APPEND}
        return PipelineSpec.model_validate(whole | self.declared)

    def usual(self) -> Source:
        return self.table


def test_typed_columns_come_back_with_their_types_and_the_cursor_goes_on(spark: SparkSession, tmp_path: Path) -> None:
    shop = Crm(spark, tmp_path)
    assert isinstance(shop.spec.source, JdbcSource)
    assert shop.run().counts == RowCounts(read=4, good=1, quarantined=3)
    good = shop.lake.read("silver.orders")
    assert relaxed(shop).replay().counts == RowCounts(read=3, good=3)
    back = shop.lake.read("silver.orders")
    assert back.schema == good.schema
    expected = spark.sql(TYPED).where("day = 1")
    key = ["id", "paid"]
    assert sorted(map(str, back.select(*expected.columns).orderBy(*key).collect())) == sorted(
        map(str, expected.orderBy(*key).collect())
    )
    # The two rows that are alike share one decision, which says so.
    assert sorted(row["rows"] for row in shop.decisions()) == [1, 2]
    # The replay's plan is none of the database's: its cursor goes on behind day 1.
    assert shop.run().counts == RowCounts(read=1, quarantined=1)
    assert [plan and plan.details["upto"] for plan in shop.table.seen] == [None, 1]
    assert shop.run().outcome == "nothing_new"
    assert relaxed(shop).replay().counts == RowCounts(read=1, good=1)
    assert shop.run().outcome == "nothing_new"


def test_a_merge_takes_a_row_by_its_sequence_however_late_it_comes(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, {"sink": LATEST})
    shop.drop("1.csv", csv("a,2026-01-01,-1", "b,2026-01-03,-3"))
    shop.run()
    shop.drop("2.csv", csv("a,2026-01-02,2", "b,2026-01-02,2", "c,2026-01-02,2"))
    shop.run()
    assert relaxed(shop).replay().counts == RowCounts(read=2, good=2)
    assert shop.silver() == Counter({("a", 2): 1, ("b", -3): 1, ("c", 2): 1})


@pytest.mark.slow
def test_a_history_takes_a_late_version_into_its_place(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, {"sink": HISTORY})
    for day, amount in ((1, 1), (2, -2), (3, 3)):
        shop.drop(f"{day}.csv", csv(f"a,2026-01-0{day},{amount}"))
        shop.run()
    assert relaxed(shop).replay().counts == RowCounts(read=1, good=1)
    rows = shop.lake.read("silver.orders").selectExpr("amount", "day(effective_time)", "day(end_time)", "is_current")
    assert sorted(map(tuple, rows.collect()), key=lambda row: row[1]) == [
        (1, 1, 2, False), (-2, 2, 3, False), (3, 3, None, True)
    ]  # fmt: skip


@pytest.mark.slow
def test_rules_on_the_batch_see_replayed_rows_as_one(spark: SparkSession, tmp_path: Path) -> None:
    sink = {"table": "silver.orders", "mode": "merge", "keys": ["id"], "sequence_by": "at"}
    shop = Shop(spark, tmp_path, {"sink": sink})
    for number in (1, 2):
        shop.drop(f"{number}.csv", csv(f"a,2026-01-0{number},-{number}"))
        shop.run()
    assert relaxed(shop).replay().counts == RowCounts(read=2, quarantined=2)
    Quarantine(shop.lake.root, "orders").discard(
        Chosen(origin=str(tmp_path / "drop/1.csv")), RunContext("discard", "test"), "superseded"
    )
    assert relaxed(shop).replay(again=True).counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("a", -2): 1})


STEPS = [
    "plan", "read", "before bronze.orders", "after bronze.orders", "before silver.orders", "after silver.orders",
    "before finish", "after finish", "release",
]  # fmt: skip


def killed_at(pipeline: Pipeline, step: str) -> Pipeline:
    """The pipeline of a process that ends at this step."""
    if step in ("plan", "read", "before finish", "after finish", "release"):
        return replace(pipeline, source=DyingSource(pipeline.source, step))
    when, table = step.split()
    dying = DyingLake(spark=pipeline.lake.spark, root=pipeline.lake.root, table=table, when=when)
    return replace(pipeline, lake=dying)


@pytest.mark.slow
@pytest.mark.parametrize(("sink", "steps"), [(APPEND, STEPS), (HISTORY, STEPS[3:6])], ids=["append", "history"])
def test_killed_at_any_step_nothing_is_lost_and_nothing_comes_twice(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any], steps: list[str]
) -> None:
    """A run or a replay comes next and finishes; then new files are read, and open rows are what they were."""
    shop = Shop(spark, tmp_path, {"sink": sink})
    expected: Counter[tuple[str, int]] = Counter()
    for number, step in enumerate(steps):
        shop.drop(f"{number}.csv", csv(f"{number},{DAY},-1", f"{number}+,{DAY},-2", f"bad {number},{DAY},-99"))
        shop.run()
        with pytest.raises(KilledError):
            shop.run(killed_at(relaxed(shop).pipeline(Replays()), step))
        shop.drop(f"{number}_late.csv", csv(f"late {number},{DAY},1"))
        if number % 2:
            entries = [relaxed(shop).run(), relaxed(shop).run(), relaxed(shop).replay()]
        else:
            entries = [relaxed(shop).replay(), relaxed(shop).replay(), relaxed(shop).run()]
        assert all(entry.counts.adds_up for entry in entries)
        expected += Counter({(f"{number}", -1): 1, (f"{number}+", -2): 1, (f"late {number}", 1): 1})
        assert shop.silver() == expected, step
        assert shop.open() == Counter(f"bad {n},{DAY},-99" for n in range(number + 1)), step
        assert len(shop.decisions()) == 3 * (number + 1), step
    assert relaxed(shop).replay().outcome == relaxed(shop).run().outcome == "nothing_new"


def test_a_replay_finishes_a_batch_of_files_that_was_interrupted(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},-1", f"b,{DAY},2"))
    with pytest.raises(KilledError):
        shop.run(killed_at(shop.pipeline(), "after bronze.orders"))
    assert relaxed(shop).replay().message == "1 new file"
    assert relaxed(shop).replay().counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("a", -1): 1, ("b", 2): 1})


def test_a_replay_that_is_withdrawn_leaves_its_rows_open(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},-1", f"b,{DAY},2"))
    shop.run()
    failing = replace(shop, declared={"rules": [{"is_in_range": {"column": "amount", "min": 0, "severity": "fail"}}]})
    with pytest.raises(RuleFailedError):
        failing.replay()
    assert shop.open() == Counter([f"a,{DAY},-1"])
    assert not (tmp_path / "lake/ops/quarantine").exists()
    assert list((tmp_path / "lake/_landing/orders").iterdir()) == []
    assert relaxed(shop).replay().counts == RowCounts(read=1, good=1)


def test_a_cast_that_is_declared_anew_is_refused_as_in_a_run(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},-1"))
    shop.run()
    other = replace(shop, declared={"transforms": [{"cast": {"at": "timestamp", "amount": "double"}}]})
    with pytest.raises(TableError, match="the transforms make amount a double, but the table has it as int since"):
        other.replay()
    assert shop.open() == Counter([f"a,{DAY},-1"])


def test_a_table_that_is_replaced_by_each_run_has_nothing_to_replay(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, {"sink": {"table": "silver.orders", "mode": "overwrite"}})
    with pytest.raises(ConfigError, match="each run replaces its rows"):
        shop.replay()
