from pathlib import Path

import pytest

from lakeloop import verbs
from lakeloop.core.config import Platform, Project
from lakeloop.core.connections import Connection, FilesConnection, JdbcConnection, RestConnection
from lakeloop.core.errors import ConfigError, LakeloopError

PIPELINE = """pipeline: {name}
description: one row per line
source: {{files: {connection}, formats: {{csv: {{}}}}, fields: [id, text]}}
{more}sink: {{table: silver.{name}}}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A valid configuration: two systems, two pipelines, an environment `local` that moves the lake."""
    write(tmp_path / "base/platform.yml", "lake: below\n")
    write(
        tmp_path / "base/connections.yml",
        "drop:\n  files:\n    path: /data\ncrm:\n  jdbc:\n    url: jdbc:postgresql://h/d\n"
        "    user: u\n    password: ${secret:crm_password}\n",
    )
    write(tmp_path / "base/pipelines/lines.yml", PIPELINE.format(name="lines", connection="drop", more=""))
    write(tmp_path / "base/pipelines/notes.yml", PIPELINE.format(name="notes", connection="drop", more=""))
    write(tmp_path / "local/platform.yml", "lake: over\n")
    return tmp_path


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SECRET_CRM_PASSWORD", "hunter2")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_the_environment_lies_over_base(conf: Path) -> None:
    (conf / "test").mkdir()
    assert Project(conf).lake_root == str(Path("over").resolve())
    assert Project(conf, "test").lake_root == str(Path("below").resolve())


def test_a_lake_in_an_object_store_stays_as_it_is(conf: Path) -> None:
    write(conf / "local/platform.yml", "lake: s3a://bucket/lake\n")
    assert Project(conf).lake_root == "s3a://bucket/lake"


def test_an_unknown_environment_proposes_the_nearest(conf: Path) -> None:
    with pytest.raises(ConfigError, match=r"no environment 'locl' in .*; did you mean 'local'\? Allowed: local$"):
        Project(conf, "locl")


def test_a_folder_without_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base is not a folder; name your configuration with --conf-dir"):
        Project(tmp_path)


def test_declarations_come_from_both_layers(conf: Path) -> None:
    write(conf / "local/pipelines/extra.yml", "pipeline: extra\n")
    write(conf / "local/pipelines/notes.yml", "\nowner: me\n")
    project = Project(conf)
    assert project.names("pipelines") == ["extra", "lines", "notes"]
    assert project.names("models") == []
    notes = project.document("pipelines", "notes")
    assert (notes.values["pipeline"], notes.values["owner"]) == ("notes", "me")
    assert notes.place(("owner",)) == f"{conf}/local/pipelines/notes.yml:2"
    assert notes.place(("sink",)) == f"{conf}/base/pipelines/notes.yml:4"


def test_an_unknown_declaration_proposes_the_nearest(conf: Path) -> None:
    with pytest.raises(ConfigError, match=r"no pipeline 'note' in .*; did you mean 'notes'\? Allowed: lines, notes$"):
        Project(conf).document("pipelines", "note")


def test_spark_properties_are_those_that_exist_base_first(conf: Path) -> None:
    assert Project(conf).spark_properties == []
    write(conf / "local/spark.properties", "")
    write(conf / "base/spark.properties", "")
    assert Project(conf).spark_properties == [conf / "base/spark.properties", conf / "local/spark.properties"]


def test_a_connection_is_taken_by_name_and_kind(conf: Path) -> None:
    project = Project(conf)
    assert project.connection("drop", FilesConnection, "lines") == FilesConnection(path="/data")
    assert project.connection("crm", JdbcConnection, "lines").engine == "postgresql"
    with pytest.raises(
        ConfigError, match=r"^lines: no connection 'drp' in .*did you mean 'drop'\? Allowed: crm, drop$"
    ):
        project.connection("drp", FilesConnection, "lines")
    with pytest.raises(ConfigError, match=r"connections.yml:1: lines needs a RestConnection, found another kind$"):
        project.connection("drop", RestConnection, "lines")


@pytest.mark.parametrize(
    "kinds", [{}, {"files": {"path": "/a"}, "rest": {"base_url": "http://h", "auth": {"bearer": "${secret:t}"}}}]
)
def test_a_connection_has_exactly_one_kind(kinds: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="exactly one of the keys jdbc, rest, files"):
        Connection.model_validate(kinds)


def test_a_platform_needs_a_lake(conf: Path) -> None:
    write(conf / "base/platform.yml", "mlflow: {}\n")
    write(conf / "local/platform.yml", "")
    with pytest.raises(ConfigError, match="lake: Field required"):
        _ = Project(conf).platform
    assert Platform(lake="x").secrets_folder == ""


def test_a_valid_configuration_has_no_problems(conf: Path) -> None:
    assert verbs.validate(Project(conf)) == []


def test_the_configuration_that_comes_along_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CRM_JDBC_URL", "USAGE_API_URL", "SUPPORT_DROP_PATH"):
        monkeypatch.setenv(name, {"CRM_JDBC_URL": "jdbc:postgresql://h/d", "USAGE_API_URL": "http://h"}.get(name, "/d"))
    monkeypatch.setenv("LAKELOOP_SECRET_USAGE_API_TOKEN", "t")
    assert verbs.validate(Project(Path(__file__).parents[2] / "conf")) == []


def problems(conf: Path) -> list[str]:
    return [problem.replace(f"{conf}/", "") for problem in verbs.validate(Project(conf))]


def test_all_problems_are_told_at_once(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKELOOP_SECRET_CRM_PASSWORD")
    monkeypatch.delenv("LL_UNSET", raising=False)
    write(conf / "base/spark.properties", "spark.master\n")
    write(conf / "local/connections.yml", "drop: {files: {path: '${env:LL_UNSET}'}}\n")
    write(
        conf / "base/pipelines/lines.yml",
        PIPELINE.format(name="Lines", connection="drop", more="rules: [{is_nul: id}]\n"),
    )
    write(conf / "base/models/churn.yml", "model: churn\n")
    found = problems(conf)
    for start in (
        "base/spark.properties:1:",
        "local/connections.yml:1: the environment variable LL_UNSET is not set",
        "the secret 'crm_password' has no value",
        "base/pipelines/lines.yml:1: pipeline:",
        "base/pipelines/lines.yml:4: unknown rule 'is_nul'; did you mean 'is_null'?",
        "base/pipelines/lines.yml:5: sink.table:",
        "base/models/churn.yml:1:",
    ):
        assert any(problem.startswith(start) for problem in found), (start, found)


def test_a_wrong_platform_is_told_once(conf: Path) -> None:
    write(conf / "local/platform.yml", "lak: x\n")
    (problem,) = problems(conf)
    assert problem.startswith("local/platform.yml:1: unknown key 'lak'; did you mean 'lake'?")


def test_yaml_that_does_not_parse_hides_no_other_problem(conf: Path) -> None:
    write(conf / "base/connections.yml", "drop: [\n")
    write(conf / "base/pipelines/lines.yml", "pipeline: [\n")
    write(conf / "base/pipelines/notes.yml", "pipelin: notes\n")
    found = problems(conf)
    for start in (
        "base/connections.yml:2: not valid",
        "base/pipelines/lines.yml:2: not valid",
        "base/pipelines/notes.yml:1:",
    ):
        assert any(problem.startswith(start) for problem in found), (start, found)


def test_a_pipeline_needs_a_connection_that_exists(conf: Path) -> None:
    write(conf / "base/pipelines/lines.yml", PIPELINE.format(name="lines", connection="drp", more=""))
    (problem,) = problems(conf)
    assert "no connection 'drp'" in problem
    assert "did you mean 'drop'?" in problem


def test_a_problem_inside_a_source_stands_at_its_own_line(conf: Path) -> None:
    write(
        conf / "base/pipelines/lines.yml",
        "pipeline: lines\ndescription: d\nsource:\n  files: drop\n  formats:\n    csv:\n      delimiter: ';;'\n"
        "  fields:\n    - id\n    - _raw\nsink: {table: silver.lines}\n",
    )
    assert [problem.split(": ")[0] for problem in problems(conf)] == [
        "base/pipelines/lines.yml:7",
        "base/pipelines/lines.yml:10",
    ]


def test_pipelines_in_a_circle_are_refused(conf: Path) -> None:
    query = (
        "pipeline: {name}\ndescription: d\nsource: {{inputs: {{x: silver.{reads}}}, query: SELECT 1}}\n"
        "sink: {{table: silver.{name}}}\n"
    )
    write(conf / "base/pipelines/one.yml", query.format(name="one", reads="two"))
    write(conf / "base/pipelines/two.yml", query.format(name="two", reads="one"))
    (problem,) = problems(conf)
    assert problem.startswith("pipelines read each other in a circle: ")
    assert {"one", "two"} <= set(problem.split(": ")[1].split(" → "))


def test_pipelines_come_after_those_that_write_what_they_read(conf: Path) -> None:
    write(
        conf / "base/pipelines/a_sum.yml",
        "pipeline: a_sum\ndescription: d\nsource: {inputs: {x: silver.notes}, query: SELECT 1}\n"
        "sink: {table: gold.a_sum}\n",
    )
    write(
        conf / "base/pipelines/lines.yml",
        PIPELINE.format(
            name="lines", connection="drop", more="rules: [{references: {columns: [id], table: gold.a_sum}}]\n"
        ),
    )
    names = [spec.pipeline for spec in verbs.in_order(Project(conf), ["a_sum", "lines", "notes"])]
    assert names == ["notes", "a_sum", "lines"]


def test_two_pipelines_of_one_sink_are_refused_whichever_is_run(conf: Path) -> None:
    source = "source: {{inputs: {{x: silver.notes}}, query: SELECT 1}}"
    query = f"pipeline: {{0}}\ndescription: d\n{source}\nsink: {{{{table: {{1}}}}}}\n"
    for name, table in (("one", "gold.t"), ("two", "gold.t"), ("three", "gold.u")):
        write(conf / f"base/pipelines/{name}.yml", query.format(name, table))
    write(conf / "base/pipelines/wrong.yml", "pipeline: wrong\n")  # stops no other
    assert [spec.pipeline for spec in verbs.in_order(Project(conf), ["three"])] == ["three"]
    with pytest.raises(LakeloopError, match=r"one and two both write gold\.t, .*; give one of them a sink of its own"):
        verbs.in_order(Project(conf), ["one"])
    assert [spec.pipeline for spec in verbs.in_order(Project(conf), ["one"], with_others=False)] == ["one"]
    write(conf / "base/pipelines/two.yml", query.format("one", "gold.v"))
    with pytest.raises(LakeloopError, match=r"two\.yml:1: the file is called two, the pipeline one"):
        verbs.in_order(Project(conf), ["two"])


def test_every_refusal_is_a_lakeloop_error(conf: Path) -> None:
    with pytest.raises(LakeloopError):
        Project(conf / "nowhere")
