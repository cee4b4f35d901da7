"""What editors are told of the YAML files agrees with what the declarations themselves accept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from lakeloop.cli import app
from lakeloop.core.documents import Document
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.quality.rule import KINDS
from lakeloop.verbs import json_schemas

ROOT = Path(__file__).parents[2]
SCHEMAS = json_schemas()
PIPELINE = {"pipeline": "p", "description": "d", "source": {"query": "SELECT 1", "inputs": {"a": "silver.a"}}}
SINK = {"sink": {"table": "silver.p"}}


def plain(document: Any) -> Any:
    """YAML as an editor sees it: days and moments are texts."""
    return json.loads(json.dumps(document, default=str))


def problems(glob: str, document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMAS[glob]).iter_errors(plain(document))]


def pipelines_in_docs(tmp_path: Path) -> list[tuple[str, dict[str, Any]]]:
    found, file = [], tmp_path / "block.yml"
    for page in sorted((ROOT / "docs").glob("*.md")):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL):
            if all(re.search(f"^{key}:", block, re.MULTILINE) for key in ("pipeline", "source", "sink")):
                file.write_text(block)
                found.append((page.name, Document.load(file).values))
    return found


@pytest.mark.parametrize("glob", list(SCHEMAS))
def test_each_schema_is_one_and_fits_the_files_that_are_here(glob: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[glob])
    for file in (ROOT / "conf").glob(f"*/{glob}"):
        assert problems(glob, Document.load(file).values) == [], file


def test_whole_pipelines_in_the_docs_fit(tmp_path: Path) -> None:
    found = pipelines_in_docs(tmp_path)
    assert len(found) >= 3
    for page, document in found:
        assert problems("pipelines/*.yml", document) == [], page


@pytest.mark.parametrize(
    "part",
    [
        {"rules": [{"is_not_null": "id"}, {"is_unique": ["a", "b"]}, {"is_unique": "a"}]},
        {"rules": [{"is_in_range": {"column": "a", "min": 0, "severity": "warn", "name": "n"}}]},
        {"rules": [{"references": {"columns": ["a"], "table": "silver.b", "keys": ["c"]}}]},
        {"transforms": [{"trim": ["a"]}, {"cast": {"a": "decimal(10,2)"}}, {"impute": {"a": "median"}}]},
        {"transforms": [{"impute": {"a": {"constant": 0}, "b": {"mean": {"by": ["c"]}}}}]},
        {"transforms": [{"map": {"a": {"values": {"1": True, "2": None}, "otherwise": None}}}]},
        {
            "transforms": [
                {"survive": {"keys": ["a"], "from": "b", "columns": {"c": "longest"}, "otherwise": {"prefer": ["d"]}}}
            ]
        },
        {"source": {"tables": ["silver.a", "silver.b"], "lacking": ["c"]}},
        {"trigger": "5s", "retry": {"times": 3, "wait": "30s"}},
        {"trigger": "available_now"},
        {"retry": {"times": "${env:TIMES:-3}"}},
        {"keep": {"days": 7, "versions": 3}},
        {"columns": {"a": {"tags": ["pii"], "mask": "hash"}}},
    ],
)
def test_what_a_pipeline_may_say_fits(part: dict[str, Any]) -> None:
    written = PIPELINE | SINK | part
    if "env:" not in str(part):
        PipelineSpec.model_validate(written)
    assert problems("pipelines/*.yml", written) == []


@pytest.mark.parametrize(
    "part",
    [
        {"rule": []},
        {"rules": [{"is_not_nul": "id"}]},
        {"rules": [{"is_not_null": "id", "is_unique": "id"}]},
        {"rules": [{"is_in_range": {"column": "a", "least": 0}}]},
        {"rules": [{"is_in_range": {"column": "a", "severity": "bad"}}]},
        {"transforms": [{"trim": ["a"], "cast": {"a": "int"}}]},
        {"transforms": [{"impute": {"a": "middle"}}]},
        {"trigger": "5 seconds"},
        {"trigger": "sometimes"},
        {"retry": {"times": 0}},
        {"columns": {"a": {"mask": "blur"}}},
        {"sink": {"table": "p"}},
        {"source": {"query": "SELECT 1"}},
        {"source": {"rest": "api", "path": "/a", "records": "a", "incremental": {"cursor": "a"}}},
    ],
)
def test_what_a_pipeline_may_not_say_does_not_fit(part: dict[str, Any]) -> None:
    written = PIPELINE | SINK | part
    with pytest.raises(ValidationError):
        PipelineSpec.model_validate(written)
    assert problems("pipelines/*.yml", written)


def test_connections_take_references_and_no_secrets() -> None:
    crm = {"url": "jdbc:postgresql://h/d", "user": "u", "password": "${secret:crm}"}
    assert problems("connections.yml", {"crm": {"jdbc": crm}}) == []
    assert problems("connections.yml", {"crm": {"jdbc": crm | {"password": "hunter2"}}})
    assert problems("connections.yml", {"api": {"rest": {"base_url": "https://h", "auth": "none"}}}) == []


def test_each_kind_of_rule_is_explained() -> None:
    rule = SCHEMAS["pipelines/*.yml"]["$defs"]["Rule"]["properties"]
    assert set(rule) == set(KINDS)
    assert "NULL" in rule["is_not_null"]["description"]


def test_input_forms_are_the_schemas_and_not_what_they_become() -> None:
    text = json.dumps(TypeAdapter(PipelineSpec).json_schema())
    assert '"format": "duration"' not in text


def test_the_command_writes_a_file_per_kind(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["json-schema", str(tmp_path / "schemas")])
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in (tmp_path / "schemas").iterdir()) == [
        "access.schema.json", "alerts.schema.json", "connections.schema.json",
        "models.schema.json", "pipelines.schema.json", "platform.schema.json",
    ]  # fmt: skip
    written = json.loads((tmp_path / "schemas" / "pipelines.schema.json").read_text())
    assert written == SCHEMAS["pipelines/*.yml"]
