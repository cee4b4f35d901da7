"""A look at every kind of source, on real systems: well, and then each with what can be wrong with it."""

import json
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from demo.postgres import EmbeddedPostgres
from lakeloop import verbs
from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.ingestion.sources.probing import Check
from lakeloop.lake.ledger import Ledger
from tests.loopback_api import Asked, LoopbackApi, Reply
from tests.services.events import new_topic, orders, send
from tests.services.followed_table import PASSWORD, connecting, serving
from tools.kafka import KafkaBroker

MERGED = {"mode": "merge", "keys": ["id"]}


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with serving() as server, connecting(server) as crm:
        crm.execute("CREATE TABLE t (id int PRIMARY KEY, v text, at timestamptz)")
        crm.execute("INSERT INTO t VALUES (1, 'a', '2026-01-02 03:04:05Z'), (2, NULL, NULL)")
        crm.execute("CREATE PUBLICATION lakeloop FOR TABLE t")
        yield server


@pytest.fixture(scope="module")
def api() -> Iterator[LoopbackApi]:
    def answer(asked: Asked) -> Reply:
        return Reply(body=json.dumps({"data": [{"id": "a", "n": 1}, {"id": "b", "n": None}]}).encode())

    with LoopbackApi(answer) as api:
        yield api


@pytest.fixture
def declared(
    spark: SparkSession, tmp_path: Path, postgres: EmbeddedPostgres, api: LoopbackApi, kafka: KafkaBroker
) -> dict[str, dict[str, Any]]:
    """Connections and sources by kind; `write` makes a project of them."""
    topic = new_topic(kafka, partitions=2)
    send(kafka, topic, orders(1, 2, 3))
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/a.csv").write_text("id,amount\na,1\n")
    database = {"url": postgres.jdbc_url, "user": "lakeloop", "password": "${secret:db}"}
    return {
        "connections": {
            "drop": {"files": {"path": f"{tmp_path}/drop"}},
            "crm": {"jdbc": database},
            "usage": {"rest": {"base_url": api.url, "auth": {"none": {}}, "retries": 0}},
            "events": {"kafka": {"bootstrap_servers": kafka.bootstrap, "timeout_seconds": 5}},
            "idle": {"files": {"path": "/nowhere"}},
        },
        "files": {"files": "drop", "formats": {"csv": {}}, "fields": ["id", "amount"]},
        "jdbc": {"jdbc": "crm", "table": "t", "incremental": {"cursor": "at"}},
        "cdc": {"cdc": "crm", "table": "public.t", "slot": "lakeloop_s", "publication": "lakeloop"},
        "rest": {"rest": "usage", "path": "/usage", "records": "data", "fields": ["id", "n"]},
        "kafka": {"kafka": "events", "topics": [topic], "format": {"json": {}}, "fields": ["id", "amount"]},
    }


def write(folder: Path, declared: dict[str, dict[str, Any]]) -> Project:
    base = folder / "conf/base"
    (base / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "conf/local").mkdir(exist_ok=True)
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets/db").write_text(PASSWORD)
    (folder / "secrets/wrong").write_text("wrong")
    (base / "platform.yml").write_text(f"lake: {folder}/lake\nsecrets_folder: {folder}/secrets\n")
    (base / "connections.yml").write_text(yaml.safe_dump(declared["connections"]))
    for name, source in declared.items():
        if name != "connections":
            sink = {"table": f"silver.{name}"} | (MERGED if name == "cdc" else {})
            pipeline = {"pipeline": name, "description": name, "source": source, "sink": sink}
            (base / f"pipelines/{name}.yml").write_text(yaml.safe_dump(pipeline))
    return Project(folder / "conf")


def looked(project: Project, *names: str) -> dict[str, dict[str, Check]]:
    found = verbs.find_sources(project, names)
    return {state.pipeline: {check.what: check for check in state.checks} for state in found.states}


def test_every_kind_of_source_is_looked_at_and_nothing_is_taken(
    declared: dict[str, dict[str, Any]], tmp_path: Path, postgres: EmbeddedPostgres
) -> None:
    project = write(tmp_path, declared)
    found = looked(project)
    assert sorted(found) == ["cdc", "files", "jdbc", "kafka", "rest"]
    assert all(check.ok for checks in found.values() for check in checks.values())
    said = {name: {what: check.said for what, check in checks.items()} for name, checks in found.items()}
    assert said["jdbc"]["schema"] == "3 columns: id, v, at"
    assert said["jdbc"]["freshness"].startswith("at reaches 2026-01-02 03:04:05")
    assert said["jdbc"]["volume"] == "2 rows"
    assert said["cdc"]["permitted"] == "lakeloop publishes public.t"
    assert said["cdc"]["freshness"] == "the first run makes the slot lakeloop_s"
    assert said["kafka"]["volume"] == "3 messages in 2 partitions"
    assert said["rest"]["schema"] == "2 keys: id, n"
    assert said["rest"]["volume"] == "2 records on the first page"
    assert said["files"]["schema"] == "2 columns: id, amount"
    assert said["files"]["volume"] == "1 files, 0.0 MiB, 1 of them new"
    assert verbs.find_sources(project, look=False).idle == ("idle",)
    assert not any(Ledger(project.lake_root).history(name).batches for name in found)
    with psycopg.connect(postgres.dsn) as crm:
        assert crm.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)


@pytest.mark.parametrize(
    ("pipeline", "key", "value", "what", "words"),
    [
        ("files", "connections.drop.files.path", "/not/there", "reachable", "does not exist; create it"),
        ("files", "files.fields", ["id", "price"], "schema", "and no price; mend `fields`"),
        ("jdbc", "connections.crm.jdbc.password", "${secret:wrong}", "reachable", "check user and password"),
        ("jdbc", "connections.crm.jdbc.password", "${secret:none}", "reachable", "'none' has no value"),
        ("jdbc", "jdbc.table", "nowhere", "permitted", "check the table's name and schema"),
        ("cdc", "cdc.publication", "none", "permitted", "CREATE PUBLICATION"),
        ("kafka", "kafka.topics", ["nowhere"], "reachable", "no topic nowhere"),
        ("kafka", "connections.events.kafka.bootstrap_servers", "127.0.0.1:1", "reachable", "check bootstrap_servers"),
        ("rest", "rest.records", "rows", "schema", "declare where it is under records"),
        ("rest", "rest.fields", ["id", "price"], "schema", "and no price; mend `fields`"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    declared: dict[str, dict[str, Any]], tmp_path: Path, pipeline: str, key: str, value: Any, what: str, words: str
) -> None:
    *path, last = key.split(".")
    reduce(lambda found, part: found[part], path, declared)[last] = value
    checks = looked(write(tmp_path, declared), pipeline)[pipeline]
    assert [check.what for check in checks.values() if not check.ok] == [what]
    assert words in checks[what].said


def test_people_see_what_is_not_well(
    declared: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    declared["connections"]["drop"]["files"]["path"] = "/not/there"
    conf = str(write(tmp_path, declared).folder)
    result = CliRunner().invoke(app, ["sources", "files", "kafka", "--conf-dir", conf])
    assert result.exit_code == 1
    assert "files:drop not well" in result.stdout
    assert "/not/there does not exist" in result.stdout
    assert "3 messages in 2 partitions" in result.stdout
    listed = CliRunner().invoke(app, ["sources", "--no-look", "--conf-dir", conf])
    assert listed.exit_code == 0
    assert "rest:usage/usage" in listed.stdout
    assert "No pipeline reads the connection idle" in listed.stdout
