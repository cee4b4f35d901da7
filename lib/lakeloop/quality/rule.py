"""One declared rule: a YAML entry, checked against the signature of the function that carries it out."""

import datetime as dt
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, ValidationError, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.core.durations import Duration
from lakeloop.quality import joined_rules, keyed_rules, measured_rules
from lakeloop.quality.horizon import BATCH, Horizon
from lakeloop.quality.judgement import Severity
from lakeloop.quality.named_columns import columns_read
from lakeloop.quality.row_rules import ROW_RULES
from lakeloop.quality.sql_conditions import Condition, columns_of

Family = Literal["row", "keyed", "joined", "measured"]
FAMILIES: Mapping[Family, tuple[Callable[..., Any], ...]] = {
    "row": ROW_RULES,
    "keyed": keyed_rules.RULES,
    "joined": joined_rules.RULES,
    "measured": measured_rules.RULES,
}
KINDS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for functions in FAMILIES.values() for function in functions
}
FAMILY_OF: Mapping[str, Family] = {
    function.__name__: family for family, functions in FAMILIES.items() for function in functions
}
ANY_RULE = ("name", "severity", "filter", "owner", "description", "tags")
OPTIONS: Mapping[Family, tuple[str, ...]] = {
    "row": (*ANY_RULE, "at_most"),
    "keyed": (*ANY_RULE, "at_most", "horizon", "event_time"),
    "joined": (*ANY_RULE, "at_most"),
    "measured": (*ANY_RULE, "horizon", "per", "event_time"),
}
WITHIN_TIME = ("is_unique", "is_primary_key")
OF_MEASURED: tuple[Severity, ...] = ("warn", "fail")
TAKES_NO_FILTER = ("has_schema", "measure")


def _parsed_share(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value[:-1]) / 100
        except ValueError:
            return value
    return value


Percentage = Annotated[str, Field(pattern=r"^[0-9]{0,2}(\.[0-9]+)?%$")]
Tolerance = Annotated[
    float,
    Field(ge=0, lt=1),
    BeforeValidator(_parsed_share, json_schema_input_type=Annotated[float, Field(ge=0, lt=1)] | Percentage),
]


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
    severity: Severity = Field(
        default="error",
        description="error quarantines the row, warn marks it, drop drops it, fail stops the run; a measured rule, "
        "which is about no single row, marks (its default) or stops the run",
    )
    filter: Condition | None = Field(
        default=None, description="SQL condition; rows where it is not true are not judged"
    )
    at_most: Tolerance | None = Field(
        default=None, description="Share of the rows that may violate it, as 0.1%; beyond it the run is stopped"
    )
    horizon: Horizon | None = Field(
        default=None, description="How far back rows are compared: batch, all, or a length of time of event_time"
    )
    event_time: str | None = Field(default=None, description="The column that a horizon, or `per`, counts time by")
    per: Duration | None = Field(default=None, description="Judge each such stretch of event_time by itself")
    owner: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1:
            raise PydanticCustomError("rule", "a rule is one entry 'kind: column' or 'kind: {column: …, …}'")
        kind, given = next(iter(value.items()))
        if kind not in KINDS:
            raise unknown_key(str(kind), list(KINDS), "rule")
        wanted, options = list(_parameters(kind)), OPTIONS[FAMILY_OF[kind]]
        if not isinstance(given, Mapping):
            first = wanted[0]
            given = {first: [given] if first == "columns" and isinstance(given, str) else given}
        for key in given:
            if key not in (*wanted, *options):
                raise unknown_key(str(key), [*wanted, *options], f"key of {kind}")
        declared = {key: item for key, item in given.items() if key in wanted}
        try:
            checked = MODELS[kind].model_validate(declared)
        except ValidationError as error:
            first_problem = error.errors()[0]
            where = ".".join(str(part) for part in first_problem["loc"])
            problem = first_problem["msg"].removeprefix("Value error, ")
            raise _wrong(f"{kind}: {where + ': ' if where else ''}{problem}") from error
        parameters = {name: getattr(checked, name) for name in wanted}
        keys = parameters.get("keys") if kind == "references" else None
        if keys is not None and len(keys) != len(parameters["columns"]):
            raise _wrong("references: keys and columns are as many, in the same order")
        said = {key: given[key] for key in options if key in given}
        default = {"severity": "warn"} if FAMILY_OF[kind] == "measured" else {}
        name = "_".join([*columns_read(KINDS[kind], parameters), kind])
        return {"name": name, **default, **said, "kind": kind, "parameters": parameters}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Rule":
        lasts = isinstance(self.horizon, dt.timedelta)
        if lasts and self.kind not in WITHIN_TIME:
            raise _wrong(f"{self.kind}: horizon is batch or all; a length of time is for {', '.join(WITHIN_TIME)}")
        if lasts and self.event_time is None:
            raise _wrong(f"{self.kind}: a horizon of time needs event_time, the column that says when a row happened")
        if self.per is not None and self.event_time is None:
            raise _wrong(f"{self.kind}: per needs event_time, the column that says which stretch a row belongs to")
        if self.per is not None and self.horizon is not None:
            raise _wrong(f"{self.kind}: per judges each stretch with all of its rows; leave horizon out")
        if self.event_time is not None and not lasts and self.per is None:
            raise _wrong(f"{self.kind}: event_time belongs to a horizon of time or to per, and neither is given")
        if self.kind == "is_like" and self.parameters["distance"] == "ks" and self.parameters["baseline"].shares:
            raise _wrong("is_like: ks is for numbers, whose baseline has edges; of values take psi or variation")
        if self.family == "measured" and self.severity not in OF_MEASURED:
            raise _wrong(f"{self.kind}: it is about no single row, so its severity is warn or fail")
        if self.kind in TAKES_NO_FILTER and self.filter is not None:
            raise _wrong(f"{self.kind}: takes no filter; in SQL an aggregate has its own, as sum(a) FILTER (WHERE b)")
        if self.kind in (*TAKES_NO_FILTER, "distinct_count") and (self.per or self.reach != BATCH):
            raise _wrong(f"{self.kind}: it does not add up over batches, so it has neither horizon nor per")
        return self

    @model_validator(mode="after")
    def _says_something(self) -> "Rule":
        given = self.parameters
        low, high = given.get("min"), given.get("max")
        if self.family == "measured" and "min" in given:
            if low is None and high is None:
                raise _wrong(f"{self.kind}: give min, max or both; without them everything holds")
            if low is not None and high is not None and low > high:
                raise _wrong(f"{self.kind}: min {low:g} is above max {high:g}, so nothing could hold")
        usual = given.get("baseline")
        if isinstance(usual, joined_rules.Usual):
            missing = [name for name in joined_rules.NUMBERS[given["method"]] if getattr(usual, name) is None]
            if missing:
                raise _wrong(f"{self.kind}: the method {given['method']} needs a baseline with {', '.join(missing)}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The YAML form: one key per kind, with the kind's parameters and the options of its family."""
        given = handler.resolve_ref_schema(handler(core_schema))["properties"]
        kinds = {}
        for kind, model in MODELS.items():
            whole = model.model_json_schema()
            definitions = whole.pop("$defs", {})
            first: JsonSchemaValue = next(iter(whole["properties"].values()))
            whole["properties"] |= {option: given[option] for option in OPTIONS[FAMILY_OF[kind]]}
            if FAMILY_OF[kind] == "measured":
                whole["properties"]["severity"] = given["severity"] | {"enum": list(OF_MEASURED), "default": "warn"}
            # A mapping stands for the whole rule, never for its first parameter.
            short = [{"type": "string"}, first] if first.get("type") == "array" else [first]
            short = [each for each in short if each.get("type") != "object"]
            kinds[kind] = {"anyOf": [*short, _inlined(whole, definitions)], "description": inspect.getdoc(KINDS[kind])}
        one = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
        return {"type": "object", "properties": kinds, **one}

    @property
    def family(self) -> Family:
        """What the rule looks at: rows by themselves, among others, in another table, or numbers of all."""
        return FAMILY_OF[self.kind]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule is about."""
        return columns_read(KINDS[self.kind], self.parameters)

    @property
    def reads(self) -> tuple[str, ...]:
        """All columns that must be there, those of its filter and its event time, too."""
        of_filter = columns_of(self.filter) if self.filter else ()
        return tuple(dict.fromkeys([*self.columns, *([self.event_time] if self.event_time else []), *of_filter]))

    @property
    def table(self) -> str | None:
        """The other table that the rule reads, if any."""
        return self.parameters.get("table")

    @property
    def is_by_row(self) -> bool:
        """Whether it is judged without grouping or joining rows: of each by itself, or of numbers of all."""
        return self.family in ("row", "measured")

    @property
    def reach(self) -> Horizon:
        """How far back rows are compared; a rule that does not say it looks at one batch."""
        return BATCH if self.horizon is None else self.horizon

    @property
    def is_causal(self) -> bool:
        """Whether rows are compared with those of earlier batches."""
        return self.family == "keyed" and self.reach != BATCH


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{text}", {"text": text})


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema that stands by itself: what it refers to is written where it is meant."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(item, definitions) for key, item in schema.items()}
