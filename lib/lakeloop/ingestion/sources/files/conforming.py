"""Rows to their schema: what a row lacks or has too much is found, and values are cast to the types of the schema."""

import re
from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructType

from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.decision import propose_rename
from lakeloop.ingestion.schemas.declaration import Mode, SchemaRules
from lakeloop.ingestion.sources.line_parsers import MISSING, form_findings
from lakeloop.ingestion.sources.protocol import RESCUED, Extract
from lakeloop.ingestion.transforms.casting import strict_cast
from lakeloop.ingestion.transforms.conformed import article, convert_columns, text_of, unexpected
from lakeloop.quality import Finding, Severity
from lakeloop.quality.row_rules.columns import value_of

UNKNOWN = "_unknown"  # array<string>: the undeclared columns of a row
SEVERITY: dict[Mode, Severity] = {"freeze": "error", "rescue": "warn", "fail": "fail", "evolve": "error"}
REBUILD = "; a table keeps the types of its columns, docs/schemas.md says how to rebuild it with wider ones"


def conform_to_schema(frame: DataFrame, planned: PlannedSchema, rules: SchemaRules, what: str = "file") -> Extract:
    """The rows with the columns in the types of the schema, and what is wrong with their form.

    A value that is not of its type is NULL: its row is quarantined, or in mode `rescue` marked, and then the value
    stands in `_rescued`. Nothing here reads the source once more. `what` is said of where a column is missing.
    """
    findings = [*form_findings(), *_missing(planned, rules, what)]
    unknown = _unknown(planned, rules)
    if unknown:
        frame = frame.withColumn(UNKNOWN, F.when(F.col(RESCUED).isNotNull(), F.json_object_keys(RESCUED)))
    converted: dict[str, tuple[Column, str]] = {}
    texts: dict[str, Column] = {}
    rescued: dict[str, str] = {}
    types: list[Finding] = []
    for column in planned.schema.columns:
        source, wanted = frame.schema[column.name].dataType, re.sub(r"\s", "", column.type or "")
        if not wanted or source.simpleString() == wanted:
            continue
        if wanted == "string":
            texts[column.name] = text_of(frame, column.name)
            continue
        mode, lost = rules.mode_of_known(column.name), f"_misfit_{column.name}"
        is_nested = isinstance(source, ArrayType | MapType | StructType)
        value = F.lit(None).cast(wanted) if is_nested else strict_cast(column.name, wanted, source)
        converted[column.name] = (value, lost)
        if mode == "rescue":
            rescued[column.name] = lost
        types.append(_misfit(column.name, lost, wanted, mode))
    if texts:
        frame = frame.withColumns(texts)
    frame = convert_columns(frame, converted)
    if rescued:
        frame = frame.withColumn(RESCUED, _with_values(rescued))
    return Extract(frame, (*findings, *unknown, *types))


def _misfit(column: str, lost: str, wanted: str, mode: Mode) -> Finding:
    severity = SEVERITY[mode]
    expected = article(wanted) + (REBUILD if mode == "evolve" else "")
    found = unexpected(f"{column}_is_castable", column, lost, expected)
    return Finding(found.name, found.violation, severity, found.columns, blocking=severity != "warn")


def _missing(planned: PlannedSchema, rules: SchemaRules, what: str) -> list[Finding]:
    modes: tuple[Mode, ...] = ("freeze", "fail", "rescue")
    by_mode = {mode: [name for name in planned.schema.names if rules.mode_of_known(name) == mode] for mode in modes}
    in_use = [mode for mode, names in by_mode.items() if names]
    findings = []
    for mode in in_use:
        names = by_mode[mode]
        absent = _within(F.split(MISSING, ","), names, all_of=len(names) == len(planned.schema.names))
        hints = [
            F.when(F.array_contains(absent, known), F.lit(f"; {propose_rename(known, new)}"))
            for known, new in planned.proposals.items()
            if known in names
        ]
        text = F.concat(F.lit(f"the {what} has no column "), F.array_join(absent, ", "), F.concat_ws("", *hints))
        violation = F.when(F.col(MISSING).isNotNull() & (F.size(absent) > 0), text)
        reason = _reason("field_missing", mode, in_use)
        findings.append(Finding(reason, violation, SEVERITY[mode], blocking=mode != "rescue"))
    return findings


def _reason(name: str, mode: Mode, in_use: Sequence[Mode]) -> str:
    """The reason code; where several modes meet, those after the first have their mode in it."""
    return name if mode == in_use[0] else f"{name}_{mode}"


def _within(values: Column, names: Sequence[str], *, all_of: bool) -> Column:
    return values if all_of else F.array_intersect(values, F.array(*(F.lit(name) for name in names)))


def _unknown(planned: PlannedSchema, rules: SchemaRules) -> list[Finding]:
    """Findings on `_unknown`. In mode `evolve` a name is left only beyond what was looked at before."""
    modes: tuple[Mode, ...] = ("freeze", "fail", "evolve")
    in_use = [mode for mode in modes if mode in rules.modes_of_new]
    findings = []
    for mode in in_use:
        keys = F.filter(F.col(UNKNOWN), _of_mode(mode, rules))
        hints = [
            F.when(F.array_contains(keys, new), F.lit(f"; {propose_rename(known, new)}"))
            for known, new in planned.proposals.items()
        ]
        text = F.concat(F.lit("no such column is known: "), F.array_join(keys, ", "), F.concat_ws("", *hints))
        # Cells without characters leave no key behind, though the file has a column for them.
        is_nameless = (F.size(UNKNOWN) == 0) & F.lit(mode == rules.of_new)
        nameless = F.when(is_nameless, F.lit("the file has a column that is not known, empty in this row"))
        violation = F.when(F.col(UNKNOWN).isNotNull(), F.coalesce(F.when(F.size(keys) > 0, text), nameless))
        severity: Severity = "warn" if mode == "evolve" else SEVERITY[mode]
        reason = _reason("field_unknown", mode, in_use)
        findings.append(Finding(reason, violation, severity, blocking=mode != "evolve"))
    return findings


def _of_mode(mode: Mode, rules: SchemaRules) -> Callable[[Column], Column]:
    named = [name.lower() for name, declared in rules.columns.items() if declared == mode]
    others = [name.lower() for name, declared in rules.columns.items() if declared != mode]
    return lambda key: ~F.lower(key).isin(others) if mode == rules.of_new else F.lower(key).isin(named)


def _with_values(lost: Mapping[str, str]) -> Column:
    """`_rescued` with the values that were lost added to what it holds."""
    values = F.struct(*(value_of(marker).alias(column) for column, marker in lost.items()))
    added = F.to_json(values)
    inner = F.expr(f"substring({RESCUED}, 2, length({RESCUED}) - 2)")
    joined = F.concat(F.lit("{"), F.concat_ws(",", F.when(inner != "", inner), F.expr("NULL")), F.lit(","))
    both = F.when(F.coalesce(inner, F.lit("")) == "", added).otherwise(F.concat(joined, F.substr(added, F.lit(2))))
    any_lost = F.coalesce(*(value_of(marker) for marker in lost.values())).isNotNull()
    return F.when(any_lost, both).otherwise(F.col(RESCUED))
