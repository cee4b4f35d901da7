"""What a batch brought is measured, held against its past, and one incident is made of all that stands out."""

import datetime as dt
import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.batch_measures import Number
from lakeloop.lake.batch_profiles import past_batches
from lakeloop.lake.table_profiles import append_numbers
from lakeloop.monitoring.incidents import open_incidents

ORDERS = """
pipeline: orders
description: Orders, one row per order
owner: shop-team
source: {files: drop, formats: {csv: {}}, fields: [id, amount, country, email], settle: 0s}
transforms: [{cast: {amount: int}}]
rules: [{is_not_null: id}]
sink: {table: silver.orders}
columns: {email: {tags: [pii]}}
watch_over: {means: [amount], shares: [country]}
"""
BY_COUNTRY = """
pipeline: countries
description: Orders that have a country, one row per order
source: {tables: [silver.orders]}
rules: [{is_not_null: country}]
sink: {table: silver.countries}
watch_over: {}
"""
ROWS = Number(None, "rows")


@pytest.fixture
def project(spark: SparkSession, tmp_path: Path) -> Project:
    base = tmp_path / "conf/base"
    for folder in (base / "pipelines", tmp_path / "conf/local", tmp_path / "drop"):
        folder.mkdir(parents=True)
    (base / "platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (base / "connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    (base / "spark.properties").write_text("")
    (base / "pipelines/orders.yml").write_text(ORDERS)
    (base / "pipelines/countries.yml").write_text(BY_COUNTRY)
    return Project(tmp_path / "conf", "local")


def seed_past(root: str, pipeline: str, table: str, days: int = 30) -> None:
    """Thirty days of about 100 rows, one in twenty without a country."""
    dice, rows = random.Random(1), []
    for day in range(days, 0, -1):
        at = now() - dt.timedelta(days=day)
        numbers = {
            Number(None, "rows_read"): 100 + dice.randrange(-5, 6),
            ROWS: 98 + dice.randrange(-5, 6),
            Number(None, "quarantined_share"): 0.02,
            Number(None, "wait_seconds"): 86_400.0 + dice.randrange(60),
            Number("country", "null_share"): 0.05,
            Number("amount", "mean"): 10 + dice.random(),
            Number("country", "share", "DE"): 0.6 + dice.random() / 20,
            Number("country", "share", "FR"): 0.35 + dice.random() / 20,
        }
        where = (table, pipeline, -day, None, at)
        rows += [(*where, n.column, n.metric, n.category, float(value)) for n, value in numbers.items()]
    append_numbers(root, rows)


def drop(project: Project, name: str, lines: list[str]) -> None:
    folder = Path(project.lake_root).parent / "drop"
    (folder / f"{name}.csv").write_text("\n".join(["id,amount,country,email", *lines]) + "\n")


def usual(start: int) -> list[str]:
    countries = ["DE"] * 60 + ["FR"] * 35 + [""] * 5
    return [f"{start + i},{10 + i % 2},{country},a@b.org" for i, country in enumerate(countries)]


def test_numbers_of_a_batch_are_those_of_its_good_rows(project: Project) -> None:
    # Five rows: one without an id is quarantined; of the others one has no country, and two are equal.
    drop(project, "a", ["1,10,DE,x@b.org", "1,10,DE,x@b.org", "2,,FR,", "3,40,,y@b.org", ",99,IT,z@b.org"])
    summary = verbs.run(project, ["orders"], RunContext("run", "local"))
    assert not summary.failures
    past = past_batches(project.lake_root, ["orders"])["orders"]
    assert past.table == "silver.orders"
    assert {number: values for number, values in past.values.items() if number.metric != "stddev"} == {
        Number(None, "rows_read"): [5.0],
        ROWS: [4.0],
        Number(None, "quarantined_share"): [0.2],
        Number("id", "null_share"): [0.0],
        Number("amount", "null_share"): [0.25],
        Number("country", "null_share"): [0.25],
        Number("email", "null_share"): [0.25],
        Number("amount", "mean"): [20.0],
        Number("country", "share", "DE"): [pytest.approx(2 / 3)],
        Number("country", "share", "FR"): [pytest.approx(1 / 3)],
    }
    assert past.of(Number("amount", "stddev")) == [pytest.approx(200**0.5)]


def test_many_signals_of_one_batch_are_one_incident_that_the_next_usual_batch_ends(project: Project) -> None:
    root = project.lake_root
    seed_past(root, "orders", "silver.orders")
    seed_past(root, "countries", "silver.countries")
    drop(project, "bad", [f"{i},{500 + i},IT,a@b.org" for i in range(8)] + [f"{i},7,,a@b.org" for i in range(8, 20)])
    summary = verbs.run(project, [], RunContext("run", "local"))
    assert not summary.failures
    incidents = open_incidents(root)
    assert [(one.last.pipeline, one.last.kind) for one in incidents] == [("orders", "anomaly")]
    said = incidents[0].last.message
    for evidence in ("good rows 20, expected", "country: NULL in 60.00%", "amount: mean 205", "also seen in countries"):
        assert evidence in said, said
    assert any(note.startswith("countries follows orders (anomaly): ") for note in summary.notes), summary.notes

    drop(project, "good", usual(1000))
    summary = verbs.run(project, [], RunContext("run", "local"))
    assert not summary.failures
    assert open_incidents(root) == []
    past = past_batches(root, ["orders"])["orders"]
    assert past.marked.tolist() == [False] * 30 + [True, False]


def test_a_run_without_news_says_when_it_was_silent_for_too_long(project: Project) -> None:
    root, three_days = project.lake_root, dt.timedelta(days=3)
    seed_past(root, "orders", "silver.orders")
    last = now() - three_days
    append_numbers(root, [
        ("silver.orders", "orders", 0, None, last, None, metric, None, value)
        for metric, value in (("rows", 98.0), ("rows_read", 100.0), ("next_wait_seconds_high", 90_000.0))
    ])  # fmt: skip
    verbs.run(project, ["orders"], RunContext("run", "local"))
    assert [one.last.message for one in open_incidents(root)] == ["time without rows 3 d, expected at most 1 d 1 h"]


def test_what_is_kept_is_bounded(project: Project) -> None:
    seed_past(project.lake_root, "orders", "silver.orders", days=60)
    text = ORDERS.replace("shares: [country]", "shares: [country], remember: {batches: 20}")
    (project.folder / "base/pipelines/orders.yml").write_text(text)
    drop(project, "a", usual(0))
    verbs.run(project, ["orders"], RunContext("run", "local"))
    kept = past_batches(project.lake_root, ["orders"])["orders"]
    assert len(kept.batch_ids) == 21
    assert kept.batch_ids[-1] == 0


def test_columns_that_cannot_be_watched_are_told_and_stop_nothing(project: Project) -> None:
    text = ORDERS.replace("means: [amount]", "means: [amont, country]")
    (project.folder / "base/pipelines/orders.yml").write_text(text)
    drop(project, "a", usual(0))
    summary = verbs.run(project, ["orders"], RunContext("run", "local"))
    assert [entry.outcome for entry in summary.entries] == ["succeeded"]
    assert "watch_over: there is no column 'amont'" in summary.entries[0].message
    assert "country of type string has no mean" in summary.entries[0].message


def test_values_of_personal_data_are_not_kept(project: Project) -> None:
    text = ORDERS.replace("shares: [country]", "shares: [email]")
    (project.folder / "base/pipelines/orders.yml").write_text(text)
    with pytest.raises(ConfigError, match="email is personal data"):
        load_pipeline(project, "orders")
