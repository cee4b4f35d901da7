"""Corrections of quarantined rows: cells through a spreadsheet and back, what becomes of one row, its history."""

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from deltalake import CommitProperties
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lakeloop.cli import app
from lakeloop.core import run_record
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.source_specs.kafka import KafkaSource
from lakeloop.ingestion.sources.replay.corrections import Corrected, State, correct, state_of, text_of
from lakeloop.ingestion.sources.replay.edits import read_edits
from lakeloop.ingestion.sources.replay.sheet_cells import as_cell, of_cell, told
from lakeloop.ingestion.sources.replay.values import MessageValues, Values
from lakeloop.lake.audit import audit_entries
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.plain_values import FORMULA_STARTS
from lakeloop.lake.quarantine import Quarantine, row_id
from lakeloop.lake.quarantine_decisions import QUARANTINE, append_decisions, decisions
from lakeloop.lake.quarantine_history import row_history
from lakeloop.verbs import lakes
from tests.small_lake import NEW, OLD, OWN, append, write_lake

HARD = [*"=+-@'\t\r\n\\xu1b5c20e\";,\x1b"]
TEXTS = st.one_of(st.text(st.characters(codec="utf-8")), st.lists(st.sampled_from(HARD)).map("".join))


@given(TEXTS)
def test_a_cell_comes_back_as_it_was_and_is_no_formula(text: str) -> None:
    cell = as_cell(text)
    assert of_cell(cell) == (text or None)
    assert not cell.startswith(FORMULA_STARTS)
    assert not any(character < " " and character != "\n" for character in cell)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("'=1", "''=1"),
        ("'tis", "'tis"),
        ("-5", "'-5"),
        ("a\nb", "a\nb"),
        ("a\rb", "a\\x0db"),
        ("\\x1b", "\\x5cx1b"),
        ("\\u00e9 \\n \\\\", "\\u00e9 \\n \\\\"),  # of JSON, and nothing that is read
        (None, ""),
    ],
)
def test_cells_as_they_look(text: str | None, cell: str) -> None:
    assert as_cell(text) == cell
    assert of_cell(cell) == text


def test_what_people_type_is_what_they_mean() -> None:
    assert [of_cell(cell) for cell in ("-5", "'-5", "'tis", "", "=x")] == ["-5", "-5", "'tis", None, "=x"]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_a_file_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str, bom: bool
) -> None:
    """Whatever a spreadsheet parts the cells by, and whether or not it begins with a byte order mark."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(["_row", "_shown", "a", "_original"])
    for number, row in enumerate(rows):
        writer.writerow([f"{number:064x}", "v1", *map(as_cell, row)])
    file = tmp_path_factory.mktemp("edits") / "rows.csv"
    file.write_bytes((b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode())
    found = list(read_edits(file, "orders", ("a",)))
    assert [(edit.row, edit.shown) for edit in found] == [(f"{n:064x}", "v1") for n in range(len(rows))]
    assert [tuple(edit.cells.values()) for edit in found] == [(a or None, b or None) for a, b in rows]


ID = "0123456789ab"


def test_lines_that_nobody_has_changed_say_nothing(tmp_path: Path) -> None:
    shown = told("a,-5,", {"id": "a", "amount": "-5"})
    lines = [f'{ID},{shown},a,{amount},"a,-5,"' for amount in ("'-5", "-5", "5")]
    (tmp_path / "rows.csv").write_text("\n".join(["_row,_shown,id,amount,_original", *lines, ""]))
    (edit,) = read_edits(tmp_path / "rows.csv", "orders", ("id", "amount"))
    assert (edit.line, edit.cells["amount"]) == (4, "5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "no column _row, which says the row that a line is about; found nothing; begin with `lakeloop ",
        ),
        ("id,amount\n", "rows.csv:1: no column _row, which says the row that a line is about; found id, amount; begin"),
        ("_row,amuont\n", "rows.csv:1: the rows have no column 'amuont'; did you mean 'amount'? Allowed: "),
        ("_row,_file\n", "rows.csv:1: the rows have no column '_file'; "),
        ("_row,amount,amount\n", "rows.csv:1: 'amount' stands twice in the header"),
        (f"_row,amount\n{ID},1\n{ID},1,2\n", "rows.csv:3: 3 cells, and the header has 2; save the file as CSV again"),
        ("_row,amount\n1.2E+12,1\n", "rows.csv:2: '1.2E+12' is no row: _row is 12 to 64 of the digits"),
        (f'_row,amount\n{ID},"1\n', "rows.csv: cannot be read: it is no CSV in UTF-8: unexpected end of data"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        list(read_edits(file, "orders", ("id", "amount")))
    assert said in str(refused.value)


def test_a_file_in_another_encoding_or_that_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(f"_row,amount\n{ID},é\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"it is no CSV in UTF-8: .*; begin with .*, and save it as CSV in UTF-8"):
        list(read_edits(tmp_path / "rows.csv", "orders", None))
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read: No such file"):
        list(read_edits(tmp_path / "none.csv", "orders", None))


ROW = {"id": "a", "amount": "-5", "note": None}


def fixed(
    asked: dict[str, str | None], *, earlier: Any = (), shown: str | None = None, has_masks: bool = False
) -> Corrected:
    """What becomes of the row `a,-5,`."""
    state = state_of("a,-5,", Values(ROW), earlier, is_damaged=False)
    return correct(state, "a,-5,", earlier, asked, shown=shown, has_masks=has_masks)


def cell(column: str, before: str | None, after: str | None) -> dict[str, str | None]:
    return {"column": column, "before": before, "after": after}


def test_only_cells_that_differ_are_changed() -> None:
    unchanged = {"id": "a", "amount": "-5", "note": None, "_original": "a,-5,"}
    assert fixed(unchanged) == Corrected()
    changes = (cell("amount", "-5", "0"), cell("note", None, "x"))
    assert fixed(unchanged | {"amount": "0", "note": "x"}) == Corrected(changes, changes)
    emptied = (cell("id", "a", None),)
    assert fixed({"id": None}) == Corrected(emptied, emptied)


def test_corrections_add_up_and_are_undone() -> None:
    earlier = (cell("amount", "-5", "0"),)
    assert fixed({"amount": "0"}, earlier=earlier) == Corrected()
    both = fixed({"amount": "1", "note": "x"}, earlier=earlier)
    assert both.changes == (cell("amount", "0", "1"), cell("note", None, "x"))
    assert both.corrections == (cell("amount", "-5", "1"), cell("note", None, "x"))
    assert fixed({"amount": "-5"}, earlier=earlier) == Corrected((cell("amount", "0", "-5"),), ())


def test_what_cannot_be_meant_is_refused() -> None:
    assert "it has no column 'amuont'; did you mean 'amount'?" in str(fixed({"amuont": "1"}).refused)
    assert fixed({"amuont": None}) == Corrected()
    assert "it can be parsed, so its text stays" in str(fixed({"_original": "a,5,"}).refused)


def test_a_row_that_was_not_parsed_takes_a_whole_text_alone() -> None:
    def broken(asked: dict[str, str | None], error: str = "two cells") -> Corrected:
        return correct(State("a,1", Values(error=error)), "a,1", (), asked, shown=None, has_masks=False)

    whole = (cell("_original", "a,1", "a,1,"),)
    assert broken({"id": None, "_original": "a,1,"}) == Corrected(whole, whole)
    assert "it could not be parsed (two cells)" in str(broken({"id": "a"}).left)
    assert "discard it instead" in str(broken({"_original": None}).refused)
    assert "header of its file" in str(broken({"_original": "x"}, "the header of its file is not known any more").left)
    # Its text is what it is parsed from then, and cells that were corrected before are cells of it.
    assert text_of("a,1", [*whole]) == "a,1,"
    later = state_of("a,1,", Values({"id": "a", "amount": "1"}), [*whole, cell("id", "a", "b")], is_damaged=True)
    assert later == State("a,1,", Values({"id": "b", "amount": "1"}))
    # A part of a line may look like a row.
    assert state_of("a,1", Values({"id": "a"}), (), is_damaged=True).error == "its text is not whole"


def test_a_row_that_is_read_otherwise_now_is_left() -> None:
    shown = told("a,-5,", ROW)
    assert fixed({"amount": "0"}, shown=shown).changes
    assert "read otherwise than when it was shown" in str(fixed({"amount": "0"}, shown=told("a,-5,", {"id": "a"})).left)
    # A column that came since then is none of the row's, and a cell that somebody else has changed is.
    assert told("a,-5,", {**ROW, "new": None}) == shown
    assert fixed({"amount": "0"}, shown=shown, earlier=(cell("id", "a", "b"),)).left


def test_a_mask_is_never_written_back() -> None:
    state = State("a,-5,", Values(ROW))
    masked = state.told(is_masked=True)
    sheet = {"id": "***", "amount": "***", "note": None, "_original": "***"}
    assert fixed(sheet, shown=masked, has_masks=True) == Corrected()
    assert fixed(sheet | {"amount": "0"}, shown=masked, has_masks=True).changes == (cell("amount", "-5", "0"),)
    refused = "note: *** is what is shown in place of personal data, and no value"
    assert fixed(sheet | {"note": "***"}, shown=masked, has_masks=True).refused == refused
    assert fixed({"note": "***"}, has_masks=True).refused == refused
    assert fixed({"id": "***"}, shown=state.told(is_masked=False), has_masks=True).refused is not None
    # Where nothing is masked, three stars are a text like any other.
    assert fixed({"note": "***"}).changes == (cell("note", None, "***"),)


AVRO = {"type": "record", "name": "r", "fields": [
    {"name": "ID", "type": "string"}, {"name": "amount", "type": ["null", "double"]}, {"name": "ok", "type": "boolean"},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]}  # fmt: skip


def message(format: dict[str, Any], original: str, **more: Any) -> Values:
    whole = {"kafka": "k", "topics": ["t"], "format": format} | more
    whole |= {} if "text" in format else {"fields": ["id", "amount"]}
    return MessageValues(KafkaSource.model_validate(whole), {-1: json.dumps(AVRO), 7: json.dumps(AVRO)}).of(original)


def test_messages_are_read_as_spark_reads_them(tmp_path: Path) -> None:
    assert message({"json": {}}, '{"id": "a", "amount": 1.50, "z": 1}') == Values({"id": "a", "amount": "1.50"})
    assert message({"json": {}}, '{"id": [1]}') == Values({"id": "[1]", "amount": None})
    assert message({"json": {}}, "{") == Values(error="the text is not one JSON object")
    assert message({"json": {}}, "base64:/w==").error == "the text is not one JSON object"
    around = json.dumps({"value": '{"id": "a"}', "key": "aw==", "timestamp": "2026-01-01T00:00:00.000Z"})
    found = message({"json": {}}, around, message={"key": "k", "timestamp": "sent"})
    assert found == Values({"id": "a", "amount": None, "k": "k", "sent": "2026-01-01T00:00:00.000Z"})
    assert "a tombstone" in str(message({"json": {}}, '{"value": null, "key": "aw=="}', message={"key": "k"}).error)
    assert message({"text": {"field": "line"}}, "it all") == Values({"line": "it all"})
    assert message({"text": {"field": "line"}}, "base64:/w==").error is not None


def test_avro_messages_are_read_by_the_schema_that_wrote_them() -> None:
    from lakeloop.ingestion.source_specs.kafka import AvroMessages
    from lakeloop.ingestion.sources.replay.values import avro_values

    out = io.BytesIO()
    fastavro.schemaless_writer(out, AVRO, {"ID": "a", "amount": None, "ok": True, "tags": ["x"]})
    kind = AvroMessages.model_construct(registry=None)
    columns = ("id", "amount", "ok", "tags", "absent")
    expected = {"id": "a", "amount": None, "ok": "true", "tags": '["x"]', "absent": None}
    assert avro_values(out.getvalue(), kind, columns, {-1: json.dumps(AVRO)}) == Values(expected)
    assert avro_values(out.getvalue() + b"\0", kind, columns, {-1: json.dumps(AVRO)}).error is not None
    assert avro_values(out.getvalue()[:-2], kind, columns, {-1: json.dumps(AVRO)}).error is not None
    named = AvroMessages.model_construct(registry="r")
    framed = b"\0\0\0\0\7" + out.getvalue()
    assert avro_values(framed, named, columns, {7: json.dumps(AVRO)}) == Values(expected)
    assert avro_values(framed, named, columns, {}).error == "no schema of the id 7 is known"
    assert "does not begin with a zero byte" in str(avro_values(b"abc", named, columns, {}).error)


PLACE = pa.struct([("origin", pa.string()), ("record", pa.int64())])
BRONZE = [*OWN, ("_position", PLACE), ("_rules_version", pa.string()), ("person_id", pa.string())]
NEGATIVE = [{"rule": "amount_is_in_range", "message": "amount: found -5"}]
FIRST = row_id(0, "/d/a.csv", 2, "a,-5")
SECOND = row_id(1, "/d/a.csv", 2, "a,-5")
THIRD = row_id(3, "/d/a.csv", 2, "a,-5")


def lives(root: str, name: str, *, ends: str) -> None:
    """One row that was fixed, bad again, and replayed into a batch in which it `ends`."""
    place = {"origin": "/d/a.csv", "record": 2}

    def life(batch: int, verdict: str, reasons: Any, version: str) -> tuple[Any, ...]:
        original = None if verdict == "good" else "a,-5"
        return (batch, f"r{batch}", OLD, verdict, reasons, original, None, place, version, "a")

    bad = [life(0, "quarantined", NEGATIVE, "v1"), life(1, "quarantined", [{"rule": "other", "message": "m"}], "v1")]
    last = life(3, ends, None if ends == "good" else [{"rule": "too_old", "message": "gone"}], "v2")
    append(root, f"bronze.{name}", BRONZE, [*bad, last], partition_by=["_verdict"])

    def decide(before: str, batch: int, status: Any, after: str, to: int, who: str, why: str, **more: Any) -> None:
        rows = pa.RecordBatch.from_pylist([
            {"row_id": before, "batch_id": batch, "origin": "/d/a.csv", "record": 2, "rows": 1}
        ])  # fmt: skip
        run = RunContext("quarantine", "test", run_id=f"run{to}", user=who)
        columns = {"new_row_id": after, "replayed_to": to, "root_batch_id": 0} | more
        append_decisions(root, [decisions(rows, name, status, run, why, **columns)])

    changes = [cell("amount", "-5", "0")]
    decide(FIRST, 0, "fixed", SECOND, 1, "ann", "a slip", changes=changes, corrections=changes)
    decide(SECOND, 1, "replayed", THIRD, 3, "bob", "the rule was wrong", corrections=changes)


@pytest.mark.parametrize("life", [FIRST, SECOND, THIRD])
@pytest.mark.parametrize("ends", ["good", "dropped"])
def test_a_row_is_followed_through_all_its_lives(tmp_path: Path, life: str, ends: str) -> None:
    root = str(tmp_path)
    lives(root, "orders", ends=ends)
    events = row_history(Quarantine(root, "orders"), Quarantine(root, "orders").find(life[:12]))
    assert [(event.what, event.batch_id, event.by, event.to_batch) for event in events] == [
        ("quarantined", 0, None, None), ("fixed", 0, "ann", 1), ("quarantined", 1, None, None),
        ("replayed", 1, "bob", 3), (ends, 3, None, None),
    ]  # fmt: skip
    assert [event.why for event in events if event.why] == ["a slip", "the rule was wrong"]
    assert events[0].reasons == (("amount_is_in_range", "amount: found -5"),)
    assert [event.changes for event in events if event.changes] == [(("amount", "-5", "0"),)]
    assert events[-1].reasons == (() if ends == "good" else (("too_old", "gone"),))


def test_without_decisions_a_row_was_quarantined_and_is_open(tmp_path: Path) -> None:
    place = {"origin": "t", "record": None}
    bad = (0, "r0", NEW, "quarantined", NEGATIVE, "x", None, place, "v1", "a")
    append(str(tmp_path), "bronze.orders", BRONZE, [bad, bad], partition_by=["_verdict"])
    quarantine = Quarantine(str(tmp_path), "orders")
    (event,) = row_history(quarantine, row_id(0, "t", None, "x"))
    assert (event.what, event.rows, event.rules_version, event.run_id) == ("quarantined", 2, "v1", "r0")


@pytest.mark.parametrize(("ends", "left"), [("good", 0), ("quarantined", 1)])
def test_cells_go_when_no_open_row_needs_them(tmp_path: Path, ends: str, left: int) -> None:
    root = str(tmp_path)
    lives(root, "orders", ends=ends)
    lives(root, "others", ends="good")
    quarantine, said = Quarantine(root, "orders"), CommitProperties()
    assert quarantine.forget_cells(now() - dt.timedelta(days=1), said) == 0
    assert quarantine.forget_cells(now() + dt.timedelta(days=1), said) == 2 - left
    assert quarantine.forget_cells(now() + dt.timedelta(days=1), said) == 0
    rows = read_rows(root, QUARANTINE)
    assert sum(row["corrections"] is not None for row in rows if row["pipeline"] == "orders") == left
    assert sum(row["changes"] is not None for row in rows if row["pipeline"] == "orders") == 0
    assert sum(row["corrections"] is not None for row in rows if row["pipeline"] == "others") == 2
    assert {(row["why"], row["user"]) for row in rows} == {("a slip", "ann"), ("the rule was wrong", "bob")}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    def refuse(*_: object) -> None:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(lakes, "build_session", refuse)
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "stranger")
    monkeypatch.setenv("COLUMNS", "200")
    project = write_lake(tmp_path / "p")
    for name in ("visits", "people"):
        folder = Path(project.lake_root) / "bronze" / name
        folder.rename(folder.with_name(f"{name}_before"))
        lives(project.lake_root, name, ends="good")
    return project


def lakeloop(project: Project, *arguments: object, group: str = "quarantine") -> Result:
    return CliRunner().invoke(app, [group, *map(str, arguments), "--conf-dir", str(project.folder)])


def test_history_tells_a_row_and_a_pipeline(project: Project) -> None:
    told_ = lakeloop(project, "history", "visits", SECOND[:8]).stdout
    lines = [line.strip() for line in told_.splitlines()]
    assert f"2020-05-01 00:00:00 UTC  quarantined in batch 0 · /d/a.csv:2 · row {FIRST[:12]}" in lines
    assert "amount_is_in_range: amount: found -5" in lines
    assert "rule set v1, run r0" in lines
    assert "amount: -5 → 0" in lines
    assert any(line.endswith("fixed by ann into batch 1") for line in lines)
    assert lines[-1].startswith(f"2020-05-01 00:00:00 UTC  good in batch 3 · /d/a.csv:2 · row {THIRD[:12]}")
    rows = json.loads(lakeloop(project, "history", "visits", SECOND[:8], "--format", "json").stdout)
    assert [row["event"] for row in rows] == ["quarantined", "fixed", "quarantined", "replayed", "good"]
    assert rows[1]["changes"] == [cell("amount", "-5", "0")]
    table = lakeloop(project, "history", "visits", FIRST, "--format", "csv").stdout
    header, *lines_ = csv.reader(io.StringIO(table))
    assert [dict(zip(header, line, strict=True))["by"] for line in lines_] == ["", "ann", "", "bob", ""]
    decided = json.loads(lakeloop(project, "history", "visits", "--format", "json").stdout)
    assert [(row["event"], row["rows"], row["by"], row["columns"], row["to_batch"]) for row in decided] == [
        ("replayed", 1, "bob", [], 3), ("fixed", 1, "ann", ["amount"], 1)
    ]  # fmt: skip
    assert "no row 123456 of visits was ever quarantined" in lakeloop(project, "history", "visits", "123456").stdout


def test_history_masks_personal_data_unless_it_is_allowed_and_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = lakeloop(project, "history", "people", FIRST[:8]).stdout
    assert "amount: *** → ***" in shown
    assert "-5" not in shown
    assert "'stranger' is not one of them" in lakeloop(project, "history", "people", FIRST[:8], "--pii").stdout
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "somebody")
    assert "amount: -5 → 0" in lakeloop(project, "history", "people", FIRST[:8], "--pii").stdout
    assert [(one["reader"], one["tables"], one["columns"]) for one in audit_entries(project.lake_root)] == [
        ("somebody", ["ops.quarantine"], ["changes", "corrections"])
    ]
    # Whoever asks the table itself sees no more.
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "stranger")
    sql = "SELECT DISTINCT changes, corrections FROM ops.quarantine WHERE pipeline = 'people' AND changes IS NOT NULL"
    asked = CliRunner().invoke(app, ["query", sql, "--format", "csv", "--conf-dir", str(project.folder)])
    assert asked.stdout.splitlines() == ["changes,corrections", "***,***"]


def test_fix_says_what_it_lacks_before_anything_is_begun(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"_row,page\n{FIRST},/\n")
    for arguments, said in (
        (["--set", "page=/", "--row", FIRST], "a decision needs its reason"),
        (["--reason-text", "x"], "say what to change: --set COLUMN=VALUE for all chosen rows, or --from FILE.csv"),
        (["--reason-text", "x", "--set", "page=/", "--from", file], "say what to change"),
        (["--reason-text", "x", "--set", "page"], "--set page: expected COLUMN=VALUE, as --set amount=0"),
        (["--reason-text", "x", "--set", "page=/"], "say which: --reason, --origin or --row"),
        (["--reason-text", "x", "--from", file, "--reason", "r"], "--from names its rows itself"),
        (["--reason-text", "x", "--set", "pagee=/", "--row", FIRST], "did you mean 'page'?"),
    ):
        result = lakeloop(project, "fix", "visits", *arguments)
        assert (result.exit_code, said in result.stdout) == (1, True), result.stdout
    masked = lakeloop(project, "fix", "people", "--set", "city=***", "--row", FIRST, "--reason-text", "x")
    assert "--set city: *** is what is shown in place of personal data, and no value" in masked.stdout
