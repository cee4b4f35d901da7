"""What a model was made of besides its declaration: tables and their versions, rules, code and environment."""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Self


@dataclass(frozen=True)
class Provenance:
    """Versions of Delta tables by name, of rule sets by pipeline, and of packages by name.

    `tables` holds the table that a model learned from and those that it was made of, as the last batch of their
    pipelines read them. `code` is a hash of this library's source files.
    """

    tables: Mapping[str, int]
    rules: Mapping[str, str]
    code: str
    environment: Mapping[str, str]

    @classmethod
    def now(cls, tables: Mapping[str, int], rules: Mapping[str, str]) -> Self:
        """With the code and the environment of this process."""
        return cls(dict(tables), dict(rules), code_hash(), environment())

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return asdict(self)

    def changes(self, later: Self) -> list[str]:
        """What is otherwise in `later`, a line each; tables are left out, since a new version is no change of these."""
        found = [f"rules of {name}: {then} then, {now} now" for name, then, now in _apart(self.rules, later.rules)]
        if self.code != later.code:
            found.append(f"code of Lakeloop: {self.code} then, {later.code} now")
        found += [f"{name}: {then} then, {now} now" for name, then, now in _apart(self.environment, later.environment)]
        return found


def code_hash() -> str:
    """Twelve hexadecimal digits that change whenever a source file of this library does, wherever it lies."""
    content = hashlib.sha256()
    for name, file in sorted(_sources(files("lakeloop"), "")):
        content.update(name.encode())
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


def environment() -> dict[str, str]:
    """Python, the system, and every installed package with its version."""
    packages = {str(each.name).lower(): each.version for each in distributions() if each.name}
    return {"python": platform.python_version(), "system": platform.platform(), **dict(sorted(packages.items()))}


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _sources(each, f"{name}{each.name}/")
        elif each.name.endswith(".py"):
            yield f"{name}{each.name}", each


def _apart(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield name, then.get(name, "none"), now.get(name, "none")
