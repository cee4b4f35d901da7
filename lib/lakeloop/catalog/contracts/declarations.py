"""A rule as somebody would declare it, from the rule as it was read."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lakeloop.core.durations import UNITS
from lakeloop.quality import Rule

NOT_OPTIONS = ("kind", "parameters", "name")


def declaration_of(rule: Rule) -> dict[str, Any]:
    """One key, the kind, and under it what is not as it is by default; validating it gives the same rule again."""
    parameters = {name: plain(value) for name, value in rule.parameters.items() if value is not None}
    return {rule.kind: parameters | options_of(rule)}


def options_of(rule: Rule) -> dict[str, Any]:
    """The options that differ from what a rule of this kind and these parameters has by itself."""
    parameters = {name: plain(value) for name, value in rule.parameters.items() if value is not None}
    usual = Rule.model_validate({rule.kind: parameters})
    found = {name: getattr(rule, name) for name in type(rule).model_fields if name not in NOT_OPTIONS}
    told = {name: plain(value) for name, value in found.items() if value != getattr(usual, name)}
    return ({} if rule.name == usual.name else {"name": rule.name}) | told


def plain(value: Any) -> Any:
    """A value as YAML has it: lengths of time as `6h`, days and moments as text."""
    if isinstance(value, dt.timedelta):
        seconds = int(value.total_seconds())
        unit, length = next((unit, length) for unit, length in UNITS.items() if seconds % length == 0)
        return f"{seconds // length}{unit}"
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
