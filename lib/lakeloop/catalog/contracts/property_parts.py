"""A property of a contract and its quality entries, taken into the parts of a pipeline."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lakeloop.catalog.contracts.gathered_part import Part
from lakeloop.catalog.contracts.quality_entries import (
    NATIVE,
    OPERATORS,
    NotMappedError,
    is_option,
    rule_of,
    whole_pattern,
)
from lakeloop.core.documents import Path_
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.table_spec import ColumnSpec

FORMATS = {"email": "is_email", "uuid": "is_uuid", "uri": "is_url", "ipv4": "is_ip"}
CASTS = {
    "integer": "bigint", "number": "double", "boolean": "boolean", "date": "date", "timestamp": "timestamp",
}  # fmt: skip
SPARK_TYPE = re.compile(
    r"string|tinyint|smallint|int|bigint|float|double|boolean|date|timestamp|timestamp_ntz|decimal\(\d+,\d+\)"
)
OF_PROPERTY = (
    "name", "logicalType", "physicalType", "description", "tags", "required", "unique", "primaryKey",
    "primaryKeyPosition", "logicalTypeOptions", "quality", "customProperties",
)  # fmt: skip
OF_ENTRY = (
    "id", "type", "metric", "rule", "arguments", "unit", "query", "engine", "implementation", "customProperties",
    *NATIVE, *OPERATORS,
)  # fmt: skip


def take_property(part: Part, given: Any, at: Path_) -> None:
    """Take the column and its rules. Raises ConfigError for a property without a name and for rules that are wrong."""
    if not isinstance(given, dict) or "name" not in given:
        raise ConfigError(f"{part.document.place(at)}: a property has a name")
    name = str(given["name"])
    _take_column(part, name, given, at)
    _take_type(part, name, given, at)
    if given.get("primaryKey"):
        part.keys[name] = given.get("primaryKeyPosition", len(part.keys) + 1)
    take_quality(part, given.get("quality"), name, (*at, "quality"))
    if given.get("required") and not part.has("is_not_null", name):
        part.add({"is_not_null": {"column": name}}, (*at, "required"))
    if given.get("unique") and not part.has("is_unique", name):
        part.add({"is_unique": {"columns": [name]}}, (*at, "unique"))
    for option, value in (given.get("logicalTypeOptions") or {}).items():
        _take_option(part, name, option, value, (*at, "logicalTypeOptions", option))
    _take_ranges(
        part, name, given.get("logicalTypeOptions") or {}, given.get("logicalType"), (*at, "logicalTypeOptions")
    )
    for key in given:
        if key not in OF_PROPERTY:
            part.leave((*at, key), f"{name}: {key}")


def _take_type(part: Part, name: str, given: Mapping[str, Any], at: Path_) -> None:
    """Spark's own type, where the contract has it, else the one that fits the logical type."""
    logical, physical = given.get("logicalType"), str(given.get("physicalType", "")).lower().replace(" ", "")
    if SPARK_TYPE.fullmatch(physical):
        part.casts |= {} if physical == "string" else {name: physical}
        return
    if physical:
        part.leave((*at, "physicalType"), f"{name}: physicalType {given['physicalType']}")
    if logical in CASTS:
        part.casts[name] = CASTS[logical]
    elif logical not in {None, "string"}:
        part.leave((*at, "logicalType"), f"{name}: logicalType {logical}")


def _take_column(part: Part, name: str, given: Mapping[str, Any], at: Path_) -> None:
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


def _take_option(part: Part, name: str, option: str, value: Any, at: Path_) -> None:
    if option == "pattern":
        part.add({"matches": {"column": name, "pattern": whole_pattern(str(value))}}, at)
    elif option == "multipleOf":
        _try(part, {"is_multiple_of": {"column": name, "of": value}}, f"{name}: {option} {value}", at)
    elif option == "format" and value in FORMATS:
        _try(part, {FORMATS[value]: {"column": name}}, f"{name}: {option} {value}", at)
    elif not re.fullmatch(r"(exclusive)?(min|max)imum|(min|max)Length", option, re.IGNORECASE):
        part.leave(at, f"{name}: {option} {value}")


def _take_ranges(part: Part, name: str, options: Mapping[str, Any], logical: Any, at: Path_) -> None:
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


def _try(part: Part, declaration: dict[str, Any], said: str, at: Path_) -> None:
    """Take a rule that this version may not have."""
    try:
        part.add(declaration, at)
    except ConfigError:
        part.leave(at, said)


def take_quality(part: Part, given: Any, column: str | None, at: Path_) -> None:
    """Take the rules of the entries of a column, or of the table. Raises ConfigError for one that is wrong."""
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
        part.add(declaration, here)
        _leave_rest(part, entry, declaration, column or "table", here)


def _leave_rest(part: Part, entry: Mapping[str, Any], declaration: Mapping[str, Any], of: str, at: Path_) -> None:
    severity = entry.get("severity")
    if severity is not None and "severity" not in next(iter(declaration.values())):
        part.leave((*at, "severity"), f"{of}: severity {severity} of a quality entry")
    for key in entry:
        if key not in OF_ENTRY:
            part.leave((*at, key), f"{of}: {key} of a quality entry")
    for index, each in enumerate(entry.get("customProperties") or []):
        if not is_option(str(each.get("property"))):
            part.leave((*at, "customProperties", index), f"{of}: {each.get('property')} of a quality entry")
