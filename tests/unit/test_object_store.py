"""What a project on S3 needs of Spark, and what it does not ask for otherwise."""

from pathlib import Path

import pytest

from lakeloop.core.config import Project
from lakeloop.core.object_store import CONNECTOR, JARS, with_s3
from lakeloop.lake.storage import absolute, filesystem
from lakeloop.verbs.lakes import session_properties

DELTA = "io.delta:delta-spark_2.12:3.3.2"


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_a_project_without_s3_asks_for_nothing() -> None:
    assert with_s3({JARS: DELTA}, ["/data/lake", "abfss://c@a.dfs.core.windows.net/x"]) == {JARS: DELTA}


def test_a_folder_on_s3_brings_the_connector_once() -> None:
    assert with_s3({JARS: DELTA}, ["/data", "s3a://drop/in"]) == {JARS: f"{DELTA},{CONNECTOR}"}
    assert with_s3({}, ["s3a://drop/in"]) == {JARS: CONNECTOR}
    own = {JARS: f"{DELTA},org.apache.hadoop:hadoop-aws:3.4.1"}
    assert with_s3(own, ["s3a://drop/in"]) == own


def test_endpoint_and_region_come_from_the_environment_and_properties_go_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-seen")
    found = with_s3({"spark.hadoop.fs.s3a.path.style.access": "false"}, ["s3a://lake"])
    assert found == {
        JARS: CONNECTOR,
        "spark.hadoop.fs.s3a.endpoint": "http://127.0.0.1:9000",
        "spark.hadoop.fs.s3a.endpoint.region": "eu-central-1",
        "spark.hadoop.fs.s3a.path.style.access": "false",
    }


@pytest.mark.parametrize(
    ("lake", "drop", "asks"),
    [
        ("lake", "drop", False),
        ("s3a://lake/prod", "drop", True),
        ("lake", "s3a://drop/in", True),
        ("lake", "${env:NOT_SET_HERE}", False),
    ],
)
def test_lake_and_connections_say_whether_s3_is_needed(tmp_path: Path, lake: str, drop: str, asks: bool) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "base/platform.yml").write_text(f"lake: {lake}\n")
    (tmp_path / "base/connections.yml").write_text(
        f"drop: {{files: {{path: '{drop}'}}}}\ncrm: {{jdbc: {{url: '${{env:NOT_SET_HERE}}'}}}}\n"
    )
    assert session_properties(Project(tmp_path)) == ({JARS: CONNECTOR} if asks else {})


def test_a_slash_at_the_end_names_the_same_folder() -> None:
    assert absolute("s3a://drop/in/") == "s3a://drop/in"
    assert absolute("/drop/in/") == "/drop/in"


def test_a_key_is_taken_as_it_is() -> None:
    assert filesystem("s3a://drop/a b/100%25 ?#.csv")[1] == "drop/a b/100%25 ?#.csv"
    assert filesystem("abfss://drop@store.dfs.core.windows.net/a b%.csv")[1] == "drop/a b%.csv"
