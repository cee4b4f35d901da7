"""The quality of tables over time, as the terminal, JSON and the page show it, from tables of `ops` alone."""

import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakeloop import verbs
from lakeloop.cli import app
from lakeloop.cli.quality import sparkline
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RowCounts, now
from lakeloop.lake.rule_history import PastBatch, PastResult, rule_histories
from lakeloop.reports.page import Section, render_page
from lakeloop.reports.quality_report import quality_sections
from lakeloop.reports.table_quality import SHOWN_BATCHES, share_of
from tests.quality_lake import write_quality_lake

runner = CliRunner()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return write_quality_lake(tmp_path_factory.mktemp("quality"), now())


def test_every_table_has_a_state_and_a_reason_for_it(project: Project) -> None:
    found = {table.name: table for table in verbs.quality(project)}
    assert {name: table.state for name, table in found.items()} == {
        "silver.countries": "good",
        "silver.customers": "watch",
        "silver.orders": "watch",
        "silver.payments": "failing",
        "silver.visits": "no_data",
    }
    orders = found["silver.orders"]
    assert {signal.number.metric for signal in orders.signals} == {"mean", "share"}
    assert [incident.last.kind for incident in orders.incidents] == ["anomaly"]
    assert orders.learning is None
    customers = found["silver.customers"]
    assert customers.good_shares == [197 / 200] * SHOWN_BATCHES
    assert customers.violated == 1
    assert found["silver.payments"].history.last_run.outcome == "failed"  # type: ignore[union-attr]


def test_rules_are_told_most_violated_first_with_their_owners(project: Project) -> None:
    (orders,) = verbs.quality(project, ["silver.orders"])
    assert orders.rules[0].name == "country_is_in"
    by_name = {rule.name: rule for rule in orders.rules}
    # What a pipeline only counts is no rule; a rule without an owner is its pipeline's owner's.
    assert set(by_name) == {"order_id_is_not_null", "amount_is_in_range", "country_is_in", "row_count"}
    assert by_name["country_is_in"].owner == "masterdata"
    assert by_name["amount_is_in_range"].owner == "shop-team"
    assert by_name["country_is_in"].shares[-1] == 300 / orders.last.counts.read  # type: ignore[union-attr]
    assert len(by_name["country_is_in"].points) == SHOWN_BATCHES


def test_a_share_is_of_the_rows_that_the_rule_looked_at() -> None:
    batch = PastBatch(0, "r", now(), RowCounts(100, 90, 10, 0))
    assert share_of(PastResult(0, "r", "a", "error", 5), batch) == 0.05
    assert share_of(PastResult(0, "r", "a", "error", 5, rows=20), batch) == 0.25
    assert share_of(PastResult(0, "r", "a", "warn", 1, rows=0), batch) == 0.0


def test_only_the_latest_batches_of_the_asked_pipelines_are_held(project: Project) -> None:
    found = rule_histories(project.lake_root, ["orders", "visits"], 3)
    assert [batch.batch_id for batch in found["orders"].batches] == [57, 58, 59]
    assert len(found["orders"].results) == 3 * 5
    assert found["visits"].batches == ()
    assert found["visits"].last_run is None
    assert rule_histories(project.lake_root, [], 3) == {}


def test_a_table_downstream_names_whose_incident_it_follows(tmp_path: Path) -> None:
    project = write_quality_lake(tmp_path, now())
    from lakeloop.lake.table_profiles import append_numbers

    last = now() - dt.timedelta(hours=1)
    numbers = (("rows", 10.0), ("rows_low", 700.0), ("rows_high", 1300.0), ("rows_score", -40.0))
    append_numbers(
        project.lake_root,
        [("silver.countries", "countries", 60, None, last, None, metric, None, value) for metric, value in numbers],
    )
    (countries,) = verbs.quality(project, ["countries"])
    assert countries.follows == "orders"
    assert countries.state == "watch"
    assert not countries.incidents


def test_the_terminal_shows_a_line_each_and_details_on_demand(project: Project) -> None:
    said = runner.invoke(app, ["quality", "--conf-dir", str(project.folder)], env={"COLUMNS": "100"})
    assert said.exit_code == 0
    lines = {line.split()[1]: line for line in said.output.splitlines() if "silver." in line}
    assert list(lines) == [f"silver.{name}" for name in ("countries", "customers", "orders", "payments", "visits")]
    assert "98.50%" in lines["silver.customers"]
    assert "1 of 2" in lines["silver.customers"]
    assert lines["silver.orders"].rstrip().endswith("anomaly")
    assert lines["silver.payments"].startswith("✗")
    assert "never" in lines["silver.visits"]

    details = runner.invoke(app, ["quality", "orders", "--conf-dir", str(project.folder)], env={"COLUMNS": "120"})
    assert "owner shop-team" in details.output
    assert "anomaly: amount: mean 73.1, expected 48.6 to 51.5" in details.output
    assert "country = IT: share" in details.output


def test_json_has_everything_and_a_wrong_name_says_what_there_is(project: Project) -> None:
    said = runner.invoke(app, ["quality", "customers", "--format", "json", "--conf-dir", str(project.folder)])
    (customers,) = json.loads(said.output)
    assert customers["table"] == "silver.customers"
    assert customers["share_good"] == 0.985
    assert customers["rules"][0] == {
        "rule": "email_matches", "kind": "matches", "columns": ["email"], "severity": "error", "owner": "crm-team",
        "violations": 3, "rows": 200, "share": 0.015, "shares": [0.015] * SHOWN_BATCHES, "value": None, "message": None,
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"no table or pipeline 'silver.order' .* did you mean 'silver.orders'"):
        verbs.quality(project, ["silver.order"])


def test_the_page_shows_trends_bands_and_anomalies_and_masks_personal_data(project: Project) -> None:
    tables = verbs.quality(project)
    sections = quality_sections(tables, now(), {"orders": 4}, {})
    titles = [section.title for section in sections]
    assert titles == [
        "All tables", "Incidents", "silver.payments", "silver.customers", "silver.orders", "silver.visits",
        "silver.countries",
    ]  # fmt: skip
    orders = sections[4]
    captions = [chart.caption for chart in orders.charts]
    assert captions[0] == f"Violating rows, per rule, last {SHOWN_BATCHES} batches"
    assert captions[1:3] == ["Good rows, 1 anomaly", "Time without rows"]
    band = orders.charts[1].figure
    assert [trace.name for trace in band.data] == [None, "expected", "found", "anomaly"]
    assert len(band.data[2].x) == 60
    assert len(band.data[3].x) == 1
    assert len(band.data[0].x) == 60 - 14

    link = verbs.report_quality(project)
    html = Path(link.removeprefix("file://")).read_text()
    assert "amount: found -3" in html
    assert "ann.example.com" not in html
    assert "***" in html


def test_a_page_of_one_table_draws_all_that_is_learned(project: Project) -> None:
    tables = verbs.quality(project, ["orders"])
    orders = quality_sections(tables, now(), {}, {})[1]
    captions = " ".join(chart.caption for chart in orders.charts)
    for name in ("country = IT: share", "country: NULL in", "amount: mean", "Share quarantined"):
        assert name in captions
    assert "silver.orders" in render_page("Quality", "one", [orders])


def test_a_lake_without_anything_has_a_page_too(tmp_path: Path) -> None:
    for part in ("conf/base/pipelines", "conf/local"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    empty = Project(tmp_path / "conf", "local")
    assert verbs.quality(empty) == []
    assert verbs.report_quality(empty).endswith("quality.html")
    sections: list[Section] = quality_sections([], now(), {}, {})
    assert len(sections) == 2


@pytest.mark.parametrize(
    ("values", "low", "high", "bars"),
    [([0, 0.5, 1], 0, 1, "▁▅█"), ([5, 5], 5, 5, "▁▁"), ([], 0, 1, ""), ([-1, 2], 0, 1, "▁█")],
)
def test_bars_show_values_between_two_ends(values: list[float], low: float, high: float, bars: str) -> None:
    assert sparkline(values, low, high) == bars


def test_a_batch_that_somebody_names_teaches_nothing_more(tmp_path: Path) -> None:
    project = write_quality_lake(tmp_path, now())
    options = ["--conf-dir", str(project.folder)]
    said = runner.invoke(app, ["quality", "silver.orders", "--mark", "20", *options], env={"COLUMNS": "120"})
    assert said.output == "Batch 20 of orders is marked: it teaches nothing from now on.\n"
    (orders,) = verbs.quality(project, ["orders"])
    assert orders.numbers.marked.tolist() == [number in {20, 40, 47, 59} for number in range(60)]
    assert {signal.number.metric for signal in orders.signals} == {"mean", "share"}
    again = runner.invoke(app, ["quality", "orders", "--mark", "20", *options], env={"COLUMNS": "120"})
    assert "marked already" in again.output
    wrong = runner.invoke(app, ["quality", "orders", "--mark", "99", *options], env={"COLUMNS": "120"})
    assert wrong.exit_code == 1
    assert "no numbers of batch 99; those of 0 to 59 are kept" in wrong.output
    assert runner.invoke(app, ["quality", "--mark", "3", *options]).exit_code == 1
