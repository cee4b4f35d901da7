"""Sections on health, and the page of a run read from tables that a run leaves."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakeloop.core.config import Project
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.examples import Example, quarantined_examples
from lakeloop.lake.ledger import Ledger, Outcome, RunEntry
from lakeloop.lake.ops_tables import TIME, append_rows
from lakeloop.lake.rule_results import RuleResult, append_results
from lakeloop.monitoring.incidents import Event, OpenIncident, record_events
from lakeloop.reports.health_sections import (
    Freshness,
    Violations,
    freshness_section,
    incidents_section,
    schema_section,
    trend_section,
)
from lakeloop.reports.page import Section, Table, render_page
from lakeloop.reports.run_report import SCHEMA_CHANGES, run_sections
from lakeloop.verbs import RunSummary, report_run

NOW = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
BRONZE = pa.schema({
    "_verdict": pa.string(), "_batch_id": pa.int64(), "_original": pa.string(),
    "_reasons": pa.list_(pa.struct({"rule": pa.string(), "message": pa.string()})),
    "_position": pa.struct({"origin": pa.string(), "record": pa.int64()}),
})  # fmt: skip
SCHEMA_CHANGE = pa.schema({
    "pipeline": pa.string(), "at": TIME, "run_id": pa.string(), "version": pa.int64(), "change": pa.string(),
    "column": pa.string(), "detail": pa.string(),
})  # fmt: skip


def texts(section: Section) -> list[list[str]]:
    return section.tables[0].texts()


def verdict(section: Section) -> tuple[str, bool] | None:
    return section.verdict and (section.verdict.text, section.verdict.holds)


def test_the_trend_has_a_line_per_violated_rule_in_the_order_of_time() -> None:
    section = trend_section(
        [
            Violations("orders", "a", NOW, 3),
            Violations("orders", "a", NOW - HOUR, 1),
            Violations("orders", "b", NOW, 0),
            Violations("orders", "b", NOW - HOUR, 9),
            Violations("orders", "never", NOW, 0),
            Violations("usage", "a", NOW, 5),
        ]
    )
    (chart,) = section.charts
    assert chart.caption == "Pipeline orders: violating rows, last 2 batches"
    before, now = (moment.replace(tzinfo=None) for moment in (NOW - HOUR, NOW))
    assert [(trace.name, list(trace.x), list(trace.y)) for trace in chart.figure.data] == [
        ("b", [before, now], [9, 0]),
        ("a", [before, now], [1, 3]),
    ]


def test_of_many_rules_the_six_most_violated_are_drawn_each_in_its_own_style() -> None:
    history = [Violations("p", f"<r{n}>", NOW - hour * HOUR, n) for n in range(9) for hour in (0, 1)]
    (chart,) = trend_section(history).charts
    assert chart.caption == "Pipeline p: the 6 most violated of 8 rules, last 2 batches"
    assert [trace.name for trace in chart.figure.data] == [f"&lt;r{n}&gt;" for n in (8, 7, 6, 5, 4, 3)]
    assert len({(t.line.color, t.line.dash, t.marker.symbol) for t in chart.figure.data}) == 6
    assert len({t.line.color for t in chart.figure.data}) == 6


def test_one_batch_makes_no_trend() -> None:
    assert trend_section([Violations("p", "a", NOW, 3)]).charts == ()
    assert trend_section([]).intro == "No rule was violated in a pipeline with two batches yet."


def test_freshness_says_how_long_ago_and_whether_that_is_as_declared() -> None:
    undeclared = Freshness("silver.a", "a", NOW - 26 * HOUR, 7)
    on_time = Freshness("silver.b", "b", NOW - HOUR, 1200, dt.timedelta(days=1), "on_time")
    missing = Freshness("silver.c", "c", None, None, HOUR, "missing")
    section = freshness_section([undeclared, on_time, missing], NOW)
    assert texts(section) == [
        ["silver.a", "a", "1 d 2 h ago", "2026-01-01 10:00", "7", "–", "–"],
        ["silver.b", "b", "1 h ago", "2026-01-02 11:00", "1,200", "1 d", "on time"],
        ["silver.c", "c", "never", "–", "–", "1 h", "missing"],
    ]
    assert verdict(section) == ("Overdue: silver.c.", False)
    assert verdict(freshness_section([undeclared, on_time], NOW)) == ("Rows came as often as declared.", True)
    assert verdict(freshness_section([undeclared], NOW)) is None


def test_schema_changes_come_newest_first_and_those_of_the_run_are_marked() -> None:
    change = {"pipeline": "p", "version": 1, "change": "added", "column": "c", "detail": None}
    section = schema_section([change | {"at": NOW - HOUR, "run_id": "r0"}, change | {"at": NOW, "run_id": "r1"}], "r1")
    assert section.intro == "1 changes in this run; the latest 2 are listed."
    assert [line[0] for line in texts(section)] == ["✓ this run", "–"]
    assert schema_section([], "r1").tables[0].empty == "No column has changed yet."


def test_open_incidents_are_listed_with_who_was_told() -> None:
    event = Event("i", "file_late", "p", "warn", "p:file_late:", "<b>late", "r", NOW, "repeated")
    section = incidents_section([OpenIncident(event, NOW - 2 * HOUR, 3, {"room": NOW, "duty": NOW})], NOW)
    assert texts(section) == [["p", "file late", "warn", "<b>late", "2 h ago", "3", "duty, room"]]
    assert verdict(section) == ("1 open, 0 of them errors.", False)
    assert verdict(incidents_section([], NOW)) == ("No incident is open.", True)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_marked_as_text(text: str) -> None:
    assert Table("", ("a", "b"), ((text, -1),)).texts() == [[f"'{text}", "-1"]]


def write_bronze(root: Path, *rows: tuple[str, int, str | None, list[tuple[str, str]], tuple[str, int] | None]) -> None:
    """Verdict, batch, original, reasons and place of each row, laid out by verdict as a pipeline does."""
    values = [
        {
            "_verdict": kind,
            "_batch_id": batch_id,
            "_original": original,
            "_reasons": [{"rule": rule, "message": message} for rule, message in reasons] or None,
            "_position": place and {"origin": place[0], "record": place[1]},
        }
        for kind, batch_id, original, reasons, place in rows
    ]
    write_deltalake(
        str(root / "bronze/orders"), pa.Table.from_pylist(values, BRONZE), mode="append", partition_by=["_verdict"]
    )


def test_examples_are_of_one_batch_some_per_reason_with_file_line_and_record(tmp_path: Path) -> None:
    assert quarantined_examples(str(tmp_path), "orders", 1) == []
    bad = ("quarantined", 1, "x" * 200, [("b", "is bad"), ("a", "is worse")], ("/drop/in/day.csv", 9))
    nowhere = ("quarantined", 1, None, [("a", "is nowhere")], None)
    write_bronze(
        tmp_path, bad, nowhere, ("good", 1, None, [], ("/drop/x.csv", 1)), ("quarantined", 0, "", [("a", "")], None)
    )
    assert quarantined_examples(str(tmp_path), "orders", 1) == [
        Example("orders", "", None, "a", "is nowhere", None),
        Example("orders", "day.csv", 9, "a", "is worse", "x" * 159 + "…"),
        Example("orders", "day.csv", 9, "b", "is bad", "x" * 159 + "…"),
    ]
    write_bronze(tmp_path, *[("quarantined", 2, "", [("a" if n else "b", "")], ("f", n)) for n in range(20)])
    assert [example.rule for example in quarantined_examples(str(tmp_path), "orders", 2)] == ["a"] * 5 + ["b"]


SPEC = {
    "pipeline": "orders", "description": "Orders", "sink": {"table": "silver.orders"},
    "source": {"files": "d", "formats": {"csv": {}}, "fields": ["id"], "expect": {"every": "1d"}},
}  # fmt: skip


def record(root: Path, run: RunContext, outcome: Outcome, batch_id: int | None, counts: RowCounts, bad: int) -> None:
    ledger = Ledger(str(root))
    ledger.record(run, RunEntry("orders", "silver.orders", outcome, run.started_at, "", batch_id, counts))
    if batch_id is not None:
        results = [RuleResult("id_is_not_null", "error", bad), RuleResult("other", "warn", 0)]
        append_results(str(root), run, "orders", batch_id, "v", results)


def test_the_page_of_a_run_is_read_from_what_the_run_left(tmp_path: Path) -> None:
    first, second = RunContext("run", "test", "r1"), RunContext("run", "test", "r2")
    record(tmp_path, first, "succeeded", 0, RowCounts(9, 7, 2, 0), 2)
    record(tmp_path, second, "succeeded", 1, RowCounts(5, 4, 1, 0), 1)
    write_bronze(tmp_path, ("quarantined", 0, "old", [("id_is_not_null", "m")], ("/a.csv", 1)),
                 ("quarantined", 1, "=1,<b>", [("id_is_not_null", "m")], ("/b.csv", 2)))  # fmt: skip
    record_events(str(tmp_path), [Event("i", "run_failed", "orders", "error", "f", "why", "r2", NOW, "opened")])
    spec = PipelineSpec.model_validate(SPEC)
    at = second.started_at + HOUR
    sections = {section.title: section for section in run_sections(str(tmp_path), "r2", [spec], at)}
    assert list(sections) == ["Rows", "Incidents", "Reasons", "Trend", "Freshness"]
    assert texts(sections["Rows"])[0][:7] == ["orders", "silver.orders", "1", "5", "4", "1", "0"]
    assert texts(sections["Incidents"])[0][:2] == ["orders", "run failed"]
    assert texts(sections["Reasons"]) == [["orders", "b.csv", "2", "id_is_not_null", "m", "'=1,<b>"]]
    assert list(sections["Reasons"].charts[0].figure.data[0].x) == [1]
    assert list(sections["Trend"].charts[0].figure.data[0].y) == [2, 1]
    assert [texts(sections["Freshness"])[0][position] for position in (0, 4, 6)] == ["silver.orders", "5", "on time"]
    assert "<td>&#39;=1,&lt;b&gt;</td>" in render_page("t", "s", list(sections.values()))

    append_rows(str(tmp_path), SCHEMA_CHANGES, [("orders", NOW, "r2", 1, "added", "c", "string")], SCHEMA_CHANGE)
    titles = [section.title for section in run_sections(str(tmp_path), "r2", [spec], at)]
    assert titles == ["Rows", "Incidents", "Reasons", "Trend", "Freshness", "Schema"]


def test_a_run_leaves_a_page_even_when_nothing_was_recorded_or_a_declaration_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "conf/base/pipelines").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (tmp_path / "conf/base/pipelines/broken.yml").write_text("pipelin: broken\n")
    project, context = Project(tmp_path / "conf"), RunContext("run", "local", "r1")
    page = tmp_path / "lake/_reports/r1.html"
    said = report_run(project, context, RunSummary((), {"crm": SourceError("the secret 'x' has no value")}))
    assert said == f"Report: {page.as_uri()}"
    assert "failed: the secret &#39;x&#39; has no value" in page.read_text()
    page.unlink()
    page.parent.rmdir()
    page.parent.write_text("in the way")
    assert report_run(project, context, RunSummary(())).startswith("No report was written: ")
