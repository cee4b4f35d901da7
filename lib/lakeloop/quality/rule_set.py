"""Declared rules: one YAML entry is one rule, checked against the signature of the function that carries it out."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import Field, GetJsonSchemaHandler, ValidationError, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.core.errors import TableError
from lakeloop.quality import dataset_rules
from lakeloop.quality.dataset_rules import ReadTable
from lakeloop.quality.judgement import Finding, Severity, judge
from lakeloop.quality.named_columns import columns_read
from lakeloop.quality.row_rules import ROW_RULES
from lakeloop.quality.sql_conditions import Condition, columns_of

COUNTING_RULES: tuple[Callable[..., tuple[DataFrame, Column]], ...] = (
    dataset_rules.is_unique,
    dataset_rules.occurs_at_most,
)
DATASET_RULES: tuple[Callable[..., tuple[DataFrame, Column]], ...] = (*COUNTING_RULES, dataset_rules.references)
OPTIONS = ("name", "severity", "filter", "owner", "description")
KINDS: Mapping[str, Callable[..., Any]] = {function.__name__: function for function in (*ROW_RULES, *DATASET_RULES)}


def _parameters(kind: str) -> dict[str, inspect.Parameter]:
    """What a declaration may set: the parameters before the keyword-only ones that the engine gives itself."""
    signature = inspect.signature(KINDS[kind]).parameters
    return {
        name: parameter
        for name, parameter in signature.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and name != "frame"
    }


def _model(kind: str) -> type[Declaration]:
    hints = get_type_hints(KINDS[kind], include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in _parameters(kind).items()
    }
    return create_model(kind, __base__=Declaration, **fields)


MODELS = {kind: _model(kind) for kind in KINDS}


class Rule(Declaration):
    """One rule. In YAML `{is_in_range: {column: age, min: 0, severity: warn}}`, or `{is_not_null: customer_id}`."""

    kind: str
    parameters: dict[str, Any]
    name: str = Field(description="Reason code; by default the column and the kind")
    severity: Severity = "error"
    filter: Condition | None = Field(
        default=None, description="SQL condition; rows where it is not true are not judged"
    )
    owner: str | None = None
    description: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1:
            raise PydanticCustomError("rule", "a rule is one entry 'kind: column' or 'kind: {column: …, …}'")
        kind, given = next(iter(value.items()))
        if kind not in KINDS:
            raise unknown_key(str(kind), list(KINDS), "rule")
        wanted = list(_parameters(kind))
        if not isinstance(given, Mapping):
            first = wanted[0]
            given = {first: [given] if first == "columns" and isinstance(given, str) else given}
        for key in given:
            if key not in (*wanted, *OPTIONS):
                raise unknown_key(str(key), [*wanted, *OPTIONS], f"key of {kind}")
        options = {key: given[key] for key in OPTIONS if key in given}
        declared = {key: item for key, item in given.items() if key not in options}
        try:
            checked = MODELS[kind].model_validate(declared)
        except ValidationError as error:
            first_problem = error.errors()[0]
            where = ".".join(str(part) for part in first_problem["loc"])
            text = f"{kind}: {where + ': ' if where else ''}{first_problem['msg'].removeprefix('Value error, ')}"
            raise PydanticCustomError("rule", "{text}", {"text": text}) from error
        parameters = {name: getattr(checked, name) for name in wanted}
        columns = columns_read(KINDS[kind], parameters)
        if (keys := parameters.get("keys")) is not None and len(keys) != len(columns):
            raise PydanticCustomError("rule", "references: keys and columns are as many, in the same order")
        return {"name": f"{'_'.join(columns)}_{kind}", **options, "kind": kind, "parameters": parameters}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The YAML form: one key per kind, with the kind's parameters and the options of all rules."""
        given = handler.resolve_ref_schema(handler(core_schema))["properties"]
        kinds = {}
        for kind, model in MODELS.items():
            whole = model.model_json_schema()
            first = next(iter(whole["properties"].values()))
            whole["properties"] |= {option: given[option] for option in OPTIONS}
            short = [{"type": "string"}, *([first] if first.get("type") == "array" else [])]
            kinds[kind] = {"anyOf": [*short, whole], "description": inspect.getdoc(KINDS[kind])}
        one = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
        return {"type": "object", "properties": kinds, **one}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule looks at."""
        return columns_read(KINDS[self.kind], self.parameters)

    @property
    def table(self) -> str | None:
        """The other table that the rule reads, if any."""
        return self.parameters.get("table")

    @property
    def is_by_row(self) -> bool:
        """Whether the rule looks at each row by itself."""
        return KINDS[self.kind] in ROW_RULES

    def find(
        self, frame: DataFrame, *, counted: Column, read_table: ReadTable, marker: str
    ) -> tuple[DataFrame, Finding]:
        """The frame with what the rule needs added, and the finding. Raises TableError for a column that is missing."""
        there = {name.lower() for name in frame.columns}
        for column in (*self.columns, *(columns_of(self.filter) if self.filter else ())):
            if column.lower() not in there:
                raise TableError(f"rule {self.name}: no column '{column}'; the row has {', '.join(frame.columns)}")
        if (count := KINDS[self.kind]) in COUNTING_RULES:
            if self.filter is not None:
                counted = counted & F.coalesce(F.expr(self.filter), F.lit(False))
            frame, violation = count(frame, **self.parameters, counted=counted, marker=marker)
        elif self.kind == "references":
            frame, violation = dataset_rules.references(frame, **self.parameters, read_table=read_table, marker=marker)
        else:
            violation = KINDS[self.kind](**self.parameters)
        if self.filter is not None:
            violation = F.when(F.expr(self.filter), violation)
        return frame, Finding(self.name, violation, self.severity, self.columns)


def findings_of(
    frame: DataFrame, declared: Sequence[Rule], *, read_table: ReadTable, counted: Column | None = None
) -> tuple[DataFrame, list[Finding]]:
    """Compile rules against a frame. `counted` is false for rows that are dropped and must not count as duplicates."""
    findings = []
    for index, rule in enumerate(declared):
        frame, finding = rule.find(
            frame, counted=F.lit(True) if counted is None else counted, read_table=read_table, marker=f"_rule_{index}"
        )
        findings.append(finding)
    return frame, findings


def judge_rules(frame: DataFrame, declared: Sequence[Rule], *, read_table: ReadTable | None = None) -> DataFrame:
    """Judge every row of any frame; see `judge` for the columns it adds. `read_table` serves `references`."""

    def refuse(table: str) -> DataFrame:
        raise TableError(f"a rule reads {table}; pass read_table to say how tables are read")

    added, findings = findings_of(frame, declared, read_table=read_table or refuse)
    judged = judge(added, findings)
    return judged.drop(*(name for name in added.columns if name not in frame.columns))


def rules_version(declared: Sequence[Rule]) -> str:
    """Twelve hexadecimal digits that change whenever a rule does."""
    content = json.dumps([rule.model_dump(mode="json") for rule in declared], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


__all__ = ["KINDS", "ReadTable", "Rule", "findings_of", "judge_rules", "rules_version"]
