"""Joins of growing tables as they are declared: what they come to, what is refused where, what they wait for."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.catalog import Field, load_catalog
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, StreamError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.source_specs import JoinSource
from lakeloop.ingestion.sources.joins.columns import fitted
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.verbs import find_sources, in_order, reset_stream, validate

CLICKS = """\
pipeline: clicks
description: Clicks, one row per click
source: {files: drop, formats: {csv: {}}, fields: [click_id, session_id, clicked_at]}
transforms:
  - cast: {clicked_at: timestamp}
sink: {table: silver.clicks}
"""
ORDERS = """\
pipeline: orders
description: Orders, one row per order
source: {files: drop, formats: {csv: {}}, fields: [id, session_id, ordered_at, amount]}
sink: {table: silver.orders}
"""
# The pipeline is called so that it would come first in the order of names.
JOINED = """\
pipeline: attributed
description: Clicks with their orders, one row per pair or click without one
source:
  join:
    left: {table: silver.clicks, event_time: clicked_at, delay: 10m}
    right: {table: silver.orders, event_time: ordered_at, delay: 1h, columns: {order_id: id, amount: amount}}
    on: {session_id: session_id}
    within: {after: 30m}
    how: left
  expect: {match_rate: 90%, fan_out: {at_most: 3, severity: warn}}
sink: {table: gold.attributed}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "conf/local").mkdir(parents=True)
    base = tmp_path / "conf/base"
    (base / "pipelines").mkdir(parents=True)
    (base / "platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (base / "connections.yml").write_text("drop: {files: {path: drop}}\n")
    for text in (CLICKS, ORDERS, JOINED):
        (base / f"pipelines/{text.split()[1]}.yml").write_text(text)
    return Project(tmp_path / "conf")


def declare(project: Project, name: str, old: str, new: str) -> None:
    path = project.folder / f"base/pipelines/{name}.yml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def declared(**changes: Any) -> dict[str, Any]:
    sides = {
        "left": {"table": "silver.clicks", "event_time": "clicked_at"},
        "right": {"table": "silver.orders", "event_time": "ordered_at"},
    }
    return {"join": {**sides, "on": {"session_id": "session_id"}, "within": {"after": "30m"}, **changes}}


def test_a_join_is_declared_in_a_few_lines(project: Project) -> None:
    assert validate(project) == []
    source = load_pipeline(project, "attributed").source
    assert isinstance(source, JoinSource)
    assert (source.join.left.delay, source.join.right.delay) == (dt.timedelta(minutes=10), dt.timedelta(hours=1))
    assert (source.join.within.before, source.join.within.after) == (dt.timedelta(0), dt.timedelta(minutes=30))
    assert source.severities == {"late": "error", "match_rate": "fail", "fan_out": "warn"}
    assert source.expect is not None
    assert source.expect.match_rate is not None
    assert source.expect.match_rate.at_least == Decimal(90)


def test_the_declaration_on_the_page_is_one(project: Project) -> None:
    text = (Path(__file__).parents[2] / "docs/joins.md").read_text()
    (project.folder / "base/pipelines/attributed.yml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    assert validate(project) == []
    assert load_pipeline(project, "attributed").inputs == {"silver.clicks", "silver.orders"}


def test_an_inner_join_needs_no_delay_and_finds_nothing_late() -> None:
    source = JoinSource.model_validate(declared())
    assert (source.join.how, source.severities) == ("inner", {})


def test_it_waits_for_the_pipelines_that_write_both_tables(project: Project) -> None:
    order = [spec.pipeline for spec in in_order(project, project.names("pipelines"))]
    assert set(order[:2]) == {"clicks", "orders"}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("how: left", "how: full", 9, "Input should be 'inner' or 'left'"),
        (", delay: 1h", "", 3, "right lacks a delay: how: left needs to know when no partner can come any more"),
        ("event_time: clicked_at, ", "", 5, "left.event_time: Field required"),
        ("after: 30m", "after: 30", 8, "a length of time is a whole number"),
        ("after: 30m", "untl: 30m", 8, "unknown key 'untl'"),
        ("silver.orders", "orders", 6, "right.table"),
        ("{session_id: session_id}", "{}", 7, "at least 1"),
        ("90%", "0.9", 10, "as 99.5%"),
        ("90%", "{at_least: 90%, severity: error}", 10, "Input should be 'warn' or 'fail'"),
        ("at_most: 3", "at_most: 0", 10, "greater than or equal to 1"),
        (
            "{match_rate: 90%, fan_out: {at_most: 3, severity: warn}}",
            "{}",
            10,
            "expect has match_rate, fan_out, or both",
        ),
        ("delay: 1h, columns", "delay: 1h, prefix: o_, columns", 6, "a side has one of them"),
        ("delay: 10m}", "delay: 10m, columns: {Amount: click_id}}", 4, "both give a column amount; give one side a"),
        (
            "sink: {table: gold.attributed}",
            "sink: {table: gold.attributed, mode: overwrite}",
            1,
            "only the newest rows",
        ),
        ("sink:", "rules:\n  - is_not_null: {column: click_id, name: late}\nsink:", 1, "two rules are called late"),
    ],
)
def test_a_mistake_is_said_where_it_stands(project: Project, old: str, new: str, line: int, said: str) -> None:
    declare(project, "attributed", old, new)
    [problem] = validate(project)
    assert said in problem
    assert f"attributed.yml:{line}" in problem, problem


def test_a_table_whose_rows_change_is_refused_where_it_is_named(project: Project) -> None:
    declare(project, "orders", "{table: silver.orders}", "{table: silver.orders, mode: merge, keys: [id]}")
    [problem] = validate(project)
    assert problem.startswith(f"{project.folder}/base/pipelines/attributed.yml:6: rows of silver.orders may change")
    assert "orders writes it in mode merge" in problem


TYPES = {"click_id": "string", "session_id": "int", "clicked_at": "timestamp"}
ORDER_TYPES = {"id": "string", "session_id": "bigint", "ordered_at": "date", "amount": "decimal(9,2)"}


def test_the_columns_of_both_sides_are_told_apart() -> None:
    join = JoinSource.model_validate(declared()).join
    assert list(fitted(join, TYPES, ORDER_TYPES)) == [
        "click_id",
        "session_id",
        "clicked_at",
        "id",
        "ordered_at",
        "amount",
    ]
    with pytest.raises(
        ConfigError, match=r"silver.clicks and silver.orders both give a column id; give one side a prefix"
    ):
        fitted(join, TYPES | {"ID": "string"}, ORDER_TYPES)
    right = {"table": "silver.orders", "event_time": "ordered_at", "prefix": "order_"}
    result = fitted(JoinSource.model_validate(declared(right=right)).join, TYPES | {"id": "string"}, ORDER_TYPES)
    assert result["order_id"] == ("right", "id")
    assert result["id"] == ("left", "id")
    assert "order_session_id" not in result


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"session_id": "string"},
            "session_id of silver.clicks is of type int, but session_id of silver.orders of type",
        ),
        ({"ordered_at": "string"}, "event_time ordered_at of silver.orders is of type string, and must be a timestamp"),
        ({"session_id": None}, "no column 'session_id' in silver.orders; Allowed: amount, id, ordered_at"),
        ({"ordered_at": None}, "no column 'ordered_at' in silver.orders"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(changes: dict[str, str | None], said: str) -> None:
    types = {name: kind for name, kind in (ORDER_TYPES | changes).items() if kind is not None}
    with pytest.raises(ConfigError, match=said):
        fitted(JoinSource.model_validate(declared()).join, TYPES, types)


def test_a_change_that_would_contradict_what_was_given_out_is_told_from_one_that_would_not() -> None:
    join = JoinSource.model_validate(declared()).join
    side = {"table": "silver.orders", "event_time": "ordered_at"}
    harmless = [declared(right=side | {"delay": "1h"}), declared(right=side | {"prefix": "o_"})]
    telling = [declared(how="left"), declared(within={"after": "31m"}), declared(right=side | {"event_time": "at"})]
    for other in harmless:
        assert JoinSource.model_validate(other).join.definition == join.definition
    for other in telling[1:]:
        assert JoinSource.model_validate(other).join.definition != join.definition
    with pytest.raises(ValidationError, match="left and right lack a delay"):
        JoinSource.model_validate(telling[0])


def test_the_catalog_traces_the_columns_of_both_sides(project: Project) -> None:
    catalog = load_catalog(project)
    names = [each.name for each in catalog.data_set("gold.attributed").columns]
    assert names == ["click_id", "session_id", "clicked_at", "order_id", "amount"]
    made_of = {
        (str(flow.source), flow.by, flow.direct) for flow in catalog.into[Field("bronze.attributed", "order_id")]
    }
    assert made_of == {("silver.orders.id", (), True), ("silver.clicks.session_id", ("join",), False)}
    made_of = {
        (str(flow.source), flow.by, flow.direct) for flow in catalog.into[Field("bronze.attributed", "click_id")]
    }
    assert made_of == {("silver.clicks.click_id", (), True)}
    assert catalog.data_set("bronze.attributed").made_of == ("silver.clicks", "silver.orders")


def test_the_catalog_says_which_columns_clash(project: Project) -> None:
    declare(project, "clicks", "click_id,", "click_id, amount,")
    assert "both give a column amount" in load_catalog(project).data_set("gold.attributed").note


def test_it_is_among_the_sources(project: Project) -> None:
    found = {state.pipeline: state.name for state in find_sources(project, look=False).states}
    assert found["attributed"] == "join of silver.clicks and silver.orders"


def test_it_is_reset_only_where_no_pair_would_come_twice(project: Project) -> None:
    run = RunContext("stream", "local")
    ledger = Ledger(project.lake_root)
    batch = ledger.plan("attributed", Plan({"join": {}}, "2 rows"), run, ledger.history("attributed"))
    ledger.record(run, RunEntry("attributed", "gold.attributed", "succeeded", now(), "", batch.batch_id))
    with pytest.raises(StreamError, match=r"gold.attributed only grows, so every row of attributed would come twice"):
        reset_stream(project, "attributed", "", run)
    declare(project, "attributed", "gold.attributed}", "gold.attributed, mode: merge, keys: [click_id, order_id]}")
    reset_stream(project, "attributed", "", run)
    assert ledger.history("attributed").finished is None
