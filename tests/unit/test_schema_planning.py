"""The schema of a batch from the files themselves, as the driver sees them."""

import gzip
import zipfile
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from pyarrow import orc, parquet

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.inspection import inspect_files
from lakeloop.ingestion.sources.files.listing import list_files
from lakeloop.ingestion.sources.files.looking import BYTES, RECORDS
from lakeloop.ingestion.sources.files.schema_planning import SchemaPlanner
from lakeloop.lake.schema_versions import SchemaVersions

FORMATS: dict[str, Any] = {
    "csv": {"encoding": "auto"}, "jsonl": {}, "json_array": {}, "xml": {"row_tag": "r"}, "parquet": {}, "orc": {},
    "avro": {}, "fixed_width": {"widths": {"a": 2, "b": 3}}, "text": {},
}  # fmt: skip


def planner(folder: Path, texts: tuple[str, ...] = (), **declared: Any) -> SchemaPlanner:
    spec = FilesSource.model_validate({"files": "drop", "formats": FORMATS, **declared})
    return SchemaPlanner(spec, SchemaVersions(f"{folder}/lake", "p"), texts)


def plan(folder: Path, files: dict[str, str | bytes], texts: tuple[str, ...] = (), **declared: Any) -> PlannedSchema:
    """Drop files and plan them and no others."""
    drop = folder / "drop"
    drop.mkdir(exist_ok=True)
    for name, content in files.items():
        (drop / name).write_bytes(content.encode() if isinstance(content, str) else content)
    planning = planner(folder, texts, **declared)
    listed = [file for file in list_files(str(drop), planning.spec) if not files or Path(file.path).name in files]
    return planning.plan(inspect_files(listed, planning.spec, lambda text: None, str(drop)))


def types(planned: PlannedSchema) -> dict[str, str | None]:
    return {column.name: column.type for column in planned.schema.columns}


def test_text_of_every_kind(tmp_path: Path) -> None:
    assert types(plan(tmp_path, {"a.csv": "id;n\n1;2\n"}, formats={"csv": {"delimiter": "auto"}})) == {
        "id": "bigint", "n": "bigint",
    }  # fmt: skip
    files: dict[str, str | bytes] = {
        "b.csv": "id,zip\n1,012\n\n2,x\n".encode("utf-16"),
        "c.csv.gz": gzip.compress(b'id,price\n3,"1.5"\n'),
        "d.jsonl": '{"id": 4, "tags": ["x"], "day": null}\n{"day": "2026-01-01", "ID": 5}\nbroken\n',
        "e.json": '[{"id": 6.5}]',
        "f.xml": "<all><r><id>7</id><at>2026-01-01T10:00:00Z</at></r></all>",
        "g.txt": "1 abc\n2 def\n",
        "h.log": "a line\n",
        "refused.gz.csv": b"\x1f\x8b",
        "torn.csv.gz": gzip.compress(b"torn\n1\n" * 1000)[:30],
    }
    assert types(plan(tmp_path, files)) == {
        "id": "double", "zip": "string", "price": "double", "tags": "string", "day": "date", "at": "timestamp",
        "a": "bigint", "b": "string", "text": "string",
    }  # fmt: skip


def test_an_archive_and_names_that_are_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/1.csv", "a,,a\n1,2,3\n")
        archive.writestr("2.jsonl", '{"b": true}\n')
    planned = plan(tmp_path, {"z.zip": (tmp_path / "z.zip").read_bytes()})
    assert types(planned) == {"a": "bigint", "a_3": "bigint", "b": "boolean"}
    assert [change[:2] for change in planned.changes] == [("added", "_2")]


@pytest.mark.parametrize("header", ["Customer Id", "a.b", "a`b"])
def test_a_name_that_no_table_can_have_needs_a_rename(tmp_path: Path, header: str) -> None:
    files: dict[str, str | bytes] = {"1.csv": f"{header},n\n1,2\n"}
    with pytest.raises(SourceError, match=r"1\.csv: no column may be called .* declare renames"):
        plan(tmp_path, files)
    planned = plan(tmp_path, files, schema={"renames": {"customer_id": header}})
    assert types(planned) == {"customer_id": "bigint", "n": "bigint"}
    assert planned.aliases == {"customer_id": (header,)}


def test_files_that_name_nothing_give_no_schema(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no new file names a column"):
        plan(tmp_path, {"empty.csv": "", "blank.csv": "\n", "bad.jsonl": "no\n"})


def test_files_with_types_of_their_own(tmp_path: Path) -> None:
    moment = pa.timestamp("us", tz="UTC")
    table = pa.table({
        "i": pa.array([1], pa.int32()), "d": pa.array([1], pa.decimal128(10, 2)), "at": pa.array([0], moment),
        "local": pa.array([0], pa.timestamp("us")), "o": [{"x": 1}], "s": ["x"],
    })  # fmt: skip
    (tmp_path / "drop").mkdir()
    parquet.write_table(table, tmp_path / "drop/1.parquet")
    orc.write_table(pa.table({"i": pa.array([1], pa.int64()), "only": [1.5]}), tmp_path / "drop/2.orc")
    fields = [
        {"name": "i", "type": ["null", "int"]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "list", "type": {"type": "array", "items": "int"}},
    ]
    with (tmp_path / "drop/3.avro").open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, [{"i": 1, "day": 1, "list": []}])
    assert types(plan(tmp_path, {})) == {
        "i": "bigint", "d": "decimal(10,2)", "at": "timestamp", "local": None, "o": None, "s": "string",
        "only": "double", "day": "date", "list": None,
    }  # fmt: skip


def test_what_a_transform_reads_as_text_has_no_type(tmp_path: Path) -> None:
    assert types(plan(tmp_path, {"1.csv": "id,price\n1,2.50\n"}, ("price",))) == {"id": "bigint", "price": None}


def test_the_sample_is_bounded_and_what_follows_it_does_not_count(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.csv": "n\n" + "1\n" * RECORDS + "x\n",
        "b.jsonl": '{"n": 1}\n' * RECORDS + '{"late": 1}\n',
        "c.jsonl": '{"n": 1, "t": "' + "x" * BYTES + '"}\n{"late": 1}\n',
    }
    planned = plan(tmp_path, files, fields=None)
    assert types(planned) == {"n": "bigint"}
    assert planned.changes == ()  # none of them was looked at as a whole
    lacking: dict[str, str | bytes] = {"d.jsonl": '{"m": 1}\n'}
    strict = {"schema": {"columns": {"n": "freeze"}}}
    assert plan(tmp_path, lacking, fields=["n", "m"], **strict).lacks == {f"{tmp_path}/drop/d.jsonl": ("n",)}
    assert plan(tmp_path, lacking, fields=["n", "m"]).lacks == {}


def test_a_new_declaration_begins_a_version_and_an_old_one_stays(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"1.csv": "id,x\n1,2\n"}
    evolve = {"schema": {"evolution": "evolve"}}
    run = RunContext("run", "test")
    first = plan(tmp_path, files, fields={"id": "bigint"}, **evolve)
    assert [(each.version, each.origin, each.names) for each in first.new] == [
        (1, "declared", ["id"]),
        (2, "evolved", ["id", "x"]),
    ]
    planner(tmp_path).record(first, run)
    again = plan(tmp_path, files, fields={"id": "bigint"}, **evolve)
    assert (again.schema, again.new, again.changes) == (first.schema, (), ())
    assert plan(tmp_path, files).schema == first.schema  # without fields the latest stays
    changed = plan(tmp_path, files, fields={"id": "string", "y": "int"})
    assert [(each.version, each.origin, each.names) for each in changed.new] == [(3, "declared", ["id", "y"])]
    assert [change[:2] for change in changed.changes] == [
        ("added", "y"), ("dropped", "x"), ("retyped", "id"), ("added", "x"), ("dropped", "y"),
    ]  # fmt: skip
