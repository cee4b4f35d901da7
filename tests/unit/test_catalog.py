"""The catalog: data sets, words that find them, and what columns are made of; without a JVM."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakeloop.catalog import Catalog, Field, load_catalog, search
from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, TableError
from lakeloop.lake.open_tables import open_table
from tests.model_files import model_file
from tests.small_lake import write_lake

ENRICHED = """
pipeline: trips
description: Trips of people, one row per trip
owner: travel-desk
tags: [travel]
source: {files: drop, formats: {csv: {}}, fields: [who, route, km, unused]}
transforms:
  - trim: [route]
  - split: {route: {separator: "-", into: [start, goal]}}
  - rename: {who: person_id}
  - cast: {km: double}
  - outliers: {km: {method: iqr, limit: 3, action: flag}}
enrich:
  - lookup: {table: silver.people, on: {person_id: person_id}, columns: {home: city}}
  - http: {rest: places, path: "/places/{goal}", columns: {country: place.country}, cache: {ttl: 1d}}
rules:
  - references: {columns: [person_id], table: silver.people}
sink: {table: silver.trips, mode: merge, keys: [person_id, start]}
"""
QUERY = """
pipeline: summary
description: What people did, one row per city
source:
  inputs: {p: silver.people, v: silver.visits}
  query: |
    WITH seen AS (SELECT person_id, sum(seconds) AS seconds, count(*) AS visits FROM v GROUP BY person_id)
    SELECT p.city, upper(p.email) AS email, seen.seconds AS stayed, seen.visits, 1 AS one
    FROM p LEFT JOIN seen ON seen.person_id = p.person_id
transforms:
  - rename: {stayed: seconds}
sink: {table: gold.summary, mode: overwrite}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = write_lake(tmp_path)
    base = project.folder / "base"
    (base / "pipelines/trips.yml").write_text(ENRICHED)
    (base / "pipelines/summary.yml").write_text(QUERY)
    with (base / "connections.yml").open("a") as file:
        file.write(
            "places: {rest: {base_url: 'http://127.0.0.1:9', auth: {bearer: '${secret:analyst}'}, rate_limit: 5/s}}\n"
        )
    return project


@pytest.fixture
def catalog(project: Project) -> Catalog:
    return load_catalog(project)


def origins(catalog: Catalog, field: str) -> set[tuple[str, tuple[str, ...], bool]]:
    """What a column is made of: (column, steps, direct)."""
    found = catalog.field(field)
    assert found is not None
    return {(str(flow.source), flow.by, flow.direct) for flow in catalog.into.get(found, ())}


def test_every_declared_and_every_found_data_set_is_there(project: Project, catalog: Catalog) -> None:
    kinds = {name: (each.kind, each.exists) for name, each in catalog.data_sets.items()}
    assert kinds == {
        "bronze.people": ("record", True),
        "bronze.summary": ("record", False),
        "bronze.trips": ("record", False),
        "bronze.visits": ("record", True),
        "files:drop": ("source", True),
        "gold.summary": ("table", False),
        "rest:places/places/{goal}": ("source", True),
        "silver.people": ("table", True),
        "silver.trips": ("table", False),
        "silver.visits": ("table", True),
    }
    service = catalog.data_sets["rest:places/places/{goal}"]
    assert [column.name for column in service.columns] == ["place.country"]
    assert catalog.data_sets["silver.people"].feeds == ("bronze.summary", "bronze.trips")
    assert catalog.data_sets["files:drop"].feeds == ("bronze.people", "bronze.trips", "bronze.visits")


def test_columns_have_the_type_of_the_table_and_the_declared_meaning(project: Project, catalog: Catalog) -> None:
    people = {each.name: each for each in catalog.data_set("silver.people").columns}
    assert (people["email"].type, people["email"].description, people["email"].tags) == (
        "string", "Contact address", ("pii",),
    )  # fmt: skip
    assert people["age"].type == "int32"
    assert list(people) == open_table(project.lake_root, "silver.people").schema.names
    assert [each.name for each in catalog.data_set("silver.trips").columns] == [
        "person_id", "route", "km", "unused", "goal", "start", "km_is_outlier", "home", "country",
    ]  # fmt: skip


def test_relations_are_keys_references_and_look_ups(catalog: Catalog) -> None:
    relations = [
        (each.kind, each.columns, each.table, each.keys) for each in catalog.data_set("silver.trips").relations
    ]
    assert relations == [
        ("key", ("person_id", "start"), "", ()),
        ("references", ("person_id",), "silver.people", ("person_id",)),
        ("looks up", ("person_id",), "silver.people", ("person_id",)),
    ]


@pytest.mark.parametrize(
    ("column", "made_of"),
    [
        ("unused", {("files:drop.unused", (), True)}),
        ("km", {("files:drop.km", ("cast",), True)}),
        ("km_is_outlier", {("files:drop.km", ("cast", "outliers"), True)}),
        ("person_id", {("files:drop.who", ("rename",), True)}),
        ("start", {("files:drop.route", ("trim", "split"), True)}),
        (
            "home",
            {("silver.people.city", ("enrich people",), True), ("files:drop.who", ("rename", "enrich people"), False)},
        ),
        (
            "country",
            {
                ("rest:places/places/{goal}.place.country", ("enrich places",), True),
                ("files:drop.route", ("trim", "split", "enrich places"), False),
            },
        ),
    ],
)
def test_a_column_is_traced_through_transforms_and_enrichments(
    catalog: Catalog, column: str, made_of: set[tuple[str, tuple[str, ...], bool]]
) -> None:
    assert origins(catalog, f"bronze.trips.{column}") == made_of
    assert origins(catalog, f"silver.trips.{column}") == {(f"bronze.trips.{column}", ("merge",), True)}


@pytest.mark.parametrize(
    ("column", "made_of"),
    [
        ("city", {("silver.people.city", (), True)}),
        ("email", {("silver.people.email", ("query",), True)}),
        ("seconds", {("silver.visits.seconds", ("query", "rename"), True)}),
        ("visits", {("silver.visits.*", ("query",), True)}),
        ("one", set()),
    ],
)
def test_a_column_is_traced_through_a_query(
    catalog: Catalog, column: str, made_of: set[tuple[str, tuple[str, ...], bool]]
) -> None:
    assert origins(catalog, f"bronze.summary.{column}") == made_of


def test_a_star_stands_for_the_columns_of_the_tables_as_they_are(project: Project) -> None:
    path = project.folder / "base/pipelines/summary.yml"
    path.write_text(QUERY[: QUERY.index("  query:")] + "  query: SELECT * FROM v\nsink: {table: gold.summary}\n")
    path.write_text(path.read_text().replace("p: silver.people, ", ""))
    catalog = load_catalog(project)
    assert [each.name for each in catalog.data_set("gold.summary").columns] == ["person_id", "page", "seconds"]
    assert origins(catalog, "bronze.summary.page") == {("silver.visits.page", (), True)}
    assert origins(catalog, "gold.summary.page") == {("bronze.summary.page", (), True)}


def test_a_query_that_cannot_be_read_is_said_and_stops_nothing(project: Project) -> None:
    path = project.folder / "base/pipelines/summary.yml"
    path.write_text(QUERY.replace("FROM p LEFT JOIN", "FROM p LEFT LEFT"))
    summary = load_catalog(project).data_set("gold.summary")
    assert summary.note.startswith("the query cannot be traced: ")
    assert summary.made_of == ("bronze.summary",)


def test_scores_in_a_table_come_from_the_model_and_this_from_its_table(project: Project) -> None:
    base = project.folder / "base"
    (base / "models").mkdir()
    (base / "models/churn.yml").write_text(json.dumps(model_file(table="silver.people", key="person_id")))
    trips = base / "pipelines/trips.yml"
    trips.write_text(ENRICHED.replace("rules:", "  - score: {model: churn, columns: {risk: probability}}\nrules:"))
    catalog = load_catalog(project)
    assert origins(catalog, "bronze.trips.risk") == {("model:churn.probability", ("enrich churn",), True)}
    assert catalog.data_set("model:churn").kind == "model"
    assert "bronze.trips" in catalog.data_set("model:churn").feeds
    assert origins(catalog, "model:churn.age") == {("silver.people.age", ("feature",), True)}


def test_words_find_names_columns_descriptions_owners_and_tags(catalog: Catalog) -> None:
    def names(*words: str) -> list[str]:
        return [hit.data_set.name for hit in search(catalog, words)]

    assert names("people")[0] == "silver.people"
    assert names("TRAVEL") == ["silver.trips", "bronze.trips"]
    assert names("travel-desk", "merge") == []
    assert names("contact", "address") == ["silver.people", "bronze.people"]
    assert set(names("pii")) == {"bronze.people", "silver.people"}
    assert len(names()) == len(catalog.data_sets)
    hit = next(hit for hit in search(catalog, ["email"]) if hit.data_set.name == "silver.people")
    assert [column.name for column in hit.columns] == ["email"]


def test_a_wrong_name_is_answered_with_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(TableError, match=r"no data set 'silver.peple'; did you mean 'silver.people'\?"):
        catalog.data_set("silver.peple")
    with pytest.raises(TableError, match=r"silver.people has no column 'emial'; did you mean 'email'\?"):
        catalog.field("silver.people.emial")
    with pytest.raises(TableError, match=r"no data set 'nowhere\.at\.all'"):
        catalog.field("nowhere.at.all")
    assert catalog.field("silver.people") is None
    assert catalog.field("silver.people.email") == Field("silver.people", "email")


def test_a_tag_that_looks_like_pii_is_refused(project: Project) -> None:
    path = project.folder / "base/pipelines/people.yml"
    path.write_text(path.read_text().replace("city: {tags: [pii]}", "city: {tags: [PII]}"))
    with pytest.raises(ConfigError, match=r"people.yml:7.*a tag 'PII' would mask nothing; write pii"):
        load_catalog(project)


def lakeloop(project: Project, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["catalog", *arguments, "--conf-dir", str(project.folder)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_people_see_lineage_as_a_tree(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    up = lakeloop(project, monkeypatch, "lineage", "gold.summary.seconds")
    assert [line.lstrip("│ ├└─").rstrip() for line in up.splitlines()] == [
        "gold.summary.seconds is made of",
        "bronze.summary.seconds overwrite",
        "silver.visits.seconds query → rename",
        "bronze.visits.seconds",
        "files:drop.seconds",
    ]
    down = lakeloop(project, monkeypatch, "lineage", "--down", "silver.people")
    assert "bronze.trips record" in down
    assert "gold.summary table" in down
    assert "nothing that is declared" in lakeloop(project, monkeypatch, "lineage", "files:drop")


def test_people_see_a_data_set_and_what_to_type_next(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lakeloop(project, monkeypatch, "show", "silver.trips")
    for text in (
        "silver.trips table · Trips of people, one row per trip · owner travel-desk · tags travel · not written yet",
        "person_id, start tells its rows apart",
        "person_id looks up silver.people (person_id)",
        "Next: lakeloop catalog lineage silver.trips",
    ):
        assert text in shown
    found = lakeloop(project, monkeypatch, "search", "email")
    assert "columns email" in found
    assert "Nothing has xyzzy" in lakeloop(project, monkeypatch, "search", "xyzzy")
