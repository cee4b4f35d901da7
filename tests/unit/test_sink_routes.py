"""Several tables of one pipeline: what is accepted and refused, which rules follow, and what each table shows."""

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeloop import verbs
from lakeloop.catalog import load_catalog
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, StreamError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.soundness import require_agreement
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.lake.open_tables import open_table, table_names
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.select import Reach, select
from lakeloop.lake.views import View, find_view, write_view
from lakeloop.quality.sql_conditions import columns_of
from lakeloop.serving.data.pages import Place, count_rows, read_page
from lakeloop.serving.data.policies import load_policies
from lakeloop.verbs.pipelines import dependencies
from tests.small_lake import NEW, OLD, OWN, append, write_lake

HEAD = """
pipeline: shop
description: What the shop sends
source: {files: drop, formats: {csv: {}}, fields: [topic, id, who, amount]}
"""
ROUTES = """
sink:
  routes:
    - {where: "topic = 'orders' AND amount IS NOT NULL", table: silver.orders, columns: [id, amount]}
    - {where: "topic = 'people'", table: silver.buyers, mode: merge, keys: [id]}
    - where: topic = 'refunds'
      table: silver.refunds
columns: {who: {tags: [pii]}}
"""
ROW = [("topic", pa.string()), ("id", pa.string()), ("who", pa.string()), ("amount", pa.int32())]
RUN = RunContext("run", "test")


def load(folder: Path, text: str) -> PipelineSpec:
    (folder / "local").mkdir(exist_ok=True)
    file = folder / "base/pipelines/shop.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return load_pipeline(Project(folder), "shop")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The small lake, and a record of one batch of the shop: two orders, a person, a person whom no route took."""
    project = write_lake(tmp_path)
    (project.folder / "base/pipelines/shop.yml").write_text(HEAD + ROUTES)
    root, own = project.lake_root, (0, "r1", NEW)
    bad = ("quarantined", [{"rule": "no_route", "message": "no route takes it"}], "x", None)
    rows: list[tuple[Any, ...]] = [
        (*own, "good", None, None, None, "orders", "1", "ann", 5, "silver.orders"),
        (*own, "good", None, None, None, "orders", "1", "ann", 5, "silver.orders"),
        (*own, "good", None, None, None, "people", "p", None, None, "silver.buyers"),
        (*own, *bad, "other", None, "bob", None, None),
    ]
    append(root, "bronze.shop", [*OWN, *ROW, ("_route", pa.string())], rows, partition_by=["_verdict"])
    append(root, "silver.buyers", ROW, [rows[2][7:11]])
    write_view(f"{root}/silver/orders", View("bronze.shop", 0, "silver.orders", ("id", "amount")))
    return project


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    root = project.lake_root
    found = select(root, sql, Reach({name: {} for name in table_names(root)}))
    return [row for batch in found.batches() for row in zip(*map(column_values, batch.columns), strict=True)]


def test_a_sink_is_a_list_of_tables(tmp_path: Path) -> None:
    spec = load(tmp_path, HEAD + ROUTES)
    assert spec.tables == ("silver.orders", "silver.buyers", "silver.refunds")
    assert [target.route for target in spec.targets] == list(spec.tables)
    assert [target.looks_at for target in spec.targets] == [("amount", "topic"), ("topic",), ("topic",)]
    alone = load(tmp_path, HEAD + "sink: {table: silver.orders, columns: [id]}\n")
    assert [(each.table, each.where, each.route, each.columns) for each in alone.targets] == [
        ("silver.orders", None, None, ["id"])
    ]
    rest = load(tmp_path, HEAD + ROUTES.replace("  routes:", "  otherwise: silver.rest\n  routes:"))
    assert rest.tables[-1] == "silver.rest"
    assert [(each.mode, each.where) for each in rest.targets[-1:]] == [("append", "true")]


def test_keys_of_a_route_imply_rules_for_its_rows(tmp_path: Path) -> None:
    spec = load(tmp_path, HEAD + ROUTES)
    assert [(rule.name, rule.kind, rule.filter) for rule in spec.all_rules] == [
        ("silver.buyers_id_is_not_null", "is_not_null", "_route = 'silver.buyers'"),
        ("silver.buyers_id_is_unique", "is_unique", "_route = 'silver.buyers'"),
    ]
    assert [rule.name for rule in load(tmp_path, HEAD + "rules: [is_not_null: id]\n" + ROUTES).all_rules] == [
        "id_is_not_null", "silver.buyers_id_is_unique",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sink", "line", "words"),
    [
        ("sink:\n  routes:\n    - where: topic = \n      table: silver.a\n", 7, "not a condition in SQL"),
        ("sink:\n  routes:\n    - where: topic = 'a\n      table: silver.a\n", 7, "has no end"),
        ("sink:\n  routes:\n    - where: count(*) > 1\n      table: silver.a\n", 7, "one row by itself"),
        ("sink:\n  routes:\n    - where: id IN (SELECT 1)\n      table: silver.a\n", 7, "one row by itself"),
        ("sink:\n  routes:\n    - where: a ; b\n      table: silver.a\n", 7, "one row by itself"),
        ("sink:\n  routes:\n    - table: silver.a\n", 7, "where: Field required"),
        ("sink:\n  routes:\n    - {wher: a, table: silver.a}\n", 7, "did you mean 'where'"),
        ("sink:\n  routes: []\n", 6, "at least 1 item"),
        ("sink:\n  otherwise: discard\n  routes: [{where: a, table: silver.a}]\n", 6, "Allowed: drop, quarantine"),
        ("sink: {mode: append}\n", 5, "either a table or routes, found neither"),
        ("sink: {table: silver.a, routes: [{where: a, table: silver.b}]}\n", 5, "either a table or routes, found both"),
        ("sink: {table: silver.a, otherwise: drop}\n", 5, "otherwise belongs to routes"),
        ("sink: {mode: append, routes: [{where: a, table: silver.a}]}\n", 5, "mode: each route says that"),
        (
            "sink: {routes: [{where: a, table: silver.a}, {where: b, table: silver.a}]}\n", 5,
            "two routes go to silver.a; join their conditions by OR",
        ),
        (
            "sink: {otherwise: silver.a, routes: [{where: a, table: silver.a}]}\n", 5, "two routes go to silver.a",
        ),
        (
            "sink: {routes: [{where: a, table: silver.a, mode: overwrite}, {where: b, table: silver.b}]}\n", 5,
            "mode overwrite replaces the record",
        ),
        (
            "sink: {table: silver.a, mode: merge, keys: [id], columns: [amount]}\n", 5,
            "columns leaves out id, which the table needs",
        ),
        (
            "sink: {routes: [{where: a, table: silver.a}]}\nkeep: {days: 3, by: at}\n", 2,
            "by belongs to a sink of mode merge",
        ),
    ],
)  # fmt: skip
def test_a_wrong_sink_is_refused_with_file_and_line(tmp_path: Path, sink: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, HEAD + sink)
    assert str(refused.value).startswith(f"{tmp_path}/base/pipelines/shop.yml:{line}: ")
    assert words in str(refused.value)


def test_changes_have_one_table_with_all_columns(tmp_path: Path) -> None:
    head = HEAD[: HEAD.index("source")] + "source: {cdc: crm, table: public.p, slot: s, publication: lakeloop}\n"
    with pytest.raises(ConfigError, match="changes go into one table"):
        load(tmp_path, head + ROUTES)
    with pytest.raises(ConfigError, match="a table of changes has all columns"):
        load(tmp_path, head + "sink: {table: silver.a, mode: merge, keys: [id], columns: [id]}\n")


def test_columns_of_a_condition() -> None:
    said = "payload.kind RLIKE 'x' AND exists(items, i -> i.price > 1) OR `a b` <=> NULL"
    assert columns_of(said) == ("a b", "items", "payload")


def test_two_pipelines_do_not_write_one_table_and_readers_wait_for_each_route(project: Project) -> None:
    base = project.folder / "base/pipelines"
    (base / "gold.yml").write_text(
        "pipeline: gold\ndescription: Sums\nsource: {inputs: {r: silver.refunds}, query: SELECT id FROM r}\n"
        "sink: {table: gold.sums, mode: overwrite}\n"
    )
    specs = [load_pipeline(project, name) for name in ("gold", "shop")]
    assert dependencies(specs) == {"gold": {"shop"}, "shop": set()}
    assert verbs.validate(project) == []
    (base / "gold.yml").write_text((base / "gold.yml").read_text().replace("gold.sums", "silver.buyers"))
    assert any("both write silver.buyers" in problem for problem in verbs.validate(project))


def test_a_route_shows_its_rows_and_its_columns_alone(project: Project) -> None:
    root = project.lake_root
    assert rows(project, "SELECT * FROM silver.orders") == [("1", 5), ("1", 5)]
    opened = open_table(root, "silver.orders")
    assert opened.schema.names == ["id", "amount"]
    assert count_rows(opened) == 2
    page = read_page(opened, ["id"], None, Place(opened.version, 0, ""), 10, {}, None)
    assert page.rows == [{"id": "1"}, {"id": "1"}]
    assert find_view(f"{root}/silver/orders") == View("bronze.shop", 0, "silver.orders", ("id", "amount"))
    assert rows(project, "SELECT _route, count(*) FROM bronze.shop WHERE _verdict = 'good' GROUP BY 1 ORDER BY 1") == [
        ("silver.buyers", 1), ("silver.orders", 2),
    ]  # fmt: skip


def test_a_table_masks_a_column_that_it_leaves_out_and_still_has(project: Project) -> None:
    """`silver.orders` leaves `who` out, and its view does; then the declaration is ahead of what the last run wrote."""
    sql = "SELECT * FROM silver.orders"
    assert [batch.to_pydict() for batch in verbs.query(project, verbs.Query(sql), RUN).batches()] == [
        {"id": ["1", "1"], "amount": [5, 5]}
    ]
    write_view(f"{project.lake_root}/silver/orders", View("bronze.shop", 0, "silver.orders", ("id", "who")))
    assert [batch.to_pydict() for batch in verbs.query(project, verbs.Query(sql), RUN).batches()] == [
        {"id": ["1", "1"], "who": ["***", "***"]}
    ]
    policies = load_policies(project)
    assert {table: policies[table].may_lack for table in load_pipeline(project, "shop").tables} == {
        "silver.orders": ("who",), "silver.buyers": (), "silver.refunds": (),
    }  # fmt: skip


def test_the_catalog_knows_every_table(project: Project) -> None:
    catalog = load_catalog(project)
    assert catalog.data_set("bronze.shop").feeds == ("silver.buyers", "silver.orders", "silver.refunds")
    assert [each.name for each in catalog.data_set("bronze.shop").columns if each.name[0] != "_"] == [
        "id", "amount", "topic", "who",
    ]  # fmt: skip
    orders = catalog.data_set("silver.orders")
    assert ([each.name for each in orders.columns], orders.made_of) == (["id", "amount"], ("bronze.shop",))
    assert orders.description == "What the shop sends: the rows where topic = 'orders' AND amount IS NOT NULL"
    assert [relation.columns for relation in catalog.data_set("silver.buyers").relations] == [("id",)]
    field = catalog.field("silver.buyers.who")
    assert field is not None
    assert [(str(flow.source), flow.by) for flow in catalog.into[field]] == [("bronze.shop.who", ("merge",))]


def test_rows_of_a_table_are_as_old_as_their_own_record(project: Project) -> None:
    """The person's record is old; a young one of the same id went to another table and does not keep it."""
    with (project.folder / "base/pipelines/shop.yml").open("a") as file:
        file.write("keep: {days: 100}\n")
    root, own = project.lake_root, (0, "r1", "good", None, None, None)
    append(root, "silver.buyers", ROW, [("people", "old", None, None)])
    columns = [*OWN, *ROW, ("_route", pa.string())]
    for at, route in ((OLD, "silver.buyers"), (NEW, "silver.orders")):
        append(root, "bronze.shop", columns, [(*own[:2], at, *own[2:], "people", "old", None, None, route)])
    later = dataclasses.replace(RUN, started_at=NEW)
    found = verbs.retain(project, ["shop"], later, dry_run=False)
    assert found.failures == {}
    assert [(what.table, what.found) for what in found.found if what.kind == "rows"] == [
        ("silver.buyers", 1), ("bronze.shop", 1),
    ]  # fmt: skip
    assert rows(project, "SELECT id FROM silver.buyers") == [("p",)]


def end_batch(project: Project) -> Ledger:
    ledger = Ledger(project.lake_root)
    ledger.plan("shop", Plan({}, "one file"), RUN, ledger.history("shop"))
    ledger.record(RUN, RunEntry("shop", "silver.orders", "succeeded", now(), "", 0, RowCounts(4, 3, 1)))
    return ledger


def test_a_reset_names_the_tables_that_only_grow(project: Project) -> None:
    end_batch(project)
    with pytest.raises(StreamError, match=r"silver\.orders, silver\.refunds only grow, so every row"):
        verbs.reset_stream(project, "shop", "", RUN)


def test_a_route_without_rows_lacks_no_view(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`silver.refunds` was declared after the batch; `silver.orders` has rows, so a lost view of it is damage."""
    from lakeloop.core.errors import DamageError
    from lakeloop.ingestion import soundness

    monkeypatch.setattr(soundness, "_of_record", lambda *_: iter(()))  # the record here was written by nobody's batch
    ledger, spec = end_batch(project), load_pipeline(project, "shop")
    require_agreement(project.lake_root, spec, ledger.history("shop"), files=True)
    Path(project.lake_root, "silver/orders/_view.json").unlink()
    with pytest.raises(DamageError, match=r"the view silver\.orders lacks batch 0"):
        require_agreement(project.lake_root, spec, ledger.history("shop"), files=True)
