"""Versions of schemas on record, and how `lakeloop schema` shows them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakeloop.cli import app
from lakeloop.core.run_record import RunContext
from lakeloop.lake.schema_versions import SchemaVersion, SchemaVersions
from tests.small_lake import write_lake

RUN, LATER = RunContext("run", "test", "r1"), RunContext("run", "test", "r2")
FIRST = SchemaVersion(1, "inferred", (("id", "bigint"), ("[b]", None)), "1.csv")
SECOND = SchemaVersion(2, "evolved", (("id", "bigint"), ("[b]", None), ("é", "date")), "2.csv")


def test_recording_a_batch_again_changes_nothing(tmp_path: Path) -> None:
    versions = SchemaVersions(str(tmp_path), "p")
    assert versions.all() == versions.changes() == []
    for _ in range(2):
        versions.record(RUN, 1, [FIRST], [])
        versions.record(LATER, 2, [SECOND], [("added", "é", "2.csv has é"), ("dropped", "id", "2.csv has no id")])
    versions.record(LATER, 2, [], [("added", "é", "3.csv has é too"), ("case", "id", "3.csv writes ID")])
    SchemaVersions(str(tmp_path), "other").record(RUN, 1, [SECOND], [("added", "x", "")])
    assert [(v.version, v.origin, v.columns, v.file) for v in versions.all()] == [
        (each.version, each.origin, each.columns, each.file) for each in (FIRST, SECOND)
    ]
    assert [(row["change"], row["column"], row["detail"], row["run_id"]) for row in versions.changes()] == [
        ("added", "é", "2.csv has é", "r2"),
        ("dropped", "id", "2.csv has no id", "r2"),
        ("case", "id", "3.csv writes ID", "r2"),
    ]


def lakeloop(folder: Path, pipeline: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["schema", pipeline, "--conf-dir", str(folder / "conf")])
    return result.exit_code, result.output


def test_the_command_shows_versions_columns_and_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    project = write_lake(tmp_path)
    assert lakeloop(tmp_path, "people") == (
        0,
        "No schema of people is on record; files have one. Next: lakeloop run people\n",
    )
    code, output = lakeloop(tmp_path, "peple")
    assert code == 1
    assert "did you mean 'people'" in output
    versions = SchemaVersions(project.lake_root, "people")
    versions.record(RUN, 1, [FIRST], [])
    versions.record(LATER, 2, [SECOND], [("added", "é", "2.csv has a column 'é'")])
    code, output = lakeloop(tmp_path, "people")
    lines = [" ".join(line.split()) for line in output.splitlines()]
    day = f"{versions.all()[0].at:%F %H:%M}"
    assert code == 0
    assert lines[:3] == [f"version 1 inferred by 1.csv, {day}", "id bigint", "[b] as it comes"]
    assert lines[4:7] == ["id bigint", "[b] as it comes", "é date"]
    assert lines[7].startswith("added é")
    assert lines[7].endswith("2.csv has a column 'é'")
