"""Decisions on quarantined rows and refused files, and `lakeloop quarantine` as people type it; without a JVM."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lakeloop import verbs
from lakeloop.cli import app
from lakeloop.core import run_record
from lakeloop.core.config import Project
from lakeloop.core.errors import TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.source_specs.files import (
    CsvFormat,
    ExcelFormat,
    JsonArrayFormat,
    Limits,
    PlainTextFormat,
    XmlFormat,
)
from lakeloop.ingestion.sources.replay.forms import Form
from lakeloop.ingestion.sources.replay.originals import NOT_ONE, Reparser
from lakeloop.lake.audit import audit_entries
from lakeloop.lake.file_catalog import FileCatalog, FileEntry
from lakeloop.lake.ledger import Ledger, Plan
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.quarantine import Chosen, Quarantine, row_id, row_id_sql
from lakeloop.lake.quarantine_decisions import QUARANTINE
from lakeloop.verbs import lakes
from tests.small_lake import NEW, OLD, OWN, append, write_lake

RUN = RunContext("quarantine discard", "test", run_id="r9", user="steward")
PLACE = pa.struct([("origin", pa.string()), ("record", pa.int64())])
ROW = [*OWN, ("_position", PLACE), ("_rules_version", pa.string()), ("k", pa.string())]
Reasons = list[dict[str, str]]
MISSING: Reasons = [{"rule": "k_is_not_null", "message": "k: found NULL"}]
BOTH: Reasons = [*MISSING, {"rule": "k_is_short", "message": "k is long"}]


def row(
    batch: int, origin: str, record: int | None, original: str | None, reasons: Reasons = MISSING, at: Any = OLD
) -> tuple[Any, ...]:
    return (batch, "r", at, "quarantined", reasons, original, None, {"origin": origin, "record": record}, "v1", None)


# The third and the fourth are alike; the sixth differs from the first by its batch alone.
ROWS = [
    row(0, "/d/a.csv", 2, "x,1"),
    row(0, "/d/a.csv", 3, "x,1", BOTH),
    row(0, "crm.t", None, "{}"),
    row(0, "crm.t", None, "{}"),
    row(0, "/d/z.zip!/in.csv", 2, "", BOTH),
    row(1, "/d/a.csv", 2, "x,1", at=NEW),
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> str:
    root = str(tmp_path / "lake")
    good = (0, "r", OLD, "good", None, None, None, {"origin": "/d/a.csv", "record": 4}, "v1", "k")
    append(root, "bronze.orders", ROW, [*ROWS, good], partition_by=["_verdict"])
    return root


def open_places(quarantine: Quarantine, chosen: Chosen | None = None) -> Counter[tuple[int, str, int | None]]:
    rows = (one for batch in quarantine.open_rows(chosen or Chosen(), 100) for one in batch.to_pylist())
    return Counter((one["batch_id"], one["origin"], one["record"]) for one in rows)


TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["|", "1|", "ä|𝄞", "\n", "'"])


ROWS_OF_ANY_TEXT = st.lists(
    st.tuples(st.integers(0, 99), TEXTS, st.none() | st.integers(0, 99), TEXTS), min_size=1, max_size=20
)


@settings(max_examples=30)
@given(ROWS_OF_ANY_TEXT)
def test_a_row_has_one_id_whoever_computes_it(rows: list[tuple[int, str | None, int | None, str | None]]) -> None:
    schema = [("_batch_id", pa.int64()), ("_position", PLACE), ("_original", pa.string())]
    with TemporaryDirectory() as root:
        append(root, "s.t", schema, [(one[0], {"origin": one[1], "record": one[2]}, one[3]) for one in rows])
        builder = QueryBuilder().register("record", DeltaTable(f"{root}/s/t"))
        found = pa.table(builder.execute(f"SELECT {row_id_sql()} AS id FROM record").read_all())["id"].to_pylist()
    assert Counter(found) == Counter(row_id(*one) for one in rows)
    alike = {(batch, origin or "", record, original or "") for batch, origin, record, original in rows}
    assert len(set(found)) == len(alike)


def test_what_is_open_by_rule(root: str) -> None:
    quarantine = Quarantine(root, "orders")
    assert quarantine.by_rule() == [
        {"rule": "k_is_not_null", "rows": 6, "since": OLD}, {"rule": "k_is_short", "rows": 2, "since": OLD}
    ]  # fmt: skip
    assert Quarantine(root, "orders", open_batch=1).count(Chosen()) == 5
    assert Quarantine(root, "nothing_came_yet").by_rule() == []
    assert Quarantine(root, "nothing_came_yet").count(Chosen()) == 0


@pytest.mark.parametrize(
    ("chosen", "rows", "gone"),
    [
        (Chosen(), 6, [0, 1, 2, 3, 4, 5]),
        (Chosen(rule="k_is_short"), 2, [1, 4]),
        (Chosen(origin="/d/a.csv"), 3, [0, 1, 5]),
        (Chosen(origin="crm.t"), 2, [2, 3]),
        (Chosen(origin="/d/z.zip"), 1, [4]),
        (Chosen(rule="k_is_short", origin="/d/a.csv"), 1, [1]),
        (Chosen(rule="' OR 1=1 --"), 0, []),
    ],
)
def test_discarding_closes_what_was_chosen_and_nothing_else(
    root: str, chosen: Chosen, rows: int, gone: list[int]
) -> None:
    quarantine, version = Quarantine(root, "orders"), DeltaTable(f"{root}/bronze/orders").version()
    assert quarantine.count(chosen) == rows
    assert quarantine.discard(chosen, RUN, "of no use") == rows
    left = Counter((one[0], one[7]["origin"], one[7]["record"]) for n, one in enumerate(ROWS) if n not in gone)
    assert open_places(quarantine) == left
    assert quarantine.discard(chosen, RUN, "of no use") == 0
    assert DeltaTable(f"{root}/bronze/orders").version() == version
    decided = read_rows(root, QUARANTINE)
    assert sum(one["rows"] for one in decided) == rows
    assert {(one["status"], one["why"], one["user"], one["run_id"], one["replayed_to"]) for one in decided} == (
        {("discarded", "of no use", "steward", "r9", None)} if rows else set()
    )


def test_a_decision_on_one_pipeline_closes_no_row_of_another(root: str) -> None:
    append(root, "bronze.others", ROW, ROWS, partition_by=["_verdict"])
    Quarantine(root, "orders").discard(Chosen(), RUN, "of no use")
    assert Quarantine(root, "others").count(Chosen()) == 6


FIELDS = ("a", "b")


def reparsed(form: Form, declared: Any, original: str) -> tuple[Any, ...]:
    (found,) = Reparser(form, declared, FIELDS, Limits()).rows([("/f", 7, original)])
    *values, origin, place, text, rescued, error, missing = found
    assert (origin, place, text) == ("/f", 7, original)
    return (*values, rescued, error, missing)


CSV, JSON, XML = Form("record", "csv", ("a", "b"), ";"), Form("record", "json"), Form("record", "xml")
EXCEL, XML_FORMAT = Form("record", "xlsx", ("a", "b")), XmlFormat(row_tag="r")
NO_OBJECT = "the text is not one JSON object"


@pytest.mark.parametrize(
    ("form", "declared", "original", "expected"),
    [
        (CSV, CsvFormat(), '1;"x;y"', ("1", "x;y", None, None, None)),
        (CSV, CsvFormat(), "1;", ("1", None, None, None, None)),
        (CSV, CsvFormat(), "1;2\n3;4", (None, None, None, NOT_ONE, None)),
        (CSV, CsvFormat(), "", (None, None, None, NOT_ONE, None)),
        (
            Form("record", "csv", ("B", 'c"c'), ","),
            CsvFormat(),
            "1,2",
            (None, "1", '{"c\\"c": "2"}', None, "a"),
        ),
        (JSON, JsonArrayFormat(), '{"a": 1.10, "z": [1]}', ("1.10", None, '{"z": "[1]"}', None, None)),
        (JSON, JsonArrayFormat(), '[{"a": 1}]', (None, None, None, NO_OBJECT, None)),
        (JSON, JsonArrayFormat(), '{"a": 1} {"a": 2}', (None, None, None, NO_OBJECT, None)),
        (XML, XML_FORMAT, '<r a="1"><b>x &amp; y</b></r>', (None, "x & y", '{"@a": "1"}', None, None)),
        (XML, XML_FORMAT, "<r><r/><b>2</b></r>", (None, "2", '{"r": null}', None, None)),
        (
            XML,
            XML_FORMAT,
            "<s><b>2</b></s>",
            (None, None, None, "no element <r> in the document, but <b>; check row_tag", None),
        ),
        (
            Form("record", "log"),
            PlainTextFormat(field="a"),
            "it all",
            ("it all", None, None, None, "b"),
        ),
        (EXCEL, ExcelFormat(), '["1", null]', ("1", None, None, None, None)),
        (EXCEL, ExcelFormat(), "torn", (None, None, None, NOT_ONE, None)),
        (Form("columns"), None, '{"a": 12.0, "b": 1.0E7}', ("12", "10000000", None, None, None)),
        (Form("columns"), None, '{"a": "12.0", "b": 0.1}', ("12.0", "0.1", None, None, None)),
        (
            Form("columns"),
            None,
            '{"a": null, "b": 98765432109876543210.12}',
            (None, "98765432109876543210.12", None, None, None),
        ),
        (Form("columns"), None, '{"a": 1}', ("1", None, None, None, None)),
    ],
)
def test_one_original_is_one_row(form: Form, declared: Any, original: str, expected: tuple[Any, ...]) -> None:
    assert reparsed(form, declared, original) == expected


@given(st.text())
def test_whatever_an_original_holds_it_is_one_row(original: str) -> None:
    for form, declared in (
        (CSV, CsvFormat()),
        (Form("columns"), None),
        (XML, XML_FORMAT),
    ):
        reparsed(form, declared, original)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    def refuse(*_: object) -> None:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(lakes, "build_session", refuse)
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "stranger")
    monkeypatch.setenv("COLUMNS", "200")
    project = write_lake(tmp_path / "p")
    person = [*ROW[:-1], ("person_id", pa.string())]
    evil = [{"rule": "seconds_is_castable", "message": "seconds: found \x1b[2J[red]x, expected a double"}]
    bad = [
        (
            5,
            "r1",
            NEW,
            "quarantined",
            evil,
            "=cmd()\x1b[2J,[bold]x",
            None,
            {"origin": "=/d/v.csv", "record": 2},
            "v1",
            "a",
        ),
        (5, "r1", NEW, "quarantined", MISSING, None, None, {"origin": "crm.t", "record": None}, "v1", "b"),
    ]
    for name in ("visits", "people"):
        folder = Path(project.lake_root) / "bronze" / name
        folder.rename(folder.with_name(f"{name}_before"))
        append(project.lake_root, f"bronze.{name}", person, bad, partition_by=["_verdict"])
    return project


def lakeloop(project: Project, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["quarantine", *map(str, arguments), "--conf-dir", str(project.folder)])


def refuse_file(project: Project, path: str) -> FileCatalog:
    catalog = FileCatalog(project.lake_root, "visits", None)
    entry = FileEntry(path, 3, 5, "h", "csv", "", "refused", "it is [an] empty .gz", RowCounts())
    catalog.record(RunContext("run", "test", run_id=path), len(catalog.rows()), [entry])
    return catalog


def test_list_says_what_is_open_and_for_how_long(project: Project) -> None:
    refuse_file(project, "/drop/v.csv.gz")
    result = lakeloop(project, "list")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["visits", "2", "open", "rows,", "1", "refused", "files"] in lines
    assert any(line[:3] == ["seconds_is_castable", "1", "rows,"] for line in lines)
    assert "/drop/v.csv.gz" in result.stdout
    assert "it is [an] empty .gz" in result.stdout
    assert lakeloop(project, "list", "people").stdout.split()[:4] == ["people", "2", "open", "rows"]


def test_show_escapes_what_terminals_and_spreadsheets_would_obey(project: Project) -> None:
    shown = lakeloop(project, "show", "visits", "--reason", "seconds_is_castable").stdout
    assert "\x1b" not in shown
    assert "  seconds_is_castable: seconds: found \\x1b[2J[red]x, expected a double" in shown
    assert "  =cmd()\\x1b[2J,[bold]x" in shown
    assert "=/d/v.csv:2 · batch 5 · 2026-05-01 00:00 UTC" in shown
    header, first, second = csv.reader(io.StringIO(lakeloop(project, "show", "visits", "--format", "csv").stdout))
    assert header == [
        "_row", "_shown", "_batch_id", "_origin", "_record", "_came_in", "_rules_version", "_reasons",
        "person_id", "page", "seconds", "_original",
    ]  # fmt: skip
    one, two = (dict(zip(header, cells, strict=True)) for cells in (first, second))
    assert (one["_row"], one["_origin"], one["_original"]) == (
        row_id(5, "=/d/v.csv", 2, "=cmd()\x1b[2J,[bold]x"), "'=/d/v.csv", "'=cmd()\\x1b[2J,[bold]x"
    )  # fmt: skip
    assert (two["_batch_id"], two["_record"], two["_reasons"], two["_original"]) == (
        "5", "", "k_is_not_null: k: found NULL", ""
    )  # fmt: skip
    assert two["_came_in"] == "2026-05-01T00:00:00+00:00"
    rows = json.loads(lakeloop(project, "show", "visits", "--format", "json").stdout)
    assert [(one["origin"], one["reasons"], one["original"]) for one in rows][1] == ("crm.t", MISSING, None)
    cut = lakeloop(project, "show", "visits", "--limit", 1)
    assert "1 rows shown, and there are more" in cut.stderr
    assert "No such row of visits is open" in lakeloop(project, "show", "visits", "--reason", "none").stdout


def test_show_masks_personal_data_unless_it_is_allowed_and_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = json.loads(lakeloop(project, "show", "people", "--format", "json").stdout)
    assert [(one["original"], one["reasons"]) for one in masked] == [
        ("***", [{"rule": "seconds_is_castable", "message": "***"}]),
        (None, [{"rule": "k_is_not_null", "message": "***"}]),
    ]
    assert "'stranger' is not one of them" in lakeloop(project, "show", "people", "--pii").stdout
    assert audit_entries(project.lake_root) == []
    monkeypatch.setattr(run_record.getpass, "getuser", lambda: "somebody")
    assert "found \\x1b[2J" in lakeloop(project, "show", "people", "--pii").stdout
    assert [(one["reader"], one["tables"]) for one in audit_entries(project.lake_root)] == [
        ("somebody", ["bronze.people"])
    ]


def test_discard_wants_to_know_which_rows_and_why(project: Project) -> None:
    assert "say which rows" in lakeloop(project, "discard", "visits", "--reason-text", "old").stdout
    both = lakeloop(project, "discard", "visits", "--all", "--origin", "crm.t", "--reason-text", "old")
    assert "say which rows" in both.stdout
    for why in ((), ("--reason-text", " ")):
        result = lakeloop(project, "discard", "visits", "--all", *why)
        assert (result.exit_code, "a decision needs its reason" in result.stdout) == (1, True)
    assert read_rows(project.lake_root, QUARANTINE) == []
    done = lakeloop(project, "discard", "visits", "--origin", "crm.t", "--reason-text", "a test system")
    assert "1 rows of visits are closed and stay in bronze." in done.stdout
    assert lakeloop(project, "list", "visits").stdout.split()[:4] == ["visits", "1", "open", "rows"]
    lakeloop(project, "discard", "visits", "--all", "--reason-text", "the rest")
    assert "Nothing is in quarantine" in lakeloop(project, "list", "visits").stdout


def test_discard_waits_for_a_replay_that_may_hold_the_rows(project: Project) -> None:
    ledger = Ledger(project.lake_root)
    ledger.plan("visits", Plan({}, "1 row", kind="replay"), RUN, ledger.history("visits"))
    result = lakeloop(project, "discard", "visits", "--all", "--reason-text", "old")
    assert "a replay is under way or was interrupted" in result.stdout
    assert read_rows(project.lake_root, QUARANTINE) == []


def test_a_refused_file_is_read_again_or_closed(project: Project) -> None:
    catalog = refuse_file(project, "/drop/a/v.csv.gz")
    refuse_file(project, "/drop/b/v.csv.gz")
    assert "2 refused files end in 'v.csv.gz'" in lakeloop(project, "replay", "visits", "--file", "v.csv.gz").stdout
    nothing = lakeloop(project, "replay", "visits", "--file", "/drop/a/w.csv.gz")
    assert "is no refused file of visits; did you mean '/drop/a/v.csv.gz'?" in nothing.stdout
    assert not catalog.known().is_new("/drop/a/v.csv.gz", 3, 5)
    again = lakeloop(project, "replay", "visits", "--file", "a/v.csv.gz", "--reason-text", "sent anew")
    assert "/drop/a/v.csv.gz counts as new · next: lakeloop run visits" in again.stdout
    assert catalog.known().is_new("/drop/a/v.csv.gz", 3, 5)
    assert "a decision needs" in lakeloop(project, "discard", "visits", "--file", "b/v.csv.gz").stdout
    closed = lakeloop(project, "discard", "visits", "--file", "b/v.csv.gz", "--reason-text", "an empty upload")
    assert "/drop/b/v.csv.gz is closed." in closed.stdout
    assert not catalog.known().is_new("/drop/b/v.csv.gz", 3, 5)
    assert catalog.refused() == []
    decided = [one for one in catalog.rows() if one["outcome"] != "refused"]
    assert {(one["outcome"], one["reason"], one["user"], one["sha256"]) for one in decided} == {
        ("forgotten", "sent anew", "stranger", "h"), ("discarded", "an empty upload", "stranger", "h")
    }  # fmt: skip


def test_one_row_is_chosen_by_the_first_digits_of_its_id(project: Project) -> None:
    mine = row_id(5, "crm.t", None, None)
    shown = lakeloop(project, "show", "visits", "--row", mine[:12]).stdout
    assert f"crm.t · batch 5 · 2026-05-01 00:00 UTC · row {mine[:12]}" in shown
    assert "judged by rule set v1" in shown
    assert "=cmd()" not in shown
    for wrong, said in (
        ("xyz", "'xyz' is no row of visits: an id is 4 to 64 of the digits 0-9 and a-f"),
        ("000000000000", "no row 000000000000 of visits was ever quarantined"),
    ):
        result = lakeloop(project, "show", "visits", "--row", wrong)
        assert (result.exit_code, said in result.stdout) == (1, True), result.stdout
    assert (
        "1 rows of visits are closed"
        in lakeloop(project, "discard", "visits", "--row", mine[:8], "--reason-text", "a test system").stdout
    )
    assert lakeloop(project, "list", "visits").stdout.split()[:4] == ["visits", "1", "open", "rows"]


def test_digits_that_begin_two_ids_choose_none(root: str) -> None:
    """Rows are added until two ids begin alike in four digits, as some 300 of them do."""
    numbers = range(2000)
    ids: dict[str, str] = {}
    twins = next(
        (ids[key], one)
        for one in (row_id(7, "/d/many", number, "x") for number in numbers)
        if (key := one[:4]) in ids or ids.update({key: one})
    )
    append(
        root, "bronze.orders", ROW, [row(7, "/d/many", number, "x") for number in numbers], partition_by=["_verdict"]
    )
    quarantine = Quarantine(root, "orders")
    with pytest.raises(TableError, match=f"several rows of orders begin with {twins[0][:4]}: .*; give more digits"):
        quarantine.find(twins[0][:4])
    assert quarantine.find(twins[0]) == twins[0]


def test_a_pipeline_that_is_not_there_is_named(project: Project) -> None:
    for command in ("show", "replay", "discard"):
        result = lakeloop(project, command, "vists", *(["--all"] if command == "discard" else []))
        assert (result.exit_code, "vists" in result.stdout) == (1, True), result.output
    assert verbs.open_quarantine(project, ["visits"])[0].rows == 2
