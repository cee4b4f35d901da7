"""Declared enrichments: what they come to, what is refused where, and in which order pipelines run for them."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.enrichment.outcomes import OUTCOMES, MatchCount, shortfalls, unmarked
from lakeloop.ingestion.enrichment.service import Service, open_services
from lakeloop.ingestion.enrichment.spec import Enrichment
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.rule_results import RuleResult
from lakeloop.verbs import in_order, validate
from tests.model_files import model_file

SCORE = "score: {model: churn"
HEAD = """\
pipeline: {name}
description: Something
source: {{files: drop, formats: {{csv: {{}}}}, fields: [plan, postcode, at]}}
sink: {{table: silver.{name}}}
"""
LOOKUP = "lookup: {table: silver.plans, on: {plan: plan_id}, columns: {plan_name: name}"
HTTP = "http: {rest: geo-api, path: '/p/{postcode}', columns: {city: a.b}, cache: {ttl: 7d}"
CONNECTIONS = """\
drop: {files: {path: drop}}
geo-api: {rest: {base_url: 'https://geo.example', auth: {bearer: '${secret:geo}'}, rate_limit: 20/s}}
"""


def write(folder: Path, enrich: str, name: str = "p") -> Project:
    (folder / "local").mkdir(exist_ok=True)
    (folder / "base/pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "base/platform.yml").write_text("lake: lake\n")
    (folder / "base/connections.yml").write_text(CONNECTIONS)
    (folder / f"base/pipelines/{name}.yml").write_text(HEAD.format(name=name) + dedent(enrich))
    return Project(folder)


def load(folder: Path, *entries: str) -> PipelineSpec:
    text = "enrich:\n" + "".join(f"  - {entry}\n" for entry in entries)
    return load_pipeline(write(folder, text), "p")


def test_a_look_up_is_declared_in_a_line(tmp_path: Path) -> None:
    as_of = "as_of: {event_time: at}, missing: quarantine, at_least: 99.5%}"
    spec = load(tmp_path, LOOKUP + ", missing: null}", LOOKUP.replace("plan_name", "then") + f", name: old, {as_of}")
    now, old = spec.enrich
    assert (now.name, now.declared.missing, now.declared.at_least) == ("plans", None, None)
    assert (old.name, old.declared.missing, old.declared.at_least) == ("old", "quarantine", Decimal("99.5"))
    assert now.lookup is not None
    assert now.lookup.on == {"plan": "plan_id"}
    assert (now.severities, old.severities) == ({"plans_matches": "counted"}, {"old_matches": "error"})


def test_a_service_is_declared_in_a_line_too(tmp_path: Path) -> None:
    lat = "columns: {city: a.b, lat: {path: a.0.lat, type: double}}, fallback: {city: none, lat: -1.5}"
    [geo] = load(tmp_path, HTTP.replace("columns: {city: a.b}", lat) + ", timeout_seconds: 1.5, at_least: 95%}").enrich
    assert geo.http is not None
    assert (geo.name, geo.http.keys, geo.http.paths) == ("geo_api", ("postcode",), ["a.0.lat", "a.b"])
    assert (geo.http.cache.ttl, geo.http.timeout_seconds) == (dt.timedelta(days=7), 1.5)
    assert (geo.http.columns["city"].type, geo.http.columns["lat"].type) == ("string", "double")
    assert set(geo.severities) == {"geo_api_matches", "geo_api_stale", "geo_api_fell_back"}


def test_a_model_that_scores_is_declared_in_a_line_too(tmp_path: Path) -> None:
    known, listed = load(
        tmp_path, SCORE + "}", SCORE + ", name: risk, columns: {risk: probability}, missing: warn}"
    ).enrich
    assert known.score is not None
    assert known.score.columns == {
        "churn_prediction": "prediction", "churn_probability": "probability", "churn_version": "version",
        "churn_training_run": "training_run",
    }  # fmt: skip
    assert (known.name, known.severities) == ("churn", {"churn_matches": "counted"})
    assert (listed.name, listed.severities) == ("risk", {"risk_matches": "warn"})
    assert dict(listed.declared.columns) == {"risk": "probability"}


def test_a_model_that_scores_must_be_declared(tmp_path: Path) -> None:
    project = write(tmp_path, f"enrich: [{SCORE.replace('churn', 'chrn')}}}]\n")
    (tmp_path / "base/models").mkdir()
    (tmp_path / "base/models/churn.yml").write_text(json.dumps(model_file()))
    [problem] = validate(project, secrets=False)
    assert problem.startswith("pipeline p, enrich: no model 'chrn' is declared; did you mean 'churn'?")
    assert validate(write(tmp_path, f"enrich: [{SCORE}}}]\n"), secrets=False) == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("lokup: {}", ["'lokup'", "did you mean 'lookup'"]),
        (LOOKUP + "}, http: {}", ["YAML"]),
        ("lookup: silver.plans", ["lookup"]),
        (LOOKUP.replace("on: {plan: plan_id}, ", "") + "}", ["lookup.on", "required"]),
        (LOOKUP.replace("{plan: plan_id}", "{}") + "}", ["lookup.on", "at least 1"]),
        (LOOKUP.replace("silver.plans", "plans") + "}", ["lookup.table", "found 'plans'"]),
        (LOOKUP.replace("plan_name: ", "_name: ") + "}", ["lookup.columns"]),
        (LOOKUP + ", at_leest: 9%}", ["unknown key 'at_leest'", "did you mean 'at_least'"]),
        (LOOKUP + ", as_of: {time: at}}", ["as_of.event_time", "required"]),
        (LOOKUP + ", missing: fail}", ["missing", "'quarantine' or 'warn'"]),
        *((LOOKUP + f", at_least: {share}}}", ["at_least", "as 99.5%"]) for share in ("0.995", "101%", "0%", "-1%")),
        (LOOKUP + ", name: My plans}", ["name", "found 'My plans'"]),
        (HTTP.replace("/p/{postcode}", "/p") + "}", ["path", "in braces"]),
        (HTTP.replace("/p/{postcode}", "p/{postcode}") + "}", ["path", "found 'p/{postcode}'"]),
        (HTTP.replace("/p/{postcode}", "/p/{postcode") + "}", ["path", "in braces"]),
        (HTTP.replace("/p/{postcode}", "/p/{post.code}") + "}", ["'post.code' is no column name"]),
        (HTTP.replace("a.b", "a..b") + "}", ["columns.city"]),
        (HTTP.replace("a.b", "{path: a, type: number}") + "}", ["'number' is no type"]),
        *((HTTP.replace("7d", ttl) + "}", ["cache.ttl", "as 7d"]) for ttl in ("0d", "7", "1w", "-1d")),
        (HTTP + ", concurrency: 0}", ["concurrency", "greater than or equal to 1"]),
        (HTTP + ", fallback: {town: x}}", ["fallback: 'town' is not one of the columns city"]),
        (
            HTTP.replace("a.b", "{path: a.b, type: int}") + ", fallback: {city: 1.5}}",
            ["fallback: city is of type int, and 1.5 is not"],
        ),
        (HTTP + ", timeout_seconds: 0}", ["timeout_seconds", "greater than 0"]),
        ("score: {columns: {a: probability}}", ["score.model", "required"]),
        (SCORE + ", columns: {}}", ["score.columns", "at least 1"]),
        (SCORE + ", columns: {a: probabilty}}", ["score.columns.a", "'probability'"]),
        ("score: {model: churn 1}", ["score.model", "found 'churn 1'"]),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_refused_with_file_and_line(tmp_path: Path, entry: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, entry)
    assert str(refused.value).startswith(f"{tmp_path}/base/pipelines/p.yml:6: ")
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((LOOKUP + "}", LOOKUP.replace("plan_name", "other") + "}"), "two enrichments are called plans"),
        ((LOOKUP + "}", LOOKUP.replace("plan_name", "Plan_name") + ", name: b}"), "plan_name: a column is added twice"),
    ],
)  # fmt: skip
def test_names_and_columns_stand_once(tmp_path: Path, entries: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, *entries)


def test_a_rule_may_not_be_called_like_a_finding_of_an_enrichment(tmp_path: Path) -> None:
    rules = "rules: [is_not_null: {column: plan, name: plans_matches}]\n"
    with pytest.raises(ConfigError, match="two rules are called plans_matches"):
        load_pipeline(write(tmp_path, f"enrich: [{LOOKUP}}}]\n{rules}"), "p")


def test_a_pipeline_runs_after_the_one_whose_table_it_looks_up(tmp_path: Path) -> None:
    write(tmp_path, "", name="plans")
    project = write(tmp_path, f"enrich: [{LOOKUP}}}]\n", name="an_order")
    assert load_pipeline(project, "an_order").inputs == {"silver.plans"}
    assert [spec.pipeline for spec in in_order(project, ["an_order", "plans"])] == ["plans", "an_order"]
    write(tmp_path, f"enrich: [{LOOKUP.replace('silver.plans', 'silver.an_order')}}}]\n", name="plans")
    with pytest.raises(ConfigError, match="in a circle"):
        in_order(project, ["an_order", "plans"])


def test_a_connection_that_is_missing_or_of_another_kind_is_found_by_validate(tmp_path: Path) -> None:
    assert validate(write(tmp_path, f"enrich: [{HTTP}}}]\n"), secrets=False) == []
    [problem] = validate(write(tmp_path, f"enrich: [{HTTP.replace('geo-api', 'geo_api')}}}]\n"), secrets=False)
    assert "pipeline p, enrich: no connection 'geo_api'" in problem
    assert "did you mean 'geo-api'" in problem
    [problem] = validate(write(tmp_path, f"enrich: [{HTTP.replace('geo-api', 'drop')}}}]\n"), secrets=False)
    assert "needs a RestConnection" in problem
    connections = tmp_path / "base/connections.yml"
    project = write(tmp_path, f"enrich: [{HTTP}}}]\n")
    connections.write_text(CONNECTIONS.replace(", rate_limit: 20/s", ""))
    [problem] = validate(project, secrets=False)
    assert problem.startswith(f"{connections}:2: pipeline p looks up each new key in geo-api, which has no rate_limit")


def test_an_opened_service_does_not_show_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SECRET_GEO", "s3cret-token")
    project = write(tmp_path, f"enrich: [{HTTP}}}]\n")
    opened = open_services(project, load_pipeline(project, "p"))
    assert isinstance(opened["geo-api"], Service)
    assert opened["geo-api"].secret == "s3cret-token"
    assert "s3cret" not in repr(opened)


def count(name: str = "plans", **rows: int) -> MatchCount:
    return MatchCount(name, {outcome: rows.get(outcome, 0) for outcome in OUTCOMES})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, []),
        ({"matched": 199, "missing": 1}, []),
        ({"matched": 198, "stale": 1, "fell_back": 1}, []),
        (
            {"matched": 198, "missing": 1, "fell_back": 1},
            ["plans matched 99.00% of 200 rows (198), expected at least 99.5%"],
        ),
        (
            {"matched": 994_999, "missing": 5_001},
            ["plans matched 99.49% of 1,000,000 rows (994,999), expected at least 99.5%"],
        ),
    ],
)  # fmt: skip
def test_the_share_of_matches_is_compared_exactly(tmp_path: Path, rows: dict[str, int], said: list[str]) -> None:
    enrich = load(tmp_path, LOOKUP + ", at_least: 99.5%}").enrich
    assert shortfalls(enrich, [count(**rows)]) == said
    assert shortfalls(load(tmp_path, LOOKUP + "}").enrich, [count(**rows)]) == []


def test_rows_that_are_left_alone_are_counted(tmp_path: Path) -> None:
    enrich: tuple[Enrichment, ...] = load(tmp_path, LOOKUP + "}", HTTP + ", missing: warn}").enrich
    found = [count(matched=1, missing=2), count("geo_api", missing=3, fell_back=4)]
    assert unmarked(enrich, found) == (RuleResult("plans_matches", "counted", 2),)
