"""One batch of every format and packing: the same rows out of each, with their places, and the catalog of files."""

import bz2
import gzip
import zipfile
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
import xlsxwriter
from pyarrow import orc, parquet
from pyspark.sql import SparkSession

from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FILES, FileCatalog
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.tables import Lake

CSV = "a,b\n1,x\n2,ü\n3\n"  # the last line lacks a cell
OF_CSV = [(2, "1", "x", None), (3, "2", "ü", None), (4, None, None, "malformed")]
TABLE = pa.table({"a": pa.array([1, 2, None], pa.int64()), "B": ["x", "ü", "x"], "extra": [1.5, 2.5, 1.5]})
OF_TABLE = [(1, "1", "x", None), (2, "2", "ü", None), (3, None, "x", None)]
FORMATS = {
    "csv": {}, "jsonl": {}, "json_array": {}, "xml": {"row_tag": "c"}, "parquet": {}, "orc": {}, "avro": {},
    "excel": {}, "fixed_width": {"widths": {"a": 3, "b": 3}, "skip_lines": 1},
}  # fmt: skip
AVRO = {
    "type": "record", "name": "r",
    "fields": [
        {"name": "a", "type": ["null", "long"]}, {"name": "B", "type": "string"}, {"name": "extra", "type": "double"},
    ],
}  # fmt: skip


def write_workbook(path: Path) -> None:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for number, cells in enumerate([("a", "b"), (1, "x"), (2, "ü"), (None, "x")]):
            for place, cell in enumerate(cells):
                if cell is not None:
                    sheet.write(number, place, cell)


def drop_all(folder: Path) -> None:
    (folder / "plain.csv").write_text(CSV)
    (folder / "wide.csv").write_text(CSV, encoding="utf-16")
    (folder / "packed.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (folder / "packed.csv.bz2").write_bytes(bz2.compress(CSV.encode()))
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.writestr("in/one.csv", CSV)
        archive.writestr("two.json", '[{"a": 1, "b": "x"}]')
        archive.writestr("../three.csv", CSV)
    (folder / "lines.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": 2, "B": 1}\n{"a": 1, "a": 2}\n')
    (folder / "array.json").write_text('[{"a": 1.50, "b": "x"},\n {"a": null, "b": {"c": [2.50, true]}, "z": 1}, 5]')
    (folder / "elements.xml").write_text("<r>\n<c><a>1</a><b>x</b></c>\n<c><a>2</a><b>ü</b></c>\n<c><b>x</b></c></r>")
    (folder / "columns.txt").write_text("a  b\n1  x\n2  ü\n1\n")
    write_workbook(folder / "sheet.xlsx")
    parquet.write_table(TABLE, folder / "t.parquet")
    orc.write_table(TABLE, str(folder / "t.orc"))
    with (folder / "t.avro").open("wb") as file:
        fastavro.writer(file, AVRO, TABLE.to_pylist())
    (folder / "cut.parquet").write_bytes((folder / "t.parquet").read_bytes()[:-9])
    (folder / "same.csv").write_text(CSV)


def pipeline(spark: SparkSession, folder: Path, **source: Any) -> Pipeline:
    declared = {"files": "drop", "formats": FORMATS, "fields": ["a", "b"], "settle": "0s"} | source
    spec = PipelineSpec.model_validate({
        "pipeline": "p", "description": "P", "source": declared, "sink": {"table": "silver.p"},
    })  # fmt: skip
    assert isinstance(spec.source, FilesSource)
    lake = Lake(spark, str(folder / "lake"))
    return Pipeline(
        spec, FilesReader(spark, str(folder / "drop"), spec.source, FileCatalog(lake.root, "p", "me")), lake
    )


@pytest.mark.slow
def test_one_batch_of_every_format(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    drop_all(tmp_path / "drop")
    loop = pipeline(spark, tmp_path)
    entry = loop.run(RunContext("run", "test"), lambda text: None)
    assert entry.message == "15 new files, 1 refused, 1 with the content of another"
    rows = loop.lake.read("bronze.p").selectExpr(
        "_position.origin AS origin", "_position.record AS record", "a", "b", "_reasons.rule[0] AS reason", "_rescued"
    )
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in sorted(rows.collect(), key=lambda row: (row["origin"], row["record"])):
        found.setdefault(row["origin"].removeprefix(f"{tmp_path}/drop/"), []).append(tuple(row)[1:])
    whole = {name: [row[:4] for row in records] for name, records in found.items()}
    for name in ("plain.csv", "wide.csv", "same.csv", "packed.csv.gz", "packed.csv.bz2", "packed.zip!/in/one.csv"):
        # A packed line keeps the cells it has, an unpacked one too where it was only split.
        assert [row if row[3] is None else (row[0], None, None, row[3]) for row in whole[name]] == OF_CSV, name
    for name in ("t.parquet", "t.orc", "t.avro"):
        assert whole[name] == OF_TABLE, name
        assert found[name][0][4] == '{"extra":1.5}', name
    assert whole["sheet.xlsx"] == [(2, "1", "x", None), (3, "2", "ü", None), (4, None, "x", None)]
    assert whole["elements.xml"] == [(2, "1", "x", None), (3, "2", "ü", None), (4, None, "x", None)]
    assert whole["columns.txt"] == [(2, "1", "x", None), (3, "2", "ü", None), (4, "1", None, "malformed")]
    assert whole["packed.zip!/two.json"] == [(1, "1", "x", None)]
    assert whole["packed.zip!/../three.csv"] == [(0, None, None, "malformed")]
    assert found["array.json"] == [
        (1, "1.50", "x", None, None),
        (2, None, '{"c":[2.50,true]}', None, '{"z": "1"}'),
        (3, None, None, "malformed", None),
    ]
    assert whole["lines.jsonl"][0] == (1, "1", "x", None)
    assert [row[3] for row in whole["lines.jsonl"]] == [None, None, "malformed"]
    files = {Path(row["path"]).name: row for row in read_rows(loop.lake.root, FILES)}
    assert files["cut.parquet"]["outcome"] == "refused"
    assert files["cut.parquet"]["reason"].startswith("it is damaged: ")
    counts = files["plain.csv"]
    assert (counts["rows_read"], counts["rows_good"], counts["rows_quarantined"], counts["owner"]) == (3, 2, 1, "me")
    assert {Path(row["same_content_as"]).name for row in files.values() if row["same_content_as"]} == {"plain.csv"}
    assert sum(row["rows_read"] for row in files.values()) == entry.counts.read
    assert loop.run(RunContext("run", "test"), lambda text: None).outcome == "nothing_new"


def test_a_quoted_cell_may_span_lines_where_that_is_declared(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/m.csv").write_text('a,b\n1,"two\nlines"\n2,"say ""hi"""\n3,"never closed\n4,x\n')
    loop = pipeline(spark, tmp_path, formats={"csv": {"multiline": True}})
    assert loop.run(RunContext("run", "test"), lambda text: None).counts == RowCounts(read=4, good=3, quarantined=1)
    rows = loop.lake.read("bronze.p").selectExpr("_position.record", "a", "b", "_original").orderBy("record").collect()
    assert [tuple(row) for row in rows] == [
        (2, "1", "two\nlines", None),
        (4, "2", 'say "hi"', None),
        (5, None, None, '3,"never closed'),
        (6, "4", "x", None),
    ]
