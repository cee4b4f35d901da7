"""A data contract as the parts of a pipeline that it speaks of. What has no place there is said, never dropped."""

from collections.abc import Mapping
from typing import Any

from lakeloop.catalog.contracts.gathered_part import Part, written
from lakeloop.catalog.contracts.property_parts import take_property, take_quality
from lakeloop.core.documents import Document, Path_, propose
from lakeloop.core.errors import ConfigError

VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0")
IDENTITY = ("apiVersion", "kind", "id", "name", "version", "status", "contractCreatedTs")  # about the contract itself
OF_OBJECT = ("name", "physicalName", "logicalType", "physicalType", "description", "properties", "quality", "tags")


def pipeline_part(document: Document, schema: str | None = None) -> str:
    """`description`, `owner`, `tags`, `columns` and `rules` as YAML; `schema` names one of several tables.

    Raises ConfigError with file and line for what is no contract of version 3, for types and metrics that the standard
    does not have, and for rules of Lakeloop's that do not exist.
    """
    _refuse_foreign(document)
    at, given = _object(document, schema)
    part = Part(document)
    head = _head(part)
    for index, each in enumerate(given.get("properties") or []):
        take_property(part, each, (*at, "properties", index))
    take_quality(part, given.get("quality"), None, (*at, "quality"))
    for key in given:
        if key not in OF_OBJECT:
            part.leave((*at, key), key)
    for key, told in (
        ("physicalName", given["name"]),
        ("description", head.get("description")),
        ("physicalType", "table"),
    ):
        if key in given and given[key] != told:
            part.leave((*at, key), f"{key} of the table")
    if "tags" in given:
        part.leave((*at, "tags"), f"tags of the table: {', '.join(map(str, given['tags']))}")
    return written(part, head, str(given["name"]))


def _refuse_foreign(document: Document) -> None:
    values = document.values
    if (kind := values.get("kind")) != "DataContract":
        raise ConfigError(f"{document.place(('kind',))}: kind is DataContract in a data contract, found {kind!r}")
    if (version := values.get("apiVersion")) not in VERSIONS:
        place = document.place(("apiVersion",))
        raise ConfigError(f"{place}: apiVersion {version!r} is not read; {propose(str(version), list(VERSIONS))}")


def _object(document: Document, wanted: str | None) -> tuple[Path_, dict[str, Any]]:
    objects = document.values.get("schema")
    if not isinstance(objects, list) or not objects:
        raise ConfigError(f"{document.place(('schema',))}: schema is a list of at least one table")
    for index, each in enumerate(objects):
        if not isinstance(each, dict) or "name" not in each:
            raise ConfigError(f"{document.place(('schema', index))}: a table of the schema has a name")
    names = [str(each["name"]) for each in objects]
    if wanted is None and len(objects) > 1:
        raise ConfigError(
            f"{document.place(('schema',))}: {len(objects)} tables and a pipeline is about one; name it by --schema. "
            f"Allowed: {', '.join(names)}"
        )
    if wanted is not None and wanted not in names:
        raise ConfigError(f"{document.place(('schema',))}: no table '{wanted}'; {propose(wanted, names)}")
    index = 0 if wanted is None else names.index(wanted)
    return ("schema", index), objects[index]


def _head(part: Part) -> dict[str, Any]:
    values, head = part.document.values, dict[str, Any]()
    said = values.get("description") or {}
    if isinstance(said, Mapping):
        head |= {"description": said["purpose"]} if "purpose" in said else {}
        for key in (key for key in said if key != "purpose"):
            part.leave(("description", key), f"description.{key}")
    team = values.get("team")
    if isinstance(team, Mapping) and team.get("name"):
        head["owner"] = team["name"]
    if team is not None and (not isinstance(team, Mapping) or set(team) - {"name"}):
        part.leave(("team",), "team: its members")
    if values.get("tags"):
        head["tags"] = values["tags"]
    for key in values:
        if key == "slaProperties":
            for index, each in enumerate(values[key] or []):
                text = f"slaProperties {each.get('property')} {each.get('value')} {each.get('unit', '')}".rstrip()
                hint = " (`expect` of a file source, a rule is_fresh, or keep)"
                part.leave((key, index), text + hint)
        elif key not in (*IDENTITY, "schema", "description", "team", "tags"):
            part.leave((key,), key)
    return head
