"""Rules as the standard's quality entries, and back.

`is_not_null`, `null_ratio`, `is_in`, `matches`, `is_unique` and `row_count` are metrics of the standard's library,
`sql` is its SQL; every other rule is an entry of type custom with the engine `lakeloop`. What a rule has beyond that
(who owns it, which rows it looks at) stands under `customProperties`.
"""

import re
from collections.abc import Mapping
from typing import Any

from lakeloop.catalog.contracts.declarations import NOT_OPTIONS, is_known, options_of, parameters_of
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.quality import Rule

ENGINE = "lakeloop"
TYPES = ("text", "library", "sql", "custom")
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
NATIVE = ("name", "description", "tags", "severity")  # options that the standard has a key for
VIOLATING = re.compile(r"SELECT COUNT\(\*\) FROM \{object\} WHERE NOT \((.*)\)", re.DOTALL)
WHOLE = re.compile(r"\^\(\?:(.*)\)\$", re.DOTALL)

Entry = dict[str, Any]


class NotMappedError(ConfigError):
    """An entry that is sound and that no rule says."""


def entry_of(rule: Rule) -> tuple[str | None, Entry]:
    """The column that an entry stands under, None for the table, and the entry."""
    parameters = parameters_of(rule)
    column, said = _library(rule.kind, parameters) or (None, _custom(rule.kind, parameters))
    if column is None and "engine" in said and isinstance(parameters.get("column"), str):
        column = parameters["column"]
    options = options_of(rule)
    said |= {"severity": rule.severity} | {name: options.pop(name) for name in NATIVE if name in options}
    if options:
        said["customProperties"] = [{"property": _camel(name), "value": value} for name, value in options.items()]
    return column, said


def _library(kind: str, given: Mapping[str, Any]) -> tuple[str | None, Entry] | None:
    match kind, given:
        case "is_not_null", {"column": str(column)}:
            return column, {"metric": "nullValues", "mustBe": 0}
        case "null_ratio", {"column": str(column), "max": float(most) | int(most)}:
            return column, {"metric": "nullValues", "mustBeLessOrEqualTo": round(most * 100, 10), "unit": "percent"}
        case "is_in", {"column": str(column), "values": list(values)}:
            return column, {"metric": "invalidValues", "arguments": {"validValues": values}, "mustBe": 0}
        case "matches", {"column": str(column), "pattern": str(pattern)}:
            whole = f"^(?:{pattern})$"
            return column, {"metric": "invalidValues", "arguments": {"pattern": whole}, "mustBe": 0}
        case "is_unique", {"columns": [column]} if len(given) == 1:
            return column, {"metric": "duplicateValues", "mustBe": 0}
        case "is_unique", {"columns": list(columns)} if len(given) == 1:
            return None, {"metric": "duplicateValues", "arguments": {"properties": columns}, "mustBe": 0}
        case "row_count", _:
            return None, {"metric": "rowCount"} | _bounds(given.get("min"), given.get("max"))
        case "sql", {"condition": str(condition)} if len(given) == 1:
            query = f"SELECT COUNT(*) FROM {{object}} WHERE NOT ({condition})"
            return None, {"type": "sql", "query": query, "mustBe": 0}
    return None


def _bounds(low: float | None, high: float | None) -> Entry:
    if low is not None and high is not None:
        return {"mustBe": low} if low == high else {"mustBeBetween": [low, high]}
    return {"mustBeLessOrEqualTo": high} if low is None else {"mustBeGreaterOrEqualTo": low}


def _custom(kind: str, parameters: Mapping[str, Any]) -> Entry:
    return {"type": "custom", "engine": ENGINE, "implementation": {kind: dict(parameters)}}


def rule_of(entry: Mapping[str, Any], column: str | None) -> dict[str, Any]:
    """The declaration of the rule that an entry of a column, or of the table, stands for.

    Raises NotMappedError for a sound entry without a rule, ConfigError for one that is wrong.
    """
    kind, parameters = _read(entry, column)
    if entry.get("type") != "custom" and not is_known(kind):
        raise NotMappedError(f"{entry.get('metric') or entry.get('type')}: this version has no rule {kind}")
    options = {name: entry[name] for name in NATIVE if name in entry}
    if options.get("severity") not in {None, "error", "warn", "fail", "drop"}:
        options.pop("severity")  # the words of other tools: what becomes of the rows is for somebody to decide
    own = {_snake(str(each.get("property"))): each.get("value") for each in entry.get("customProperties") or []}
    options |= {name: value for name, value in own.items() if is_option(name)}
    return {kind: {**parameters, **options}}


def is_option(name: str) -> bool:
    """Whether rules have an option of that name, in either spelling."""
    return _snake(name) in Rule.model_fields and _snake(name) not in NOT_OPTIONS


def _read(entry: Mapping[str, Any], column: str | None) -> tuple[str, dict[str, Any]]:
    type_ = entry.get("type", "library")
    if type_ not in TYPES:
        raise ConfigError(f"unknown type '{type_}' of a quality entry; {propose(str(type_), list(TYPES))}")
    if type_ == "text":
        raise NotMappedError("a text, which nobody can judge by itself")
    if type_ == "custom":
        if entry.get("engine") != ENGINE:
            raise NotMappedError(f"a check of the engine {entry.get('engine')}")
        return _implemented(entry.get("implementation"))
    if type_ == "sql":
        return _sql(entry)
    return _metric(entry, column)


def _implemented(given: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(given, Mapping) or len(given) != 1 or not isinstance(next(iter(given.values())), Mapping):
        raise ConfigError("implementation of the engine lakeloop is one entry 'kind: {column: …}'")
    kind, parameters = next(iter(given.items()))
    return str(kind), dict(parameters)


def _sql(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    found = VIOLATING.fullmatch(str(entry.get("query", "")).strip())
    if found is None or _operator(entry) != ("mustBe", 0):
        raise NotMappedError("SQL of its own; a rule `sql` judges one row by a condition")
    return "sql", {"condition": found[1]}


def _metric(entry: Mapping[str, Any], column: str | None) -> tuple[str, dict[str, Any]]:
    metric, arguments = entry.get("metric", entry.get("rule")), entry.get("arguments") or {}
    if metric not in METRICS:
        raise ConfigError(f"unknown metric '{metric}'; {propose(str(metric), list(METRICS))}")
    operator, bound = _operator(entry)
    none = (operator, bound) == ("mustBe", 0)
    if metric == "rowCount":
        return "row_count", _row_count(operator, bound)
    if metric == "duplicateValues" and none:
        return "is_unique", {"columns": list(arguments.get("properties") or [_needed(column, metric)])}
    if metric == "nullValues" and none:
        return "is_not_null", {"column": _needed(column, metric)}
    if metric == "nullValues" and operator == "mustBeLessOrEqualTo" and entry.get("unit") == "percent":
        return "null_ratio", {"column": _needed(column, metric), "max": round(bound / 100, 12)}
    if metric == "invalidValues" and none and list(arguments) == ["validValues"]:
        return "is_in", {"column": _needed(column, metric), "values": arguments["validValues"]}
    if metric == "invalidValues" and none and list(arguments) == ["pattern"]:
        return "matches", {"column": _needed(column, metric), "pattern": whole_pattern(arguments["pattern"])}
    raise NotMappedError(f"{metric} {operator} {bound}{' ' + str(entry['unit']) if 'unit' in entry else ''}")


def whole_pattern(pattern: str) -> str:
    """The pattern without the frame that `entry_of` gives it."""
    framed = WHOLE.fullmatch(pattern)
    return framed[1] if framed else pattern


def _row_count(operator: str, bound: Any) -> dict[str, Any]:
    match operator:
        case "mustBe":
            return {"min": bound, "max": bound}
        case "mustBeBetween":
            return {"min": bound[0], "max": bound[1]}
        case "mustBeGreaterOrEqualTo":
            return {"min": bound}
        case "mustBeLessOrEqualTo":
            return {"max": bound}
        case "mustBeGreaterThan":
            return {"min": bound + 1}
        case "mustBeLessThan":
            return {"max": bound - 1}
    raise NotMappedError(f"rowCount {operator} {bound}")


def _operator(entry: Mapping[str, Any]) -> tuple[str, Any]:
    found = [name for name in OPERATORS if name in entry]
    if len(found) != 1:
        raise ConfigError(f"an entry has one of {', '.join(OPERATORS)}, found {', '.join(found) or 'none'}")
    return found[0], entry[found[0]]


def _needed(column: str | None, metric: str) -> str:
    if column is None:
        raise ConfigError(f"the metric {metric} stands under a property of the schema")
    return column


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()
