"""Sections on data: sums shown and checked, nothing new said plainly, rules added up over batches, defects judged."""

import datetime as dt

import pytest

from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ledger import Outcome, RunEntry
from lakeloop.reports.data_sections import reasons_section, rows_section
from lakeloop.reports.defects_section import DefectRow, defects_section
from lakeloop.reports.page import Chart, Section, render_page

STARTED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def entry(
    name: str, counts: RowCounts | None = None, outcome: Outcome = "succeeded", message: str = "", batch_id: int = 0
) -> RunEntry:
    return RunEntry(name, f"silver.{name}", outcome, STARTED, message, batch_id, counts or RowCounts())


def bars(chart: Chart) -> dict[str, list[float]]:
    return {trace.name: list(trace.x) for trace in chart.figure.data}


def labels(chart: Chart) -> list[str]:
    return [annotation.text for annotation in chart.figure.layout.annotations]


def texts(section: Section, table: int = 0) -> list[list[str]]:
    return section.tables[table].texts()


def test_every_row_is_accounted_for() -> None:
    section = rows_section(
        [entry("customers", RowCounts(1000, 990, 7, 3)), entry("customers", RowCounts(20, 20, 0, 0), batch_id=1)]
    )
    assert section.verdict is not None
    assert section.verdict.holds
    assert section.verdict.text == ("1,020 read = 1,010 good + 7 quarantined + 3 dropped: every row is accounted for.")
    assert [(card.label, card.value) for card in section.cards] == [
        ("Read", "1,020"),
        ("Good", "1,010"),
        ("Quarantined", "7"),
        ("Dropped", "3"),
    ]
    assert texts(section) == [
        ["customers", "silver.customers", "0", "1,000", "990", "7", "3", "✓ yes", "succeeded"],
        ["customers", "silver.customers", "1", "20", "20", "0", "0", "✓ yes", "succeeded"],
        ["all", "", "", "1,020", "1,010", "7", "3", "✓ yes", ""],
    ]


def test_bars_hold_the_counts_and_a_second_chart_enlarges_what_is_not_good() -> None:
    section = rows_section([entry("customers", RowCounts(1000, 990, 7, 3)), entry("usage", RowCounts(5, 5, 0, 0))])
    every, not_good = section.charts
    assert bars(every) == {"good": [990, 5], "quarantined": [7, 0], "dropped": [3, 0]}
    assert labels(every) == ["customers, batch 0  <b>1,000</b>", "usage, batch 0  <b>5</b>"]
    assert bars(not_good) == {"quarantined": [7, 0], "dropped": [3, 0]}


def test_an_outcome_has_the_same_colour_in_every_chart_and_card() -> None:
    section = rows_section([entry("customers", RowCounts(1000, 990, 7, 3))])
    colors = {card.label.lower(): card.color for card in section.cards if card.color}
    for chart in section.charts:
        for trace in chart.figure.data:
            assert trace.marker.color == colors[trace.name]
    assert len(set(colors.values())) == 3


def test_rows_that_are_missing_are_named() -> None:
    section = rows_section([entry("customers", RowCounts(10, 7, 1, 1)), entry("usage", RowCounts(5, 5, 0, 0))])
    assert section.verdict is not None
    assert not section.verdict.holds
    assert section.verdict.text == "Rows are unaccounted for in customers: see the column 'adds up'."
    assert [line[7] for line in texts(section)] == ["✗ no", "✓ yes", "✗ no"]


def test_missing_rows_of_one_batch_are_not_evened_out_by_another() -> None:
    section = rows_section([entry("customers", RowCounts(10, 9, 0, 0)), entry("usage", RowCounts(5, 6, 0, 0))])
    assert section.verdict is not None
    assert section.verdict.text == "Rows are unaccounted for in customers, usage: see the column 'adds up'."


def test_nothing_new_is_said_plainly() -> None:
    section = rows_section([entry("usage", outcome="nothing_new", message="nothing new")])
    assert section.verdict is not None
    assert (section.verdict.text, section.verdict.holds) == ("Nothing new was read.", True)
    assert texts(section)[0][3:] == ["–", "–", "–", "–", "–", "nothing new"]
    assert section.charts == ()


@pytest.mark.parametrize("outcome", ["failed", "withdrawn"])
def test_a_run_that_failed_is_named_with_its_message(outcome: Outcome) -> None:
    section = rows_section([entry("customers", RowCounts(4, 4, 0, 0)), entry("usage", outcome=outcome, message="503")])
    assert section.verdict is not None
    assert not section.verdict.holds
    assert section.verdict.text.endswith(
        "every row is accounted for. Failed or withdrawn: usage; see the column 'outcome'."
    )
    assert texts(section)[1][-1] == f"{outcome}: 503"


def test_violations_of_a_rule_are_added_up_over_batches_and_ranked() -> None:
    section = reasons_section(
        [
            ("customers", "churn_is_in", "error", 2),
            ("customers", "contract_is_in", "warn", 4),
            ("usage", "usage_id_is_unique", "error", 1),
            ("usage", "churn_is_in", "error", 9),
            ("customers", "churn_is_in", "error", 3),
            ("customers", "never", "fail", 0),
            ("contacts", "never", "error", 0),
        ],
        [],
    )
    assert section.intro.startswith("4 of 6 rules were violated.")
    customers, usage = section.charts
    assert labels(customers) == ["churn_is_in  <b>5</b>", "contract_is_in  <b>4</b>"]
    assert bars(customers) == {"error": [5, 0], "warn": [0, 4]}
    assert labels(usage) == ["churn_is_in  <b>9</b>", "usage_id_is_unique  <b>1</b>"]
    assert [chart.caption for chart in section.charts] == [
        "Pipeline customers: rows per rule (error, warn)",
        "Pipeline usage: rows per rule (error)",
    ]


def test_examples_show_where_a_row_came_from_and_why_it_failed() -> None:
    example = {
        "pipeline": "c",
        "origin": "a.csv",
        "record": "line 3",
        "rule": "minutes_is_in_range",
        "message": "is -5",
    }
    (table,) = reasons_section([], [example]).tables
    assert table.columns == ("pipeline", "origin", "record", "rule", "message")
    assert table.texts() == [["c", "a.csv", "line 3", "minutes_is_in_range", "is -5"]]


def test_all_planted_defects_found() -> None:
    section = defects_section(
        [
            DefectRow("customers", "churn_is_in", "quarantined", 2, 2, 0),
            DefectRow("customers", "dedupe", "dropped", 58, 58, 0),
        ]
    )
    assert section.verdict is not None
    assert section.verdict.holds
    assert section.verdict.text == (
        "60 of 60 planted defects found with the right reason; 0 good rows quarantined or dropped."
    )
    assert texts(section)[-1] == ["all", "", "", "60", "60", "0", "0"]


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (DefectRow("usage", "a", "quarantined", 3, 2, 0), "2 of 3 planted defects found with the right reason; 0 good"),
        (DefectRow("usage", "a", "quarantined", 3, 3, 1), "3 of 3 planted defects found with the right reason; 1 good"),
    ],
)
def test_a_missed_defect_or_a_good_row_in_quarantine_is_a_cross(row: DefectRow, verdict: str) -> None:
    section = defects_section([row])
    assert section.verdict is not None
    assert not section.verdict.holds
    assert section.verdict.text.startswith(verdict)
    assert bars(section.charts[0]) == {"found": [row.found], "missed": [row.missed], "unexpected": [row.unexpected]}


def test_sections_without_rows_say_so_and_draw_nothing() -> None:
    sections = [rows_section([]), reasons_section([], []), defects_section([])]
    assert not any(section.charts for section in sections)
    page = render_page("Report", "", sections)
    for sentence in ("No run is on record.", "No row violates a rule.", "No defect was planted."):
        assert sentence in page


def test_a_long_name_is_cut_in_its_label_and_whole_in_its_hover() -> None:
    name = "r" * 60
    (chart,) = reasons_section([("customers", name, "error", 1)], []).charts
    assert labels(chart) == [f"{'r' * 43}…  <b>1</b>"]
    assert list(chart.figure.data[0].customdata) == [name]
