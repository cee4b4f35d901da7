"""Dropped files as they come: every line stands somewhere, with the number that an editor shows."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.protocol import Ended
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import Plan
from lakeloop.quality.judgement import judge

RUN = RunContext("run", "test")
ALL = {"csv": {}, "jsonl": {}, "xml": {"row_tag": "c"}}


class Read(NamedTuple):
    """One record as it was read; `values` holds the declared fields in their order."""

    file: str
    line: int
    values: tuple[str | None, ...]
    reason: str | None
    rescued: Any
    original: str


def reader(spark: SparkSession, folder: Path, fields: str, formats: Mapping[str, Any] = ALL) -> FilesReader:
    spec = FilesSource.model_validate({"files": "drop", "formats": formats, "fields": fields.split(), "settle": "0s"})
    return FilesReader(spark, str(folder), spec, FileCatalog(f"{folder}/_lake", "p", None))


def read(
    spark: SparkSession, folder: Path, files: Mapping[str, str | bytes], fields: str = "a b", **formats: Any
) -> list[Read]:
    """Write the files, read all of them, and return the records by file and line."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    source = reader(spark, folder, fields, formats or ALL)
    plan = source.plan(None, lambda text: None)
    assert plan is not None
    extract = source.read(Plan(**json.loads(json.dumps({"details": plan.details, "summary": plan.summary}))))
    judged = judge(extract.frame, extract.findings).select(
        "_position.*",
        F.array(*fields.split()).alias("fields"),
        F.concat_ws(" ", "_reasons.rule").alias("reason"),
        "_rescued",
        "_original",
    )
    return sorted(
        Read(
            row["origin"].removeprefix(f"{folder}/"), row["record"], tuple(row["fields"]), row["reason"] or None,
            row["_rescued"] and json.loads(row["_rescued"]), row["_original"],
        )
        for row in judged.collect()
    )  # fmt: skip


def lines_of(records: list[Read]) -> list[tuple[str, int, str | None]]:
    return [(record.file, record.line, record.reason) for record in records]


def test_csv_lines_keep_their_numbers_over_files_ends_of_line_and_blanks(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "unix.csv": "a,b\n1,x\n\n2,y\n",
        "windows.csv": "a,b\r\n1,x\r\n\r\n2\r\n3,z\r\n",
        "old_mac.csv": "a,b\r1,x\r2,y\r",
        "bom.csv": b"\xef\xbb\xbfa,b\n1,x",
        "bom_windows.csv": b'\xef\xbb\xbf"a","b"\r\n1,x\r\n',
        "ragged.csv": "a,b\n1\n1,2,3\n1,2\n,\n1,\n",
        "swapped.csv": "b,a\nx,1\n",
        "spaces.csv": " a , b \n1,x\n",
        "blank_first.csv": "\n  \na,b\n1,x\n",
    }
    assert [tuple(record[:4]) for record in read(spark, tmp_path, files)] == [
        ("blank_first.csv", 4, ("1", "x"), None),
        ("bom.csv", 2, ("1", "x"), None),
        ("bom_windows.csv", 2, ("1", "x"), None),
        ("old_mac.csv", 2, ("1", "x"), None),
        ("old_mac.csv", 3, ("2", "y"), None),
        ("ragged.csv", 2, ("1", None), "malformed"),
        ("ragged.csv", 3, ("1", "2"), "malformed"),
        ("ragged.csv", 4, ("1", "2"), None),
        ("ragged.csv", 5, (None, None), None),
        ("ragged.csv", 6, ("1", None), None),
        ("spaces.csv", 2, ("1", "x"), None),
        ("swapped.csv", 2, ("1", "x"), None),
        ("unix.csv", 2, ("1", "x"), None),
        ("unix.csv", 4, ("2", "y"), None),
        ("windows.csv", 2, ("1", "x"), None),
        ("windows.csv", 4, ("2", None), "malformed"),
        ("windows.csv", 5, ("3", "z"), None),
    ]


def test_csv_quotes(spark: SparkSession, tmp_path: Path) -> None:
    content = 'a,b\n"1,5","say ""hi"""\n"","x"\n1,"torn in\ntwo"\n1,5" pipe\n1,back\\slash\n'
    records = read(spark, tmp_path, {"q.csv": content})
    assert [record[1:4] for record in records] == [
        (2, ("1,5", 'say "hi"'), None),
        (3, (None, "x"), None),
        (4, records[2].values, "malformed"),
        (5, records[3].values, "malformed"),
        (6, ("1", '5" pipe'), None),
        (7, ("1", "back\\slash"), None),
    ]
    assert [record.original for record in records[2:4]] == ['1,"torn in', 'two"']


def test_csv_with_another_delimiter_and_quote(spark: SparkSession, tmp_path: Path) -> None:
    records = read(
        spark, tmp_path, {"s.csv": "a;b\n'1;5';x,y\n"}, csv={"delimiter": ";", "quote": "'"}
    )  # fmt: skip
    assert [record.values for record in records] == [("1;5", "x,y")]


def test_csv_columns_too_many_too_few_and_twice(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "case.csv": "a,A,b\n1,2,x\n",
        "corrupt.csv": "a,b,_corrupt,_text,c.d\n1,x,2,3,4\n",
        "few.csv": "a\n1\n2\n",
        "many.csv": "a,c,b\n1,7,x\n2,,y\n",
        "nameless.csv": "a,b,,\n1,x,7,8\n",
        "none.csv": "c,d\n1,2\n",
        "numbered.csv": "a_3,a,a,b\n1,2,3,x\n",
        "twice.csv": "a,b,a\n1,x,2\n",
    }
    assert [record[:1] + record[2:5] for record in read(spark, tmp_path, files)] == [
        ("case.csv", ("1", "x"), None, {"A_2": "2"}),
        ("corrupt.csv", ("1", "x"), None, {"_corrupt_3": "2", "_text": "3", "c.d": "4"}),
        ("few.csv", ("1", None), "field_missing", None),
        ("few.csv", ("2", None), "field_missing", None),
        ("many.csv", ("1", "x"), None, {"c": "7"}),
        ("many.csv", ("2", "y"), None, {}),
        ("nameless.csv", ("1", "x"), None, {"_3": "7", "_4": "8"}),
        ("none.csv", (None, None), "field_missing", {"c": "1", "d": "2"}),
        ("numbered.csv", ("2", "x"), None, {"a_3": "1", "a_3_3": "3"}),
        ("twice.csv", ("1", "x"), None, {"a_3": "2"}),
    ]


def test_csv_files_that_are_no_table(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "empty.csv": b"",
        "header.csv": "a,b",
        "blank.csv": "\n\n  \n",
        "good.csv": "a,b\n1,x\n",
        "wide.csv": "a,b\n" + "," * 30_000 + "\n2,y\n",
        "long_header.csv": "x" * 200_000 + "\n1,x\n",
        "utf16.csv": "a,b\n1,x\n".encode("utf-16"),
        "zip.csv": b"PK\x03\x04\x00\x00\xff\xfe\n\x00\x00",
    }
    records = {(record.file, record.line): record for record in read(spark, tmp_path, files)}
    good = sorted(place for place, record in records.items() if record.reason is None)
    assert good == [("good.csv", 2), ("utf16.csv", 2), ("wide.csv", 3)]  # a byte order mark says the encoding
    assert records["wide.csv", 2].reason == "malformed"
    assert {record.file for record in records.values()}.isdisjoint({"empty.csv", "header.csv", "blank.csv"})


def test_bytes_that_are_not_utf8_are_malformed_and_silence_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "latin.csv": "a,b\n1,Müller\n2,Maier\n".encode("latin-1"),
        "latin.jsonl": '{"a": 1, "b": "ü"}\n{"a": 2, "b": "u"}\n'.encode("latin-1"),
    }
    assert lines_of(read(spark, tmp_path, files)) == [
        ("latin.csv", 2, "malformed"),
        ("latin.csv", 3, None),
        ("latin.jsonl", 1, "malformed"),
        ("latin.jsonl", 2, None),
    ]


@pytest.fixture
def small_splits(spark: SparkSession) -> Iterator[None]:
    """Every file of more than a few kilobytes is read in several tasks."""
    settings = {"spark.sql.files.maxPartitionBytes": "4096", "spark.sql.files.openCostInBytes": "0"}
    for key, value in settings.items():
        spark.conf.set(key, value)
    yield
    for key in settings:
        spark.conf.unset(key)


@pytest.mark.parametrize(
    ("mark", "end", "is_split"),
    [("", "\n", False), ("", "\r\n", False), ("\ufeff", "\n", True), ("\ufeff", "\r\n", True), ("", "\r", True)],
)
def test_line_numbers_hold_however_files_are_split(
    spark: SparkSession, tmp_path: Path, small_splits: None, mark: str, end: str, is_split: bool
) -> None:
    lines = ["a,b", *("" if n % 7 == 0 else f"{n},{'x' * (n % 40)}" for n in range(2, 3_001))]
    content = end.join(lines)
    assert len(content) > 10 * 4096
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(mark + content, newline="")
    source = reader(spark, tmp_path, "a b")
    plan = source.plan(None, lambda text: None)
    assert plan is not None
    frame = source.read(plan).frame
    assert (frame.rdd.getNumPartitions() > 10) == is_split
    is_right = F.col("a").cast("bigint") == F.col("_position.record")
    rows = frame.groupBy("_position.origin").agg(F.count("*").alias("rows"), F.count_if(is_right).alias("right"))
    expected = sum(line != "" for line in lines[1:])
    assert [(row["rows"], row["right"]) for row in rows.collect()] == [(expected, expected)] * 2


def test_json_lines(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        '{"a": 1, "b": 2.5}',
        '{"b": {"c": [1, null]}, "a": [1, 2]}',
        "",
        '{"a": null}',
        '{"a": "ü \\u00fc \\n", "b": true, "z": 1, "y": {"w": 2}}',
        '{"a": 123456789012345678901234567890, "b": 0.1}',
        "{}",
        '{"a": "1", "b": "cut',
        '{"a": 1} trailing',
        '{"a": 1}{"a": 2}',
        '[{"a": 1}, {"a": 2}]',
        '"text"',
        "12",
        "null",
        "a,b",
        '{"a": 1,}',
    ]
    records = read(spark, tmp_path, {"j.jsonl": "\n".join(lines)})
    assert [(record.line, record.values, record.rescued) for record in records if record.reason is None] == [
        (1, ("1", "2.5"), None),
        (2, ("[1,2]", '{"c":[1,null]}'), None),
        (4, (None, None), None),
        (5, ("ü ü \n", "true"), {"z": "1", "y": '{"w":2}'}),
        (6, ("123456789012345678901234567890", "0.1"), None),
        (7, (None, None), None),
    ]
    assert [(record.line, record.reason) for record in records if record.reason] == [
        (line, "malformed") for line in range(8, 17)
    ]
    assert [record.original for record in records] == [line for line in lines if line]


def test_xml_records_beside_other_files(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "good.xml": "<all>\n<c><a>1</a><b>x</b><z>7</z></c>\n<c><b/></c>\n</all>",
        "broken.xml": "<all>\n<c><a>1</a></c>\n<c><a>&</a></c>\n<c><a>2</a></c></all>",
        "empty.xml": b"",
        "blank.xml": b"\n",
        "j.jsonl": '{"a": 1}\n',
    }
    records = read(spark, tmp_path, files)
    assert [tuple(record[:5]) for record in records] == [
        ("blank.xml", 2, (None, None), "malformed", None),
        ("broken.xml", 2, ("1", None), None, None),
        ("broken.xml", 3, (None, None), "malformed", None),
        ("good.xml", 2, ("1", "x"), None, {"z": "7"}),
        ("good.xml", 3, (None, None), None, None),
        ("j.jsonl", 1, ("1", None), None, None),
    ]
    assert records[2].original == "<c><a>&</a></c>"


def test_names_that_spark_or_a_url_would_read_otherwise(spark: SparkSession, tmp_path: Path) -> None:
    stems = [
        "a b",
        "[1]",
        "{x,y}",
        "50%20off",
        "what?",
        "star*",
        "ü",
        "plus+",
        "hash#",
        "a;b",
        "back\\slash",
    ]
    files: dict[str, str | bytes] = {}
    for stem in stems:
        files |= {
            f"{stem}.csv": "a,b\n1,x\n",
            f"{stem}.JSONL": '{"a": 1, "b": 2}\n',
            f"{stem}.xml": "<all><c><a>1</a><b/></c></all>",
        }
    files["sub [1]/deep er/x.csv"] = "a,b\n1,x\n"
    records = read(spark, tmp_path, files)
    assert lines_of(records) == [(name, 2 if name.endswith("csv") else 1, None) for name in sorted(files)]


def test_a_plan_names_each_new_file_once(spark: SparkSession, tmp_path: Path) -> None:
    source = reader(spark, tmp_path, "a b", {"csv": {}})
    assert source.plan(None, lambda text: None) is None
    (tmp_path / "1.csv").write_text("a,b\n")
    for ignored in (".hidden.csv", "_tmp.csv", "notes.txt", "1.jsonl", "csv", ".part/1.csv", "_temporary/1.csv"):
        (tmp_path / ignored).parent.mkdir(exist_ok=True)
        (tmp_path / ignored).write_text("a,b\n")
    first = source.plan(None, lambda text: None)
    assert first is not None
    assert names(first) == ["1.csv"]
    source.finish(Ended(Plan(json.loads(json.dumps(first.details)), first.summary), 0, RUN, {}))
    assert source.plan(None, lambda text: None) is None
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,b\n")
    again = source.plan(None, lambda text: None)
    assert again is not None
    assert names(again) == ["1.csv", "2.csv"]
    assert again.summary == "2 new files, 1 with the content of another"  # of the first 1.csv


def names(plan: Plan) -> list[str]:
    return [Path(file["path"]).name for file in plan.details["files"]]


def test_a_name_with_a_colon_is_refused_in_words_and_the_rest_lands(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "at 12:30.csv").write_text("a,b\n1,x\n")
    (tmp_path / "b.csv").write_text("a,b\n2,y\n")
    source = reader(spark, tmp_path, "a b")
    plan = source.plan(None, lambda text: None)
    assert plan is not None
    assert "Spark cannot read a local file with ':'" in plan.details["files"][0]["refused"]
    assert [row["a"] for row in source.read(plan).frame.collect()] == ["2"]


def test_a_folder_that_is_not_there(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere does not exist; create it"):
        reader(spark, tmp_path / "nowhere", "a").plan(None, lambda text: None)


def test_a_planned_file_that_is_gone(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.jsonl").write_text('{"a": 1}\n')
    source = reader(spark, tmp_path, "a b")
    plan = source.plan(None, lambda text: None)
    assert plan is not None
    for name in ("2.jsonl", "1.csv"):
        (tmp_path / name).unlink()
        with pytest.raises(SourceError, match=rf"{name} .*put it back"):
            source.read(plan)


def test_a_planned_file_that_was_replaced_is_left_to_the_next_plan(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    source = reader(spark, tmp_path, "a b")
    plan = source.plan(None, lambda text: None)
    assert plan is not None
    (tmp_path / "1.csv").write_text("a,b\n2,yy\n")
    assert source.read(plan).frame.count() == 0
    source.finish(Ended(plan, 0, RUN, {}))
    following = source.plan(None, lambda text: None)
    assert following is not None
    assert [row["a"] for row in source.read(following).frame.collect()] == ["2"]
