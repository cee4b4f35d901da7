"""A rule as somebody would declare it, from the rule as it was read."""

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from lakeloop.core.durations import UNITS
from lakeloop.quality import Rule

NOT_OPTIONS = ("kind", "parameters", "name")


def declaration_of(rule: Rule) -> dict[str, Any]:
    """One key, the kind, and under it what is not as it is by default; validating it gives the same rule again."""
    return {rule.kind: parameters_of(rule) | options_of(rule)}


def parameters_of(rule: Rule) -> dict[str, Any]:
    """The parameters that differ from their defaults."""
    told = {name: plain(value) for name, value in rule.parameters.items() if value is not None}
    for name in tuple(told):
        others = {key: value for key, value in told.items() if key != name}
        with suppress(ValidationError):  # it cannot do without this one
            if Rule.model_validate({rule.kind: others}).parameters == rule.parameters:
                told = others
    return told


def is_known(kind: str) -> bool:
    """Whether this version has a rule of that name."""
    try:
        Rule.model_validate({kind: {}})
    except ValidationError as error:
        first = error.errors()[0]
        return not (first["type"] == "unknown_key" and first.get("ctx", {}).get("key") == kind)
    return True


def options_of(rule: Rule) -> dict[str, Any]:
    """The options that differ from what a rule of this kind and these parameters has by itself."""
    usual = Rule.model_validate({rule.kind: parameters_of(rule)})
    found = {name: getattr(rule, name) for name in type(rule).model_fields if name not in NOT_OPTIONS}
    told = {name: plain(value) for name, value in found.items() if value != getattr(usual, name)}
    return ({} if rule.name == usual.name else {"name": rule.name}) | told


def plain(value: Any) -> Any:
    """A value as YAML has it: lengths of time as `6h`, days and moments as text, whole numbers without a fraction."""
    if isinstance(value, dt.timedelta):
        seconds = int(value.total_seconds())
        unit, length = next((unit, length) for unit, length in UNITS.items() if seconds % length == 0)
        return f"{seconds // length}{unit}"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
