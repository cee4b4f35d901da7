"""What the rest of Lakeloop knows of pipelines that follow tables: their order, lineage, resets and masks; no JVM."""

import json
from pathlib import Path

import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakeloop import verbs
from lakeloop.catalog import load_catalog
from lakeloop.catalog.addresses import addresses
from lakeloop.core.config import Project
from lakeloop.core.errors import StreamError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.ledger import Ledger, Plan
from lakeloop.serving.data.policies import pii_warnings
from lakeloop.verbs.pipelines import dependencies, in_order
from tests.small_lake import write_lake

RUN = RunContext("stream", "local", run_id="r9", user="keeper")
UNITED = """
pipeline: somebody
description: Everybody who is known, one row per person and table
source: {tables: [silver.people, silver.visits], lacking: [email, city, age, at, page, seconds], table_column: seen_in}
transforms: [rename: {email: address}]
sink: {table: gold.somebody, mode: merge, keys: [person_id, seen_in]}
"""
ELSEWHERE = """
pipeline: partner
description: What a partner's table has
source: {tables: [sales/orders], folder: drop}
sink: {table: silver.partner}
columns: {total: {description: With tax}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = write_lake(tmp_path)
    (project.folder / "base/pipelines/somebody.yml").write_text(UNITED)
    (project.folder / "base/pipelines/partner.yml").write_text(ELSEWHERE)
    return project


def test_a_pipeline_waits_for_those_that_write_its_tables(project: Project) -> None:
    specs = in_order(project, project.names("pipelines"))

    assert dependencies(specs)["somebody"] == {"people", "visits"}
    assert dependencies(specs)["partner"] == set()
    assert verbs.validate(project, secrets=False) == []


def test_lineage_goes_from_each_table_that_has_the_column(project: Project) -> None:
    catalog = load_catalog(project)
    made_of = {
        name: sorted((str(flow.source), flow.by) for flow in catalog.into.get(field, ()))
        for name in ("person_id", "address", "page", "seen_in")
        if (field := catalog.field(f"bronze.somebody.{name}"))
    }

    assert catalog.data_sets["bronze.somebody"].made_of == ("silver.people", "silver.visits")
    assert made_of == {
        "person_id": [("silver.people.person_id", ()), ("silver.visits.person_id", ())],
        "address": [("silver.people.email", ("rename",))],
        "page": [("silver.visits.page", ())],
        "seen_in": [],
    }
    assert catalog.data_sets["bronze.partner"].made_of == ("files:drop/sales/orders",)
    where = addresses(project, catalog)["files:drop/sales/orders"]
    assert where.name == f"{addresses(project, catalog)['files:drop'].name}/sales/orders"


def test_sources_are_named_by_their_tables(project: Project) -> None:
    found = verbs.find_sources(project, ["somebody", "partner"], look=False)

    names = {state.pipeline: state.name for state in found.states}
    assert names == {"somebody": "silver.people, silver.visits", "partner": "files:drop/sales/orders"}
    assert verbs.find_sources(project, look=False).idle == ()


def test_columns_that_tell_of_people_are_said_where_they_go_on(project: Project) -> None:
    assert any("somebody reads pii columns of silver.people (email, city)" in said for said in pii_warnings(project))


def test_a_reset_lets_a_batch_go_that_was_never_written_and_none_that_was(project: Project) -> None:
    ledger = Ledger(project.lake_root)
    batch = ledger.plan("somebody", Plan({"tables": {}}, "rows that are gone"), RUN, ledger.history("somebody"))

    verbs.reset_stream(project, "somebody", "vacuumed", RUN)

    history = ledger.history("somebody")
    assert (history.outcome, history.finished) == ("withdrawn", None)
    batch = ledger.plan("somebody", Plan({"tables": {}}, "new rows"), RUN, history)
    bronze = f"{project.lake_root}/bronze/somebody"
    rows = DeltaTable(f"{project.lake_root}/silver/people").to_pyarrow_table()
    said = CommitProperties({"userMetadata": json.dumps({"writer": batch.commit.writer})})
    write_deltalake(bronze, rows, commit_properties=said)
    commit = Path(bronze, "_delta_log", f"{0:020d}.json")
    written = {"txn": {"appId": batch.commit.writer, "version": batch.batch_id}}
    commit.write_text(f"{commit.read_text().rstrip()}\n{json.dumps(written)}\n")
    with pytest.raises(StreamError, match=r"batch 1 of somebody has not ended: .* run `lakeloop run somebody` first"):
        verbs.reset_stream(project, "somebody", "", RUN)
