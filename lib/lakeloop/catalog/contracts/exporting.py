"""A pipeline as a data contract."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from lakeloop.catalog.contracts.declarations import plain
from lakeloop.catalog.contracts.quality_entries import entry_of
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.quality import Rule

API_VERSION = "v3.1.0"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "lakeloop:pipeline")
HOUR = 3600
SPARK_TYPES = {
    "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "halffloat": "float",
    "date32[day]": "date", "large_string": "string", "large_binary": "binary",
}  # fmt: skip


def contract_of(spec: PipelineSpec, schemas: Mapping[str, pa.Schema], version: str = "1.0.0") -> dict[str, Any]:
    """A contract as the standard's keys and values, ready for YAML.

    `schemas` has the columns of those tables of the pipeline that exist; of others the declared columns are told,
    without types. Every declared rule stands under each table that has its columns.
    """
    contract: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": str(uuid.uuid5(NAMESPACE, spec.pipeline)),
        "name": spec.pipeline,
        "version": version,
        "status": "active",
        "description": {"purpose": spec.description},
    }
    if spec.owner:
        contract["team"] = {"name": spec.owner}
    if spec.tags:
        contract["tags"] = list(spec.tags)
    contract["schema"] = [_table(spec, target, schemas.get(target.table)) for target in spec.targets]
    if agreed := list(_agreements(spec)):
        contract["slaProperties"] = agreed
    return contract


def _table(spec: PipelineSpec, target: Target, schema: pa.Schema | None) -> dict[str, Any]:
    rules = [rule for rule in spec.rules if schema is None or set(rule.columns) <= set(schema.names)]
    entries = [entry_of(rule) for rule in rules]
    named = [*spec.columns, *target.keys, *(column for column, _ in entries if column)]
    names = list(schema.names) if schema is not None else list(dict.fromkeys(named))
    table: dict[str, Any] = {
        "name": target.table,
        "physicalName": target.table,
        "logicalType": "object",
        "physicalType": "table",
        "description": spec.description,
        "properties": [_column(spec, target, name, schema, rules, entries) for name in names],
    }
    if whole := [entry for column, entry in entries if column is None]:
        table["quality"] = whole
    return table


def _column(
    spec: PipelineSpec,
    target: Target,
    name: str,
    schema: pa.Schema | None,
    rules: list[Rule],
    entries: list[tuple[str | None, dict[str, Any]]],
) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name}
    if schema is not None:
        kind = schema.field(name).type
        column |= {"logicalType": logical_type(kind), "physicalType": physical_type(kind)}
    declared = spec.columns.get(name)
    if declared and declared.description:
        column["description"] = declared.description
    if declared and declared.tags:
        column["tags"] = list(declared.tags)
    if declared and declared.mask:
        column["customProperties"] = [{"property": "mask", "value": declared.mask}]
    if name in target.keys:
        column |= {"primaryKey": True, "primaryKeyPosition": list(target.keys).index(name) + 1}
    never_null = any(r.kind == "is_not_null" and r.columns == (name,) and _binds(r) for r in rules)
    if never_null or name in target.keys:
        column["required"] = True
    if quality := [entry for under, entry in entries if under == name]:
        column["quality"] = quality
    return column


def _binds(rule: Rule) -> bool:
    return rule.severity != "warn" and rule.filter is None and not getattr(rule, "at_most", None)


def logical_type(kind: pa.DataType) -> str:
    """What the standard calls a type."""
    types = pa.types
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_list(kind) or types.is_large_list(kind):
        return "array"
    if types.is_struct(kind) or types.is_map(kind):
        return "object"
    named = {types.is_boolean: "boolean", types.is_date: "date", types.is_timestamp: "timestamp"}
    return next((name for is_it, name in named.items() if is_it(kind)), "string")


def physical_type(kind: pa.DataType) -> str:
    """What Spark calls a type."""
    types = pa.types
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_list(kind) or types.is_large_list(kind):
        return f"array<{physical_type(kind.value_type)}>"
    if types.is_map(kind):
        return f"map<{physical_type(kind.key_type)},{physical_type(kind.item_type)}>"
    if types.is_struct(kind):
        return f"struct<{','.join(f'{field.name}:{physical_type(field.type)}' for field in kind)}>"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    return SPARK_TYPES.get(str(kind), str(kind))


def _agreements(spec: PipelineSpec) -> Iterator[dict[str, Any]]:
    """What is promised: how often data come, how fresh they are, how long they stay."""
    tables = ", ".join(spec.tables)
    expected = spec.source.expect if isinstance(spec.source, FilesSource) else None
    if expected is not None:
        grace = f"; they are missing {plain(expected.grace)} later" if expected.grace else ""
        every = expected.every.total_seconds() / HOUR
        said = f"New rows at least every {plain(expected.every)}{grace}"
        yield {"property": "frequency", "value": _whole(every), "unit": "h", "element": tables, "description": said}
    for rule in spec.rules:
        if rule.kind == "is_fresh":
            within = rule.parameters["within"].total_seconds() / HOUR
            element = f"{spec.tables[0]}.{rule.columns[0]}"
            said = f"The newest row is at most {plain(rule.parameters['within'])} old"
            yield {"property": "latency", "value": _whole(within), "unit": "h", "element": element, "description": said}
    if spec.keep and spec.keep.days is not None:
        yield {"property": "retention", "value": spec.keep.days, "unit": "d", "element": tables}


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number
