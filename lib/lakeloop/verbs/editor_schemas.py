"""The JSON Schema of every kind of file under `conf/`, so that an editor completes, explains and checks it."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lakeloop.core.config import Platform
from lakeloop.core.connections import Connection
from lakeloop.core.documents import ENV_REFERENCE
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.monitoring.spec import AlertsSpec
from lakeloop.serving.access_spec import AccessSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FROM_ENVIRONMENT = {"type": "string", "pattern": ENV_REFERENCE.pattern}
BOUNDING = ("enum", "const", "pattern", "format", "minLength", "maxLength")
NOT_TEXT = ("integer", "number", "boolean")
BY_NAME = {"properties", "$defs"}  # what stands below are names of users or fields, and then schemas


def json_schemas() -> dict[str, dict[str, Any]]:
    """The schemas by the glob of the files that they are for, below `conf/base` or an environment's folder.

    They say what a single value may be; what declarations must agree on is `lakeloop validate`'s to say.
    """
    # Brings Spark's machine learning: a second that other commands should not wait for.
    from lakeloop.training.spec.model import ModelSpec

    declared: dict[str, Any] = {
        "platform.yml": Platform,
        "connections.yml": dict[str, Connection],
        "alerts.yml": AlertsSpec,
        "access.yml": AccessSpec,
        "pipelines/*.yml": PipelineSpec,
        "models/*.yml": ModelSpec,
    }
    return {
        glob: {"$schema": DIALECT, **_or_from_environment(TypeAdapter(kind).json_schema())}
        for glob, kind in declared.items()
    }


def write_json_schemas(folder: Path) -> dict[str, Path]:
    """Write one file per schema into a folder, which is made, and give the files by the glob that they are for."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for glob, schema in json_schemas().items():
        written[glob] = folder / f"{glob.removesuffix('/*.yml').removesuffix('.yml')}.schema.json"
        written[glob].write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return written


def _or_from_environment(node: Any) -> Any:
    """The schema with `${env:…}` allowed wherever a value is bounded by more than being a text."""
    if isinstance(node, list):
        return [_or_from_environment(item) for item in node]
    if not isinstance(node, dict):
        return node
    walked = {key: _or_from_environment(item) for key, item in node.items() if key not in BY_NAME}
    for key in BY_NAME & node.keys():
        walked[key] = {name: _or_from_environment(item) for name, item in node[key].items()}
    if "propertyNames" in node:
        walked["propertyNames"] = node["propertyNames"]
    is_value = isinstance(node.get("type", "string"), str) and (
        node.get("type") in NOT_TEXT or any(key in node for key in BOUNDING)
    )
    if not is_value:
        return walked
    said = {key: walked.pop(key) for key in ("title", "description", "default") if key in walked}
    return {**said, "anyOf": [walked, FROM_ENVIRONMENT]}
