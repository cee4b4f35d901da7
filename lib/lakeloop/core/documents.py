"""YAML documents that remember file and line of every value, and declarations that explain themselves when wrong."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.errors import ConfigError, SecretMissingError

Path_ = tuple[str | int, ...]
Declared = TypeVar("Declared", bound=BaseModel)

ENV_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class Declaration(BaseModel):
    """Root of everything a user declares: frozen, and an unknown key names the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for key in value:
                if key not in cls.model_fields:
                    raise unknown_key(str(key), list(cls.model_fields))
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
        loader = yaml.SafeLoader(text)
        places: dict[Path_, str] = {}
        try:
            node = loader.get_single_node()
            values = _build(loader, node, (), file, places) if node is not None else {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise ConfigError(f"{file}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
        finally:
            loader.dispose()
        if not isinstance(values, dict):
            raise ConfigError(f"{file}:1: expected a mapping of keys to values, found {type(values).__name__}")
        return cls(file, values, places)

    def overlaid(self, over: "Document") -> "Document":
        """This document with the values of `over` on top: mappings are merged, everything else is replaced."""
        return Document(over.file, _overlay(self.values, over.values), {**self.places, **over.places})

    def place(self, location: Path_) -> str:
        """`file:line` of a value, or of the nearest enclosing one that stands in the file."""
        path: Path_ = ()
        for part in location:
            if (*path, part) in self.places:
                path = (*path, part)
        return self.places.get(path, f"{self.file}:1")

    def parse(self, model: type[Declared], at: Path_ = ()) -> Declared:
        """Validate the part at `at` as `model`. Raises one ConfigError with a line per problem."""
        value: Any = self.values
        for part in at:
            value = value[part]
        value = self._with_environment(value, at)
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
        found = "" if error["type"] == "missing" else f" (found {error['input']!r})"
        return f"{self.place(location)}: {name}: {error['msg'].removeprefix('Value error, ')}{found}"

    def _with_environment(self, value: Any, path: Path_) -> Any:
        if isinstance(value, dict):
            return {key: self._with_environment(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._with_environment(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value

        def replace(match: re.Match[str]) -> str:
            name, default = match.groups()
            found = os.environ.get(name, default)
            if found is None:
                raise SecretMissingError(
                    f"{self.place(path)}: the environment variable {name} is not set; set it, "
                    f"or write ${{env:{name}:-default}}"
                )
            return found

        return ENV_REFERENCE.sub(replace, value)


def _build(loader: yaml.SafeLoader, node: yaml.Node, path: Path_, file: Path, places: dict[Path_, str]) -> Any:
    places.setdefault(path, f"{file}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        built: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if key in built:
                raise ConfigError(f"{file}:{line}: the key '{key}' stands twice in the same mapping; keep one")
            places[(*path, key)] = f"{file}:{line}"
            built[key] = _build(loader, value_node, (*path, key), file, places)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*path, index), file, places) for index, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


def _overlay(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
