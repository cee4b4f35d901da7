"""`lakeloop query` and `retain` as people type them."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakeloop.cli import app
from lakeloop.cli.result_rows import LimitedRows
from lakeloop.core import run_record
from lakeloop.core.config import Project
from lakeloop.lake.audit import audit_entries
from lakeloop.verbs import lakes
from tests.small_lake import add_visits, write_lake


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    def refuse(*_: object) -> None:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(lakes, "build_session", refuse)
    monkeypatch.setenv("COLUMNS", "200")
    return write_lake(tmp_path)


def lakeloop(project: Project, *arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--conf-dir", str(project.folder)])


def test_a_table_for_eyes(project: Project) -> None:
    result = lakeloop(project, "query", "SELECT person_id, city, age FROM silver.people ORDER BY person_id")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["person_id", "city", "age"], ["a", "***", "30"], ["b", "***", "NULL"], ["c", "NULL", "41"], ["d", "***", "30"],
    ]  # fmt: skip


def test_a_limit_says_that_it_cut(project: Project) -> None:
    cut = lakeloop(project, "query", "SELECT * FROM silver.visits", "--limit", 3, "--format", "csv")
    assert len(cut.stdout.splitlines()) == 4
    assert "3 rows shown, and there are more: give a greater --limit" in cut.stderr
    whole = lakeloop(project, "query", "SELECT * FROM silver.visits", "--limit", 4, "--format", "csv")
    assert len(whole.stdout.splitlines()) == 5
    assert whole.stderr == ""
    eyes = lakeloop(project, "query", "SELECT 1", "--limit", 10_001)
    assert eyes.exit_code == 1
    assert "take --format csv or json for more" in eyes.stdout


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "safe", "a=b", 'quoted "text", line\nbreak']


def test_csv_cells_are_no_formulas_unless_raw(project: Project, tmp_path: Path) -> None:
    add_visits(project.lake_root, 1, [(text, "/f", -1.5) for text in FORMULAS])
    sql = "SELECT person_id AS \"=id\", seconds FROM silver.visits WHERE page = '/f'"
    for raw in (False, True):
        file = tmp_path / "out.csv"
        result = lakeloop(project, "query", sql, "--output", file, *(["--raw"] if raw else []))
        assert result.exit_code == 0, result.output
        assert "8 rows in" in result.stderr
        header, *rows = csv.reader(io.StringIO(file.read_text()))
        escaped = [*(f"'{text}" for text in FORMULAS[:5]), *FORMULAS[5:]]
        assert header == ["=id" if raw else "'=id", "seconds"]
        assert sorted(row[0] for row in rows) == sorted(FORMULAS if raw else escaped)
        assert {row[1] for row in rows} == {"-1.5"}
        assert not list(tmp_path.glob("*.part"))


def test_json_keeps_types_and_null(project: Project, tmp_path: Path) -> None:
    sql = "SELECT person_id, age, at FROM silver.people WHERE person_id < 'c' ORDER BY person_id"
    file = tmp_path / "out.json"
    assert lakeloop(project, "query", sql, "--output", file).exit_code == 0
    assert json.loads(file.read_text()) == [
        {"person_id": "a", "age": 30, "at": "2020-05-01T00:00:00+00:00"},
        {"person_id": "b", "age": None, "at": "2026-05-01T00:00:00+00:00"},
    ]
    nothing = lakeloop(project, "query", sql.replace("< 'c'", "> 'x'"), "--format", "json")
    assert json.loads(nothing.stdout) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DROP TABLE silver.people", "only a SELECT is answered, found DROP"),
        ("SELECT * FROM silver.peopel", "did you mean 'silver.people'?"),
        ("SELECT nope FROM silver.people", "No field named nope"),
    ],
)
def test_mistakes_are_one_sentence(project: Project, tmp_path: Path, sql: str, said: str) -> None:
    result = lakeloop(project, "query", sql, "--output", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert said in result.stdout
    assert not (tmp_path / "out.csv").exists()


def test_personal_data_are_for_those_who_are_named_and_leave_a_trace(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT email FROM silver.people WHERE city = 'Bern' ORDER BY email"
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "stranger")
    refused = lakeloop(project, "query", sql, "--pii")
    assert refused.exit_code == 1
    assert "'stranger' is not one of them" in refused.stdout
    assert audit_entries(project.lake_root) == []
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "somebody")
    shown = lakeloop(project, "query", sql, "--pii", "--format", "csv")
    assert shown.stdout.splitlines() == ["email", "ann@example.com", "dora@example.com"]
    (entry,) = audit_entries(project.lake_root)
    assert (entry["reader"], entry["through"], entry["tables"], entry["columns"]) == (
        "somebody", "terminal", ["silver.people"], ["email"]
    )  # fmt: skip


def test_a_secret_is_asked_for_only_where_a_hash_is_shown(project: Project) -> None:
    (project.folder.parent / "secrets/masking_key").unlink()
    assert lakeloop(project, "query", "SELECT * FROM silver.visits").exit_code == 0
    assert "the secret 'masking_key' has no value" in lakeloop(project, "query", "SELECT age FROM silver.people").stdout


def test_serving_without_keys_is_refused(project: Project) -> None:
    (project.folder / "base/access.yml").write_text("masking_key: ${secret:masking_key}\n")
    result = lakeloop(project, "serve", "data", "--port", 0)
    assert result.exit_code == 1
    assert "no key is declared, so nobody could read" in result.stdout


def test_rows_are_counted_and_cut_across_batches() -> None:
    import pyarrow as pa

    batches = [pa.record_batch({"a": [1, 2]}), pa.record_batch({"a": [3, None]})]
    for limit, shown, cut in ((1, 1, True), (2, 2, True), (3, 3, True), (4, 4, False), (9, 4, False)):
        rows = LimitedRows(iter(batches), limit)
        assert len(list(rows)) == rows.shown == shown
        assert rows.was_cut is cut
