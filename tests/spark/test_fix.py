"""Quarantined rows that are corrected: from each form of original, by column and by file, through kills."""

import csv as csv_module
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.cli.quarantine_rows import write_csv
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.source_specs.kafka import KafkaSource
from lakeloop.ingestion.sources.kafka.messages import MessageParser
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress, Source
from lakeloop.ingestion.sources.replay import Edits, Replays, columns_of_source, open_rows
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Plan, RunEntry
from lakeloop.lake.quarantine import Chosen, Quarantine
from lakeloop.lake.quarantine_history import row_history
from tests.spark.test_replay import (
    APPEND,
    DAY,
    FORMATS,
    HISTORY,
    LATEST,
    STEPS,
    STRICT,
    TEXTS,
    Crm,
    KilledError,
    Shop,
    csv,
    killed_at,
    relaxed,
)

NEGATIVE = Chosen(rule="amount_is_in_range")
Sheet = list[dict[str, str]]


def fix(shop: Shop, chosen: Chosen | None = None, **cells: str | None) -> RunEntry:
    """The same cells for the chosen rows."""
    return shop.run(shop.pipeline(Replays(chosen or NEGATIVE, "a slip", again=True, fix=Edits(cells))))


def sheet_of(shop: Shop) -> Sheet:
    """What `quarantine show --format csv` gives."""
    rows = list(open_rows(shop.spec, Quarantine(shop.lake.root, shop.spec.pipeline), Chosen(), 1000))
    columns = columns_of_source(shop.lake.root, shop.spec)
    out = io.StringIO()
    write_csv(out, columns or tuple(dict.fromkeys(name for row in rows for name in row.cells)), rows)
    return list(csv_module.DictReader(io.StringIO(out.getvalue())))


def fix_by(shop: Shop, sheet: Sheet) -> RunEntry:
    """The file that somebody has edited."""
    file = shop.folder / "rows.csv"
    with file.open("w", newline="") as stream:
        writer = csv_module.DictWriter(stream, list(sheet[0]))
        writer.writeheader()
        writer.writerows(sheet)
    return shop.run(shop.pipeline(Replays(Chosen(), "a slip", again=True, fix=Edits(file=file))))


def bronze(shop: Shop, batch: int = 0) -> list[Any]:
    return sorted(shop.lake.read("bronze.orders").where(F.col("_batch_id") == batch).collect(), key=str)


def changes(shop: Shop) -> list[tuple[str, list[tuple[str, str | None, str | None]]]]:
    return [
        (row["status"], [(cell["column"], cell["before"], cell["after"]) for cell in row["changes"] or ()])
        for row in sorted(shop.decisions(), key=lambda row: (row["at"], row["record"]))
    ]


@pytest.mark.slow
def test_a_cell_of_chosen_rows_is_corrected_once_and_the_record_stays(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},1", f"b,{DAY},-2", f"b,{DAY},-2", f"c,{DAY},x", f"d,{DAY}"))
    assert shop.run().counts == RowCounts(read=5, good=1, quarantined=4)
    before = bronze(shop)

    entry = fix(shop, amount="0")
    assert (entry.counts, entry.batch_id) == (RowCounts(read=2, good=2), 1)
    assert entry.message == "2 quarantined rows fixed (amount)"
    assert shop.silver() == Counter({("a", 1): 1, ("b", 0): 2})
    assert bronze(shop) == before
    assert changes(shop) == [("fixed", [("amount", "-2", "0")])] * 2
    assert {(row["why"], row["replayed_to"], row["root_batch_id"]) for row in shop.decisions()} == {("a slip", 1, 0)}
    # The same once more finds nothing, whoever comes; a text that was no number is a cell like any other.
    assert fix(shop, amount="0").outcome == "nothing_new"
    assert fix(shop, Chosen(rule="amount_is_castable"), amount="7").counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("a", 1): 1, ("b", 0): 2, ("c", 7): 1})
    # Of the line that is torn nobody knows which cell is which.
    assert fix(shop, Chosen(rule="malformed"), amount="1").outcome == "nothing_new"
    assert shop.open() == Counter([f"d,{DAY}"])
    assert list((tmp_path / "lake/_landing/orders").iterdir()) == []


@pytest.mark.slow
def test_a_row_that_is_bad_again_keeps_its_corrections(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", f"amount,at,id,more\n-5,{DAY},a,x\n-5,{DAY},b,x\n")
    shop.run()
    first = next(row["_row"] for row in sheet_of(shop) if row["id"] == "a")
    assert fix(shop, Chosen(row=first), amount="-3", id="A").counts == RowCounts(read=1, quarantined=1)
    row = next(row for row in sheet_of(shop) if row["id"] == "A")
    assert (row["amount"], row["_original"]) == ("'-3", f"'-5,{DAY},a,x")
    assert fix(shop, Chosen(row=row["_row"]), amount="-3", id="A").outcome == "nothing_new"
    # Replayed without a word, it is judged by what it was corrected to; corrected again, the rest stays.
    assert shop.replay(Chosen(row=row["_row"]), again=True).counts == RowCounts(read=1, quarantined=1)
    row = next(row for row in sheet_of(shop) if row["id"] == "A")
    assert fix(shop, Chosen(row=row["_row"]), amount="4").counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("A", 4): 1})
    assert changes(shop) == [
        ("fixed", [("amount", "-5", "-3"), ("id", "a", "A")]), ("replayed", []), ("fixed", [("amount", "-3", "4")])
    ]  # fmt: skip
    assert relaxed(shop).replay().counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("A", 4): 1, ("b", -5): 1})
    history = row_history(Quarantine(shop.lake.root, "orders"), first)
    assert [event.what for event in history] == [
        "quarantined", "fixed", "quarantined", "replayed", "quarantined", "fixed", "good"
    ]  # fmt: skip


@pytest.mark.slow
def test_each_form_of_text_is_corrected_in_a_file(spark: SparkSession, tmp_path: Path) -> None:
    """Of each form one row is refused by a rule and gets a number; what is broken gets a whole text or stays."""
    shop = Shop(spark, tmp_path, formats=FORMATS)
    (tmp_path / "drop").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "drop" / name).write_bytes(text.encode("latin-1" if name == "1.csv" else "utf-8"))
    assert shop.run().counts == RowCounts(read=14, quarantined=14)
    before, sheet = bronze(shop), sheet_of(shop)
    assert Counter(row["id"] for row in sheet if row["id"]) == Counter(("lines", "array", "xml", "fixed", "é", "c"))
    assert fix_by(shop, sheet).outcome == "nothing_new"
    whole = {
        '{"id": "cut': f'{{"id": "whole", "at": "{DAY}", "amount": 5}}',
        f"d,{DAY}": f"d,{DAY},6",
    }
    for row in sheet:
        if row["amount"] == "'-2":
            row["amount"] = "3"
        row["_original"] = whole.get(row["_original"], row["_original"])
    assert fix_by(shop, sheet).counts == RowCounts(read=7, good=7)
    expected = {(name, 3): 1 for name in ("lines", "array", "xml", "fixed", "é")} | {("whole", 5): 1, ("d", 6): 1}
    assert shop.silver() == Counter(expected)
    assert bronze(shop) == before
    # The file as it is now speaks of rows that are closed: each is named, and nothing comes twice.
    assert fix_by(shop, sheet).outcome == "nothing_new"
    assert shop.silver() == Counter(expected)
    assert sum(shop.open().values()) == 7


@pytest.mark.slow
def test_a_line_that_was_cut_or_not_of_its_encoding_takes_its_whole_text(spark: SparkSession, tmp_path: Path) -> None:
    source = {"files": "drop", "formats": {"csv": {"multiline": True}}, "fields": ["id", "at", "amount"]}
    shop = Shop(spark, tmp_path, {"source": source | {"limits": {"record_bytes": 30}, "settle": "0s"}})
    (tmp_path / "drop").mkdir()
    lines = [f"a,{DAY},1{'0' * 40}".encode(), f"b\xff,{DAY},2".encode("latin-1")]
    (tmp_path / "drop/1.csv").write_bytes(b"id,at,amount\n" + b"\n".join(lines) + b"\n")
    assert shop.run().counts == RowCounts(read=2, quarantined=2)
    sheet = sheet_of(shop)
    assert {(row["id"], row["amount"]) for row in sheet} == {("", "")}  # a part of a record does not pass for one
    for row, text in zip(sheet, (f"a,{DAY},10", f"b,{DAY},2"), strict=True):
        row["_original"] = text
    assert fix_by(shop, sheet).counts == RowCounts(read=2, good=2)
    assert shop.silver() == Counter({("a", 10): 1, ("b", 2): 1})


@pytest.mark.slow
def test_what_changed_in_between_is_left_and_a_mistake_fixes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},-1", f"b,{DAY},-2", f"c,{DAY},-3"))
    shop.run()
    sheet = sheet_of(shop)
    edited = [row | {"amount": "1"} for row in sheet]
    Quarantine(shop.lake.root, "orders").discard(Chosen(row=sheet[0]["_row"]), RunContext("d", "t", user="eve"), "old")
    for wrong, said in (
        ({"_row": "0" * 64}, "rows.csv:4: row 000000000000: no such row of the pipeline was ever quarantined"),
        ({"_row": sheet[1]["_row"]}, "the file has it twice; leave one of the two"),
        ({"_original": "x"}, "it can be parsed, so its text stays"),
    ):
        with pytest.raises(ConfigError) as refused:
            fix_by(shop, [*edited[:2], edited[2] | wrong])
        assert said in str(refused.value)
        assert not shop.lake.exists("silver.orders") or shop.silver() == Counter()
        assert sum(shop.open().values()) == 2
    # Short ids do, where they are whole enough; one row is closed, and one is read otherwise than it was shown.
    edited[1]["_row"] = edited[1]["_row"][:12]
    edited[2]["_shown"] = "v0"
    pipeline = shop.pipeline(Replays(Chosen(), "a slip", again=True, fix=Edits(file=tmp_path / "rows.csv")))
    assert fix_by(shop, edited).message == "1 quarantined row fixed (amount), 2 left as they are"
    reader = pipeline.source.replays  # type: ignore[attr-defined]
    assert reader.plan(None, lambda text: None) is None
    assert [why.split(" by ")[0] for _, why in reader.found.named] == [
        "it was discarded", "it was fixed", "it is read otherwise than when it was shown; show it again"
    ]  # fmt: skip
    assert shop.silver() == Counter({("b", 1): 1})


@pytest.mark.slow
def test_typed_columns_are_corrected_in_their_types(spark: SparkSession, tmp_path: Path) -> None:
    shop = Crm(spark, tmp_path)
    assert shop.run().counts == RowCounts(read=4, good=1, quarantined=3)
    good = shop.lake.read("silver.orders")
    with pytest.raises(ConfigError, match="it has no column 'amuont'; did you mean 'amount'"):
        fix(shop, amuont="1")
    cells = {"amount": "2.5", "at": "2026-03-01T00:00:00.5Z", "price": "0.10", "raw": "Av8=", "paid": None}
    assert fix(shop, **cells).counts == RowCounts(read=3, good=3)
    back = shop.lake.read("silver.orders")
    assert back.schema == good.schema
    rows = back.where("amount = 2.5").selectExpr("id", "CAST(at AS string)", "price", "hex(raw)", "paid").collect()
    assert Counter(map(str, (tuple(row) for row in rows))) == Counter(
        {
            "('b', '2026-03-01 00:00:00.5', Decimal('0.10'), '02FF', None)": 2,
            "('c', '2026-03-01 00:00:00.5', Decimal('0.10'), '02FF', None)": 1,
        }
    )
    # The two rows that are alike share one decision, which says so.
    assert sorted(row["rows"] for row in shop.decisions()) == [1, 2]
    assert shop.run().counts == RowCounts(read=1, quarantined=1)
    assert fix(shop, amount="x").counts == RowCounts(read=1, quarantined=1)
    (open_row,) = sheet_of(shop)
    assert (open_row["amount"], open_row["_reasons"].split(":")[0]) == ("x", "amount_type_changed")
    assert fix_by(shop, [open_row | {"amount": "9"}]).counts == RowCounts(read=1, good=1)
    assert shop.silver()["d", 9] == 1


@pytest.mark.slow
def test_a_key_that_is_corrected_takes_its_place_by_its_sequence(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, {"sink": LATEST})
    shop.drop("1.csv", csv("a,2026-01-01,1", "b,2026-01-03,3", "typo,2026-01-02,-2"))
    shop.run()
    sheet = sheet_of(shop)
    assert fix_by(shop, [sheet[0] | {"id": "a", "amount": "2"}]).counts == RowCounts(read=1, good=1)
    assert shop.silver() == Counter({("a", 2): 1, ("b", 3): 1})


def test_a_corrected_row_that_is_dropped_now_is_closed(spark: SparkSession, tmp_path: Path) -> None:
    routes = {"routes": [{"where": "amount >= 0", "table": "silver.orders"}], "otherwise": "drop"}
    shop = Shop(spark, tmp_path, {"sink": routes, "rules": [{"is_not_null": "id"}]})
    shop.drop("1.csv", csv(f"a,{DAY},1", f",{DAY},2", f",{DAY},-3", f",{DAY},-4"))
    assert shop.run().counts == RowCounts(read=4, good=1, quarantined=3)
    entry = fix(shop, Chosen(rule="id_is_not_null"), id="b")
    assert entry.counts == RowCounts(read=3, good=1, dropped=2)
    assert shop.silver() == Counter({("a", 1): 1, ("b", 2): 1})
    assert shop.open() == Counter()
    assert shop.replay(again=True).outcome == "nothing_new"
    lives = {row["record"]: row["row_id"] for row in shop.decisions()}
    history = row_history(Quarantine(shop.lake.root, "orders"), lives[4])
    assert [event.what for event in history] == ["quarantined", "fixed", "dropped"]
    assert len(history[-1].reasons) == 1


@dataclass(frozen=True)
class Messages:
    """Stands for a topic: the messages of the next batch, parsed as `KafkaReader` does."""

    spark: SparkSession
    spec: KafkaSource
    values: tuple[tuple[bytes | None, bytes | None], ...]
    schemas: Mapping[int, str] = field(default_factory=dict)

    @property
    def parser(self) -> MessageParser:
        return MessageParser(self.spec, dict(self.schemas))

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        return None if last else Plan({"schemas": {str(id_): text for id_, text in self.schemas.items()}}, "messages")

    def read(self, plan: Plan) -> Extract:
        has_key = self.spec.message.key is not None
        rows = [
            (value, ("t/0", offset), key) if has_key else (value, ("t/0", offset))
            for offset, (value, key) in enumerate(self.values)
        ]
        return self.parser.parse(self.spark.createDataFrame(rows, self.parser.schema))

    def reread(self, originals: DataFrame) -> Extract:
        return self.parser.parse(self.parser.of_originals(originals))

    def finish(self, ended: Ended) -> None:
        """Nothing is noted."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Topic(Shop):
    """The same shop with its orders in a topic."""

    source: dict[str, Any] = field(default_factory=dict)
    values: tuple[tuple[bytes | None, bytes | None], ...] = ()
    schemas: Mapping[int, str] = field(default_factory=dict)

    @property
    def spec(self) -> PipelineSpec:
        source = {"kafka": "k", "topics": ["t"], "fields": ["id", "amount"]} | self.source
        whole = {"pipeline": "orders", "description": "Orders", "source": source, "rules": STRICT, "sink": APPEND}
        return PipelineSpec.model_validate(whole | self.declared)

    def usual(self) -> Source:
        assert isinstance(self.spec.source, KafkaSource)
        return Messages(self.spark, self.spec.source, self.values, self.schemas)

    def pipeline(self, asked: Replays | None = None) -> Any:
        pipeline = super().pipeline(asked)
        replays = replace(pipeline.source.replays, usual=self.usual())  # type: ignore[attr-defined]
        return replace(pipeline, source=replace(pipeline.source, replays=replays))  # type: ignore[type-var]


def test_messages_in_json_are_corrected_with_what_stands_beside_them(spark: SparkSession, tmp_path: Path) -> None:
    texts = ('{"id": "a", "amount": 1}', '{"id": "b", "amount": -2, "more": 1}', '{"id": "c')
    values = tuple((text.encode(), f"k{number}".encode()) for number, text in enumerate(texts))
    source = {"format": {"json": {}}, "message": {"key": "device"}}
    cast = {"transforms": [{"cast": {"amount": "int"}}]}
    shop = Topic(spark, tmp_path, cast, source=source, values=values)
    assert shop.run().counts == RowCounts(read=3, good=1, quarantined=2)
    first, torn = sheet_of(shop)
    assert (first["id"], first["amount"], first["device"]) == ("b", "'-2", "k1")
    whole = json.loads(torn["_original"]) | {"value": '{"id": "c", "amount": 3}'}
    edited = [first | {"amount": "2", "device": "k9"}, torn | {"_original": json.dumps(whole)}]
    assert fix_by(shop, edited).counts == RowCounts(read=2, good=2)
    rows = shop.lake.read("silver.orders").select("id", "amount", "device").collect()
    assert sorted(map(tuple, rows)) == [("a", 1, "k0"), ("b", 2, "k9"), ("c", 3, "k2")]
    assert fix_by(shop, edited).outcome == "nothing_new"


AVRO = {"type": "record", "name": "r", "fields": [
    {"name": "id", "type": "string"}, {"name": "amount", "type": ["null", "int"]},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]}  # fmt: skip


@pytest.mark.slow
def test_messages_in_avro_are_corrected_in_the_types_of_their_schema(spark: SparkSession, tmp_path: Path) -> None:
    def encoded(amount: int | None) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, AVRO, {"id": "a", "amount": amount, "tags": ["x", "y"]})
        return out.getvalue()

    source = {"format": {"avro": {"schema_file": "order.avsc"}}, "fields": ["id", "amount", "tags"]}
    values = tuple((encoded(amount), None) for amount in (1, -2, -3))
    shop = Topic(spark, tmp_path, source=source, values=values, schemas={-1: json.dumps(AVRO)})
    assert shop.run().counts == RowCounts(read=3, good=1, quarantined=2)
    first, second = sheet_of(shop)
    assert (first["amount"], first["tags"]) == ("'-2", '["x", "y"]')
    edited = [first | {"amount": "2", "tags": '["z"]'}, second | {"amount": "many"}]
    assert fix_by(shop, edited).counts == RowCounts(read=2, good=1, quarantined=1)
    rows = shop.lake.read("silver.orders").select("amount", "tags").collect()
    assert sorted(map(tuple, rows)) == [(1, ["x", "y"]), (2, ["z"])]
    (left,) = sheet_of(shop)
    assert left["_reasons"] == "amount_is_castable: amount: found many, expected an int"


@pytest.mark.slow
@pytest.mark.parametrize(("sink", "steps"), [(APPEND, STEPS), (HISTORY, STEPS[3:6])], ids=["append", "history"])
def test_killed_at_any_step_a_correction_is_there_once(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any], steps: list[str]
) -> None:
    """A run, a replay or the same correction comes next and finishes."""
    shop = Shop(spark, tmp_path, {"sink": sink})
    expected: Counter[tuple[str, int]] = Counter()
    asked = Replays(NEGATIVE, "a slip", again=True, fix=Edits({"amount": "0"}))
    for number, step in enumerate(steps):
        shop.drop(f"{number}.csv", csv(f"{number},{DAY},-1", f"{number}+,{DAY},-2", f"torn {number},{DAY}"))
        shop.run()
        with pytest.raises(KilledError):
            shop.run(killed_at(shop.pipeline(asked), step))
        shop.drop(f"{number}_late.csv", csv(f"late {number},{DAY},1"))
        after: list[Callable[[], RunEntry]] = [lambda: fix(shop, amount="0")] * 2 + [shop.run] * 2
        entries = [each() for each in (after if number % 2 else after[::-1])]
        assert all(entry.counts.adds_up for entry in entries)
        expected += Counter({(f"{number}", 0): 1, (f"{number}+", 0): 1, (f"late {number}", 1): 1})
        assert shop.silver() == expected, step
        assert shop.open() == Counter(f"torn {n},{DAY}" for n in range(number + 1)), step
        assert len(shop.decisions()) == 2 * (number + 1), step
    assert fix(shop, amount="0").outcome == shop.run().outcome == "nothing_new"


@pytest.mark.parametrize("step", ["after bronze.orders", "before finish"])
def test_killed_between_landing_and_publishing_a_run_finishes(spark: SparkSession, tmp_path: Path, step: str) -> None:
    shop = Shop(spark, tmp_path)
    shop.drop("1.csv", csv(f"a,{DAY},-1", f"b,{DAY},2"))
    shop.run()
    asked = Replays(NEGATIVE, "a slip", again=True, fix=Edits({"amount": "0"}))
    with pytest.raises(KilledError):
        shop.run(killed_at(shop.pipeline(asked), step))
    assert shop.run().message == "1 quarantined row fixed (amount)"
    assert fix(shop, amount="0").outcome == "nothing_new"
    assert shop.silver() == Counter({("a", 0): 1, ("b", 2): 1})
    assert changes(shop) == [("fixed", [("amount", "-1", "0")])]


STEP = st.tuples(st.sampled_from(["fix", "replay", "discard", "run"]), st.integers(0, 3), st.integers(-20, 5))


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(STEP, min_size=3, max_size=5))
def test_whatever_is_decided_each_row_is_in_the_table_once_or_closed_or_open(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Fixes, replays and discards in any order, of four rows of which two are alike but for their line."""
    shop = Shop(spark, tmp_path_factory.mktemp("shop"))
    shop.drop("1.csv", csv(f"a,{DAY},-1", f"b,{DAY},-2", f"b,{DAY},-2", f"c,{DAY},-15"))
    shop.run()
    amounts = {2: ("a", -1), 3: ("b", -2), 4: ("b", -2), 5: ("c", -15)}  # by line
    state = dict.fromkeys(amounts, "open")
    for what, number, amount in steps:
        line = number + 2
        quarantine = Quarantine(shop.lake.root, "orders")
        places = {row.record: row.row_id for row in open_rows(shop.spec, quarantine, Chosen(), 10)}
        assert set(places) == {line for line, now in state.items() if now == "open"}
        mine = Chosen(row=places.get(line, "0" * 64))
        if what == "fix":
            fix(shop, mine, amount=str(amount))
            if state[line] == "open":
                amounts[line] = (amounts[line][0], amount)
                state[line] = "good" if amount >= 0 else "open"
        elif what == "replay":
            relaxed(shop).replay(mine, again=True)
            if state[line] == "open" and amounts[line][1] >= -10:
                state[line] = "good"
        elif what == "discard" and state[line] == "open":
            quarantine.discard(mine, RunContext("discard", "test"), "of no use")
            state[line] = "discarded"
        else:
            shop.run()
        good = Counter(amounts[line] for line, now in state.items() if now == "good")
        assert (shop.silver() if good else Counter()) == good
