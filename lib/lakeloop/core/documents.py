"""YAML documents that remember file and line of every value, and declarations that explain themselves when wrong."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from lakeloop.core.errors import ConfigError, SecretMissingError

Path_ = tuple[str | int, ...]
Declared = TypeVar("Declared", bound=BaseModel)

ONE_KEY = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})  # of declarations told by their key
ENV_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class Declaration(BaseModel):
    """Root of everything a user declares: frozen, and an unknown key names the nearest valid one.

    `short_form` is the JSON Schema of what a validator takes in place of the mapping, where it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    short_form: ClassVar[JsonSchemaValue | None] = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        whole = handler(core_schema)
        return whole if cls.short_form is None else {"anyOf": [cls.short_form, whole]}

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            allowed = [field.alias or name for name, field in cls.model_fields.items()]
            for key in value:
                if key not in allowed:
                    raise unknown_key(str(key), allowed)
        return value


def unknown_key(key: str, allowed: list[str], what: str = "key") -> PydanticCustomError:
    """An error for a name that is not allowed here; `allowed` is listed and the nearest one is proposed."""
    return PydanticCustomError(
        "unknown_key", "{text}", {"key": key, "text": f"unknown {what} '{key}'; {propose(key, allowed)}"}
    )


def propose(name: str, allowed: list[str]) -> str:
    """The tail of a message about a wrong name: the nearest allowed name, then all of them."""
    nearest = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    return f"{hint}Allowed: {', '.join(sorted(allowed))}"


@dataclass(frozen=True)
class Document:
    """A YAML mapping with the place (`file:line`) of each value by its path of keys and indexes."""

    file: Path
    values: dict[str, Any]
    places: dict[Path_, str] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read one file. Raises ConfigError on YAML that does not parse, a duplicate key, or a list at the top."""
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}") from error
        places: dict[Path_, str] = {}
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            values = _build(loader, node, (), file, places) if node is not None else {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or getattr(error, "reason", error)
            raise ConfigError(f"{file}{line}: not valid YAML: {problem}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{file}:1: expected a mapping of keys to values, found {type(values).__name__}")
        return cls(file, values, places)

    def overlaid(self, over: "Document") -> "Document":
        """This document with the values of `over` on top: mappings are merged, everything else is replaced."""
        return Document(over.file, _overlay(self.values, over.values), {**self.places, **over.places})

    def place(self, location: Path_) -> str:
        """`file:line` of a value, or of the nearest enclosing one; parts that do not stand in the file are skipped."""
        paths: list[Path_] = [()]
        for part in location:
            paths += [(*path, part) for path in paths if (*path, part) in self.places]
        # The tag of a union may be a key beside the wrong one: of the longest paths the innermost is meant.
        return self.places.get(max(reversed(paths), key=len), f"{self.file}:1")

    def parse(self, model: type[Declared], at: Path_ = ()) -> Declared:
        """Validate the part at `at` as `model`.

        Raises ConfigError with a line per problem, before that SecretMissingError with a line per unset variable.
        """
        value: Any = self.values
        for part in at:
            value = value[part]
        unset: list[str] = []
        value = self._with_environment(value, at, unset)
        if unset:
            raise SecretMissingError("\n".join(unset))
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise ConfigError("\n".join(self._explain(e, at) for e in error.errors())) from error

    def _explain(self, error: Any, at: Path_) -> str:
        location: Path_ = (*at, *error["loc"])
        context = error.get("ctx") or {}
        if error["type"] == "unknown_key":
            return f"{self.place((*location, context['key']))}: {error['msg']}"
        name = ".".join(str(part) for part in error["loc"])
        if error["type"] == "missing":
            location = location[:-1]
        hidden = error["type"] in {"missing", "secret"} or isinstance(error["input"], dict | list)
        found = "" if hidden else f" (found {error['input']!r})"
        return f"{self.place(location)}: {name}: {error['msg'].removeprefix('Value error, ')}{found}"

    def _with_environment(self, value: Any, path: Path_, unset: list[str]) -> Any:
        if isinstance(value, dict):
            return {key: self._with_environment(item, (*path, key), unset) for key, item in value.items()}
        if isinstance(value, list):
            return [self._with_environment(item, (*path, index), unset) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value

        def replace(match: re.Match[str]) -> str:
            name, default = match.groups()
            found: str | None = os.environ.get(name, default)
            if found is None:
                unset.append(
                    f"{self.place(path)}: the environment variable {name} is not set; set it, "
                    f"or write ${{env:{name}:-default}}"
                )
            return found or ""

        return ENV_REFERENCE.sub(replace, value)


def _build(loader: yaml.SafeLoader, node: yaml.Node, path: Path_, file: Path, places: dict[Path_, str]) -> Any:
    places.setdefault(path, f"{file}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key_node, value_node in _pairs(loader, node, file):
            key = key_node.value
            places[(*path, key)] = f"{file}:{key_node.start_mark.line + 1}"
            built[key] = _build(loader, value_node, (*path, key), file, places)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*path, index), file, places) for index, item in enumerate(node.value)]
    try:
        return loader.construct_object(node, deep=True)
    except ValueError as error:
        raise ConfigError(f"{file}:{node.start_mark.line + 1}: not valid YAML: {error}") from error


def _pairs(loader: yaml.SafeLoader, node: yaml.MappingNode, file: Path) -> list[tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping; a key is the text as written, and its own keys override those merged with `<<`."""
    seen = set()
    for key, _ in node.value:
        place = f"{file}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{place}: a key is a text, found a list or a mapping")
        if key.value in seen:
            raise ConfigError(f"{place}: the key '{key.value}' stands twice in the same mapping; keep one")
        seen.add(key.value)
    loader.flatten_mapping(node)
    pairs = {key.value: (key, value) for key, value in node.value}
    node.value = list(pairs.values())  # an anchor is built once per alias
    return list(pairs.values())


def _overlay(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
