"""Files whose columns change, through the whole pipeline: eight cases, four modes, and what is recorded of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pyspark.sql import SparkSession

from lakeloop.core.errors import RuleFailedError, SchemaChangedError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.protocol import Ended
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FILES, FileCatalog
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.schema_versions import SCHEMA_CHANGES, SchemaVersions
from lakeloop.lake.tables import Lake

MODES = ("evolve", "freeze", "rescue", "fail")
FIRST = {"0.csv": "id,n\n1,10\n2,\n2,\n"}
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Inbox:
    """A drop folder, and the pipeline that reads it."""

    spark: SparkSession
    folder: Path
    schema: Mapping[str, Any]
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    @property
    def versions(self) -> SchemaVersions:
        return SchemaVersions(self.lake.root, "p")

    @property
    def pipeline(self) -> Pipeline:
        formats = {"csv": {}, "jsonl": {}, "json_array": {}, "parquet": {}}
        source = {"files": "drop", "formats": formats, "settle": "0s", "schema": self.schema, **self.source}
        spec = PipelineSpec.model_validate(
            {"pipeline": "p", "description": "d", "source": source, "sink": {"table": "silver.p"}}
        )
        assert isinstance(spec.source, FilesSource)
        catalog = FileCatalog(self.lake.root, "p", None)
        return Pipeline(spec, FilesReader(self.spark, str(self.folder / "drop"), spec.source, catalog), self.lake)

    def drop(self, files: Mapping[str, str | pa.Table]) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        for name, content in files.items():
            if isinstance(content, str):
                (self.folder / "drop" / name).write_text(content)
            else:
                parquet.write_table(content, self.folder / "drop" / name)

    def run(self, files: Mapping[str, str | pa.Table], pipeline: Pipeline | None = None) -> RowCounts:
        self.drop(files)
        return (pipeline or self.pipeline).run(RunContext("run", "test"), lambda text: None).counts

    def rows(self, columns: str, batch: int = 1) -> list[Row]:
        """The rows of a batch: columns, then verdict, rules and what was rescued, by file and record."""
        bronze = self.lake.read("bronze.p").where(f"_batch_id = {batch}").orderBy("_position")
        found = bronze.selectExpr(*columns.split(), "_verdict", "_reasons.rule", "_rescued").collect()
        return [(*row[:-2], tuple(row["rule"] or ()), json.loads(row["_rescued"] or "null")) for row in found]

    def messages(self) -> list[str]:
        reasons = self.lake.read("bronze.p").selectExpr("inline(_reasons)").collect()
        return sorted({row["message"] for row in reasons})

    def changes(self) -> list[tuple[int, str, str]]:
        return [(row["version"], row["change"], row["column"]) for row in self.versions.changes()]

    def details(self) -> list[str]:
        return [row["detail"].replace(f"{self.folder}/drop/", "") for row in self.versions.changes()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_schema_is_inferred_once_and_later_values_are_cast_to_it(spark: SparkSession, folder: Path) -> None:
    inbox = Inbox(spark, folder, {"evolution": "freeze"})
    first = {
        "a.csv": "id,zip,day,price,at,is_new,none\n1,00123,2026-01-01,1.5,2026-01-01 10:00:00,true,\n"
        "2,00456,,2,2026-01-02,false,\n",
        "b.jsonl": '{"id": 3, "zip": "1", "day": "2026-02-01", "price": 7, "at": null, "is_new": true, "none": null}\n',
    }
    assert inbox.run(first) == RowCounts(read=3, good=3)
    assert dict(inbox.lake.read("silver.p").dtypes) == {
        "id": "bigint", "zip": "string", "day": "date", "price": "double", "at": "timestamp", "is_new": "boolean",
        "none": "string",
    }  # fmt: skip
    late = {"c.csv": "id,zip,day,price,at,is_new,none\nx,1,2026-02-30,1,,,x\n4,,,0x1,,maybe,\n5,,,,,,\n"}
    assert inbox.run(late) == RowCounts(read=3, good=1, quarantined=2)
    assert [row[-2] for row in inbox.rows("id")] == [
        ("id_is_castable", "day_is_castable"),
        ("price_is_castable", "is_new_is_castable"),
        (),
    ]
    assert [(v.version, v.origin) for v in inbox.versions.all()] == [(1, "inferred")]
    assert inbox.changes() == []
    assert {row["_schema_version"] for row in inbox.lake.read("bronze.p").collect()} == {1}
    assert [row["schema_version"] for row in read_rows(inbox.lake.root, FILES)] == [1, 1, 1]


ADDED: dict[str, tuple[list[Row], list[tuple[int, str, str]]]] = {
    "evolve": (
        [(3, "x", "good", (), None), (4, None, "good", (), None), (5, "y", "good", (), None)],
        [(2, "added", "new")],
    ),
    "freeze": (
        [
            (3, "quarantined", ("field_unknown",), {"new": "x"}),
            (4, "quarantined", ("field_unknown",), {}),
            (5, "quarantined", ("field_unknown",), {"new": "y"}),
        ],
        [(1, "added", "new")],
    ),
    "rescue": (
        [(3, "good", (), {"new": "x"}), (4, "good", (), {}), (5, "good", (), {"new": "y"})],
        [(1, "added", "new")],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_column_that_is_added(spark: SparkSession, folder: Path, mode: str) -> None:
    inbox = Inbox(spark, folder, {"evolution": mode})
    inbox.run(FIRST)
    second = {"1.csv": "id,n,new\n3,30,x\n4,40,\n", "2.jsonl": '{"id": 5, "n": 50, "new": "y"}\n'}
    if mode == "fail":
        with pytest.raises(SchemaChangedError, match=r"1\.csv has a column 'new' that the schema does not know"):
            inbox.run(second)
        assert len(read_rows(inbox.lake.root, "ops.batches")) == 1
        return
    inbox.run(second)
    rows, changes = ADDED[mode]
    assert inbox.rows("id new" if mode == "evolve" else "id") == rows
    assert inbox.changes() == changes
    if mode == "evolve":
        assert [v.columns for v in inbox.versions.all()] == [
            (("id", "bigint"), ("n", "bigint")),
            (("id", "bigint"), ("n", "bigint"), ("new", "string")),
        ]
        assert {row["_schema_version"] for row in inbox.lake.read("bronze.p").where("_batch_id = 1").collect()} == {2}
        inbox.run({"3.csv": "id,n\n6,60\n"})
        assert inbox.rows("id new", 2) == [(6, None, "good", (), None)]
        assert inbox.changes() == [(2, "added", "new"), (2, "dropped", "new")]


DROPPED = {
    "evolve": ("good", ()),
    "freeze": ("quarantined", ("field_missing",)),
    "rescue": ("good", ("field_missing",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_column_that_is_dropped(spark: SparkSession, folder: Path, mode: str) -> None:
    inbox = Inbox(spark, folder, {"evolution": mode})
    inbox.run(FIRST)
    second: dict[str, str | pa.Table] = {
        "1.csv": "id\n3\n",
        "2.jsonl": '{"id": 4}\n{"id": 5}\n',
        "3.json": '[{"id": 6}, {"id": 7}]',
        "4.parquet": pa.table({"id": [8]}),
        "5.jsonl": '{"id": 9}\n{"id": 10, "n": 1}\n',
    }
    if mode == "fail":
        with pytest.raises(SchemaChangedError, match=r"1\.csv has no column 'n'; the run stops; .*2\.jsonl has no"):
            inbox.run(second)
        return
    inbox.run(second)
    verdict, reasons = DROPPED[mode]
    partly = [(9, None, "good", (), None), (10, 1, "good", (), None)]  # one record of this file has it
    assert inbox.rows("id n") == [*((id_, None, verdict, reasons, None) for id_ in range(3, 9)), *partly]
    assert inbox.changes() == [(1, "dropped", "n")]
    assert inbox.messages() == (["the file has no column n"] if reasons else [])


@pytest.mark.slow
def test_a_column_that_is_renamed_is_proposed_and_then_flows(spark: SparkSession, folder: Path) -> None:
    inbox = Inbox(spark, folder, {"evolution": "freeze"})
    inbox.run({"0.csv": "id,amount\n1,10\n"})
    files = {
        "1.csv": "id,amount_eur\n2,20\n",
        "2.jsonl": '{"id": 3, "amount_eur": 30}\n{"id": 4, "amount": 40, "amount_eur": 1}\n{"id": 5}\n',
        "3.json": '[{"id": 6, "amount_eur": 60}]',
    }
    assert inbox.run({"1.csv": files["1.csv"]}) == RowCounts(read=1, quarantined=1)
    proposal = "if 'amount_eur' is the new name of 'amount', declare renames: {amount: amount_eur}"
    assert inbox.messages() == [f"the file has no column amount; {proposal}"]
    assert inbox.details() == [
        f"1.csv has a column 'amount_eur' that the schema does not know; the rows are quarantined; {proposal}",
        f"1.csv has no column 'amount'; the rows are quarantined; {proposal}",
    ]
    declared = replace(inbox, schema={"evolution": "rescue", "renames": {"amount": "amount_eur"}})
    assert declared.run({f"later_{name}": content for name, content in files.items()}) == RowCounts(read=5, good=5)
    assert declared.rows("id amount", 2) == [
        (2, 20, "good", (), None),
        (3, 30, "good", (), None),
        (4, 40, "good", (), {"amount_eur": "1"}),
        (5, None, "good", (), None),
        (6, 60, "good", (), None),
    ]
    assert declared.changes()[-1] == (1, "renamed", "amount")


WIDENED = {
    "evolve": [(3, 30, "good", (), None), (4, None, "quarantined", ("n_is_castable",), None)],
    "freeze": [(3, 30, "good", (), None), (4, None, "quarantined", ("n_is_castable",), None)],
    "rescue": [(3, 30, "good", (), None), (4, None, "good", ("n_is_castable",), {"n": "1.5"})],
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_type_that_is_wider_or_narrower(spark: SparkSession, folder: Path, mode: str) -> None:
    inbox = Inbox(spark, folder, {"evolution": mode})
    inbox.run(FIRST)
    text, typed = {"1.csv": "id,n\n3,30\n4,1.5\n"}, {"2.parquet": pa.table({"id": [3, 4], "n": [30.0, 1.5]})}
    if mode == "fail":
        with pytest.raises(RuleFailedError, match=r"n_is_castable \(1 rows\) violated"):
            inbox.run(text)
        (folder / "drop/1.csv").unlink()
        with pytest.raises(SchemaChangedError, match=r"2\.parquet has 'n' as double, which does not fit into bigint"):
            inbox.run(typed)
        return
    inbox.run(text)
    assert inbox.rows("id n") == WIDENED[mode]
    inbox.run(typed)
    assert inbox.rows("id n", 2) == WIDENED[mode]
    expected = "n: found 1.5, expected a bigint"
    assert inbox.messages()[0].startswith(expected)
    assert ("docs/schemas.md" in inbox.messages()[0]) == (mode == "evolve")
    assert inbox.changes() == [(1, "widened", "n")]
    assert dict(inbox.lake.read("silver.p").dtypes)["n"] == "bigint"
    narrow = pa.table({"id": pa.array([5], pa.int32()), "n": pa.array([None], pa.int32())})
    inbox.run({"3.parquet": narrow})
    assert inbox.rows("id n", 3) == [(5, None, "good", (), None)]
    assert inbox.changes()[1:] == [(1, "narrowed", "id"), (1, "narrowed", "n")]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_field_that_becomes_an_object_other_order_and_other_case(
    spark: SparkSession, folder: Path, mode: str
) -> None:
    inbox = Inbox(spark, folder, {"evolution": mode}, {"fields": {"id": "bigint", "name": "string"}})
    inbox.run({"0.jsonl": '{"id": 1, "name": "a"}\n{"id": 1, "name": null}\n'})
    inbox.run({
        "1.jsonl": '{"id": 2, "name": {"first": "b"}}\n',
        "2.parquet": pa.table({"name": [{"first": "c"}], "id": [3]}),
        "3.csv": "name,ID\nd,4\n",
        "4.jsonl": '{"Name": "e", "id": 5}\n',
    })  # fmt: skip
    assert inbox.rows("id name") == [
        (2, '{"first":"b"}', "good", (), None),
        (3, '{"first":"c"}', "good", (), None),
        (4, "d", "good", (), None),
        (5, "e", "good", (), None),
    ]
    assert set(inbox.changes()) == {(1, "nested", "name"), (1, "case", "id"), (1, "case", "name")}
    if mode == "rescue":
        inbox.run({"5.jsonl": '{"id": {"a": 1}, "name": "f", "x": 1}\n'})
        assert inbox.rows("id name", 2) == [
            (None, "f", "good", ("id_is_castable",), {"x": "1", "id": '{"a":1}'}),
        ]


def test_modes_of_single_columns(spark: SparkSession, folder: Path) -> None:
    columns = {"n": "evolve", "secret": "freeze"}
    inbox = Inbox(spark, folder, {"evolution": "rescue", "columns": columns}, {"fields": ["id", "n", "m"]})
    inbox.run({"0.csv": "id,secret,other\n1,s,o\n2,,o\n", "1.csv": "id,other,n,m\n3,o,1,\n"})
    assert inbox.rows("id n m", 0) == [
        ("1", None, None, "quarantined", ("field_missing", "field_unknown"), {"secret": "s", "other": "o"}),
        ("2", None, None, "good", ("field_missing",), {"other": "o"}),
        ("3", "1", None, "good", (), {"other": "o"}),
    ]
    assert inbox.messages() == [
        "no such column is known: secret; if 'secret' is the new name of 'n', declare renames: {n: secret}",
        "the file has no column m; if 'other' is the new name of 'm', declare renames: {m: other}",
    ]


def test_a_resumed_batch_keeps_the_version_of_its_plan(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(spark, folder, {"evolution": "evolve"}, {"fields": ["id"]})
    finish = FilesReader.finish

    def die(source: FilesReader, ended: Ended) -> None:
        finish(source, ended)
        raise KeyboardInterrupt

    monkeypatch.setattr(FilesReader, "finish", die)
    with pytest.raises(KeyboardInterrupt):
        inbox.run({"0.csv": "id,new\n1,x\n"})
    monkeypatch.setattr(FilesReader, "finish", finish)
    redeclared = replace(inbox, schema={"evolution": "freeze"}, source={"fields": ["id", "other"]})
    assert redeclared.run({}) == RowCounts(read=1, good=1)
    assert redeclared.rows("id new", 0) == [("1", "x", "good", (), None)]
    assert [(v.version, v.origin, [name for name, _ in v.columns]) for v in inbox.versions.all()] == [
        (1, "declared", ["id"]),
        (2, "evolved", ["id", "new"]),
    ]
    assert redeclared.changes() == [(2, "added", "new")]
    assert redeclared.run({"1.csv": "id,other\n2,y\n"}) == RowCounts(read=1, good=1)
    assert redeclared.changes()[1:] == [(3, "added", "other"), (3, "dropped", "new")]


def test_a_resumed_batch_still_fails_for_what_is_declared_to_fail(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(spark, folder, {"evolution": "fail"}, {"fields": {"id": "bigint"}})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    pipeline = inbox.pipeline
    with monkeypatch.context() as patched:
        patched.setattr("lakeloop.ingestion.recording.Recorder.accept", die)
        with pytest.raises(KeyboardInterrupt):
            inbox.run({"0.csv": "id\nx\n"}, pipeline)
    with pytest.raises(RuleFailedError, match="id_is_castable"):
        inbox.run({})


def columns_of(root: str, table: str) -> Iterable[str]:
    return read_rows(root, table)[0].keys()


def test_the_changes_have_the_columns_that_the_report_reads(spark: SparkSession, folder: Path) -> None:
    inbox = Inbox(spark, folder, {}, {"fields": ["id"]})
    inbox.run({"0.csv": "id,x\n1,\n"})
    names = ["pipeline", "at", "run_id", "version", "change", "column", "detail"]
    assert list(columns_of(inbox.lake.root, SCHEMA_CHANGES)) == names
