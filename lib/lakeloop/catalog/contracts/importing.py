"""A data contract as the parts of a pipeline that it speaks of. What has no place there is said, never dropped."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from lakeloop.catalog.contracts.declarations import declaration_of
from lakeloop.catalog.contracts.quality_entries import NotMappedError, rule_of, whole_pattern
from lakeloop.core.documents import Document, Path_, propose
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.table_spec import ColumnSpec
from lakeloop.quality import Rule

VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0")
IDENTITY = ("apiVersion", "kind", "id", "name", "version", "status", "contractCreatedTs")  # about the contract itself
FORMATS = {"email": "is_email", "uuid": "is_uuid", "uri": "is_url", "ipv4": "is_ip"}
CASTS = {
    "integer": "bigint", "number": "double", "boolean": "boolean", "date": "date", "timestamp": "timestamp",
}  # fmt: skip
OF_PROPERTY = (
    "name", "logicalType", "physicalType", "description", "tags", "required", "unique", "primaryKey",
    "primaryKeyPosition", "logicalTypeOptions", "quality", "customProperties",
)  # fmt: skip
OF_OBJECT = ("name", "physicalName", "logicalType", "physicalType", "description", "properties", "quality", "tags")


@dataclass
class _Part:
    """What is gathered for the pipeline, and what was left."""

    document: Document
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    casts: dict[str, str] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    left: list[tuple[int, str]] = field(default_factory=list)

    def leave(self, at: Path_, what: str) -> None:
        """Say that something has no place in a pipeline."""
        place = self.document.place(at)
        self.left.append((int(place.rpartition(":")[2]), f"{place}: {what}"))

    def add(self, declaration: dict[str, Any], at: Path_) -> None:
        """Take a rule; the same rule twice is taken once. Raises ConfigError for one that does not exist."""
        try:
            rule = Rule.model_validate(declaration)
        except ValidationError as error:
            raise ConfigError(f"{self.document.place(at)}: {error.errors()[0]['msg']}") from error
        if rule not in self.rules:
            self.rules.append(rule)

    def has(self, kind: str, column: str) -> bool:
        """Whether such a rule is there."""
        return any(rule.kind == kind and rule.columns == (column,) for rule in self.rules)


def pipeline_part(document: Document, schema: str | None = None) -> str:
    """`description`, `owner`, `tags`, `columns` and `rules` as YAML; `schema` names one of several tables.

    Raises ConfigError with file and line for what is no contract of version 3, for types and metrics that the standard
    does not have, and for rules of Lakeloop's that do not exist.
    """
    _refuse_foreign(document)
    at, given = _object(document, schema)
    part = _Part(document)
    head = _head(part)
    for index, each in enumerate(given.get("properties") or []):
        _take_property(part, each, (*at, "properties", index))
    _take_quality(part, given.get("quality"), None, (*at, "quality"))
    for key in given:
        if key not in OF_OBJECT:
            part.leave((*at, key), key)
    if "tags" in given:
        part.leave((*at, "tags"), f"tags of the table: {', '.join(map(str, given['tags']))}")
    return _written(part, head, str(given["name"]))


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


def _head(part: _Part) -> dict[str, Any]:
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


def _take_property(part: _Part, given: Any, at: Path_) -> None:
    if not isinstance(given, dict) or "name" not in given:
        raise ConfigError(f"{part.document.place(at)}: a property has a name")
    name = str(given["name"])
    _take_column(part, name, given, at)
    if (logical := given.get("logicalType")) in CASTS:
        part.casts[name] = CASTS[logical]
    elif logical not in {None, "string"}:
        part.leave((*at, "logicalType"), f"{name}: logicalType {logical}")
    if given.get("primaryKey"):
        part.keys[name] = given.get("primaryKeyPosition", len(part.keys) + 1)
    _take_quality(part, given.get("quality"), name, (*at, "quality"))
    if given.get("required") and not part.has("is_not_null", name):
        part.add({"is_not_null": {"column": name}}, (*at, "required"))
    if given.get("unique") and not part.has("is_unique", name):
        part.add({"is_unique": {"columns": [name]}}, (*at, "unique"))
    for option, value in (given.get("logicalTypeOptions") or {}).items():
        _take_option(part, name, option, value, (*at, "logicalTypeOptions", option))
    _take_ranges(part, name, given.get("logicalTypeOptions") or {}, logical, (*at, "logicalTypeOptions"))
    for key in given:
        if key not in OF_PROPERTY:
            part.leave((*at, key), f"{name}: {key}")


def _take_column(part: _Part, name: str, given: Mapping[str, Any], at: Path_) -> None:
    column: dict[str, Any] = {key: given[key] for key in ("description", "tags") if given.get(key)}
    for index, each in enumerate(given.get("customProperties") or []):
        if each.get("property") == "mask":
            column["mask"] = each.get("value")
        else:
            part.leave((*at, "customProperties", index), f"{name}: {each.get('property')} {each.get('value')}")
    if not column:
        return
    try:
        ColumnSpec.model_validate(column)
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else "tags"
        part.leave((*at, wrong), f"{name}: {wrong} {column.get(wrong)}, since {error.errors()[0]['msg']}")
        column = {key: value for key, value in column.items() if key == "description"}
    if column:
        part.columns[name] = column


def _take_option(part: _Part, name: str, option: str, value: Any, at: Path_) -> None:
    if option == "pattern":
        part.add({"matches": {"column": name, "pattern": whole_pattern(str(value))}}, at)
    elif option == "multipleOf":
        _try(part, {"is_multiple_of": {"column": name, "of": value}}, f"{name}: {option} {value}", at)
    elif option == "format" and value in FORMATS:
        _try(part, {FORMATS[value]: {"column": name}}, f"{name}: {option} {value}", at)
    elif not re.fullmatch(r"(exclusive)?(min|max)imum|(min|max)Length", option, re.IGNORECASE):
        part.leave(at, f"{name}: {option} {value}")


def _take_ranges(part: _Part, name: str, options: Mapping[str, Any], logical: Any, at: Path_) -> None:
    lengths = {"min": options.get("minLength"), "max": options.get("maxLength")}
    if given := {key: value for key, value in lengths.items() if value is not None}:
        part.add({"has_length": {"column": name, **given}}, at)
    names = {"minimum": "min", "maximum": "max", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    if not (found := {key: options[key] for key in names if key in options}):
        return
    said = f"{name}: {', '.join(f'{key} {value}' for key, value in found.items())}"
    if logical in {"date", "timestamp", "time"}:
        half_open = {"minimum": "since", "exclusiveMaximum": "until"}
        if set(found) <= set(half_open):
            limits = {half_open[key]: value for key, value in found.items()}
            _try(part, {"is_between": {"column": name, **limits}}, said, at)
        else:
            part.leave(at, said)
        return
    _try(part, {"is_in_range": {"column": name, **{names[key]: value for key, value in found.items()}}}, said, at)


def _try(part: _Part, declaration: dict[str, Any], said: str, at: Path_) -> None:
    """Take a rule that this version may not have."""
    try:
        part.add(declaration, at)
    except ConfigError:
        part.leave(at, said)


def _take_quality(part: _Part, given: Any, column: str | None, at: Path_) -> None:
    for index, entry in enumerate(given or []):
        here = (*at, index)
        if not isinstance(entry, dict):
            raise ConfigError(f"{part.document.place(here)}: a quality entry is a mapping")
        try:
            declaration = rule_of(entry, column)
        except NotMappedError as reason:
            part.leave(here, f"{f'{column}: ' if column else ''}quality: {reason}")
            continue
        except ConfigError as error:
            raise ConfigError(f"{part.document.place(here)}: {error}") from error
        severity = entry.get("severity")
        if severity is not None and "severity" not in next(iter(declaration.values())):
            part.leave((*here, "severity"), f"{column or 'table'}: severity {severity} of a quality entry")
        for key in ("dimension", "businessImpact", "schedule", "scheduler", "method", "authoritativeDefinitions"):
            if key in entry:
                part.leave((*here, key), f"{column or 'table'}: {key} of a quality entry")
        part.add(declaration, here)


def _written(part: _Part, head: Mapping[str, Any], table: str) -> str:
    document = part.document
    version = document.values["apiVersion"]
    lines = [f"# From {document.file.name}, the table {table}, by the Open Data Contract Standard {version}."]
    lines += [f"{key}: {_flow(value)}" for key, value in head.items()]
    if part.casts:
        lines += ["# The contract's types, for a source of text:", "# transforms:", f"#   - cast: {_flow(part.casts)}"]
    if part.keys:
        keys = sorted(part.keys, key=lambda name: part.keys[name])
        lines.append(f"# The contract's primary key, for a sink of mode merge: keys: {_flow(keys)}")
    if part.columns:
        lines += ["columns:", *(f"  {_flow(name)}: {_flow(column)}" for name, column in part.columns.items())]
    lines += ["rules:" if part.rules else "rules: []", *map(_rule_line, _declared(part))]
    if part.left:
        lines += ["# What a pipeline has no place for:", *_in_order(part.left)]
    return "\n".join(lines) + "\n"


def _in_order(left: list[tuple[int, str]]) -> list[str]:
    return [f"#   {text}" for _, text in sorted(left, key=lambda each: each[0])]


def _declared(part: _Part) -> Iterator[tuple[str, Any]]:
    for rule in part.rules:
        kind, given = next(iter(declaration_of(rule).items()))
        yield kind, given["column"] if list(given) == ["column"] else given


def _rule_line(rule: tuple[str, Any]) -> str:
    return f"  - {rule[0]}: {_flow(rule[1])}"


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip()
