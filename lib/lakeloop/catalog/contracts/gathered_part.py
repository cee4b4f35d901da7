"""What is gathered from a contract for a pipeline, what was left, and both as YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from lakeloop.catalog.contracts.declarations import declaration_of
from lakeloop.core.documents import Document, Path_
from lakeloop.core.errors import ConfigError
from lakeloop.quality import Rule


@dataclass
class Part:
    """What is gathered for the pipeline: columns, rules, types to cast to, keys by position; and what was left."""

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


def written(part: Part, head: Mapping[str, Any], table: str) -> str:
    """The parts as YAML to paste; `head` is what the contract says of the pipeline as a whole."""
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


def _declared(part: Part) -> Iterator[tuple[str, Any]]:
    for rule in part.rules:
        kind, given = next(iter(declaration_of(rule).items()))
        yield kind, given["column"] if list(given) == ["column"] else given


def _rule_line(rule: tuple[str, Any]) -> str:
    return f"  - {rule[0]}: {_flow(rule[1])}"


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip()
