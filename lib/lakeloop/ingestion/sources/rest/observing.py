"""What keys and what types the records of a batch have, page by page; what of it differs from the batches before."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakeloop.ingestion.schemas.columns import NESTED, Found
from lakeloop.ingestion.schemas.inference import infer_type, join_types
from lakeloop.ingestion.sources.files.json_documents import json_text
from lakeloop.ingestion.sources.rest.flattening import flatten
from lakeloop.ingestion.sources.rest.records import kind_of


@dataclass
class Observed:
    """Columns in the order in which they appeared, by SQL type and by the JSON types that they had."""

    types: dict[str, str | None] = field(default_factory=dict)
    kinds: dict[str, list[str]] = field(default_factory=dict)

    def see(self, records: Iterable[Any], paths: Mapping[str, str]) -> None:
        """Take note of a page."""
        values: dict[str, list[Any]] = defaultdict(list)
        for record in records:
            if isinstance(record, dict):
                for name, value in flatten(record, paths).items():
                    values[name].append(value)
        self.add(
            Observed(
                {name: _type_of(column) for name, column in values.items()},
                {name: sorted({kind_of(v) for v in column} - {"null"}) for name, column in values.items()},
            )
        )

    def add(self, other: "Observed") -> None:
        """Take note of what another one has seen."""
        for name, type_ in other.types.items():
            known = self.types.get(name)
            self.types[name] = type_ if known is None else known if type_ is None else _joined(known, type_)
        for name, kinds in other.kinds.items():
            self.kinds[name] = sorted({*self.kinds.get(name, ()), *kinds})

    def found(self, named: str) -> Found:
        """The same as a file would have it: every record was looked at, and each has keys of its own."""
        types = {name: type_ for name, type_ in self.types.items() if type_ is not None}
        return Found(named, tuple(self.types), types, for_all_rows=False)


def retyped(before: Mapping[str, list[str]], now: Mapping[str, list[str]], named: str) -> list[tuple[str, str, str]]:
    """A change for each column with a JSON type that it had in no batch before."""
    changes = []
    for name, kinds in now.items():
        if (known := before.get(name)) and (new := [kind for kind in kinds if kind not in known]):
            detail = f"{named} has '{name}' as {' and '.join(new)}, which was {' or '.join(known)} so far"
            changes.append(("retyped", name, detail))
    return changes


def _type_of(values: list[Any]) -> str | None:
    given = [value for value in values if value is not None]
    if not given:
        return None
    if any(isinstance(value, dict | list) for value in given):
        return NESTED
    found = infer_type(json_text(value) for value in given)
    has_text = any(kind_of(value) == "string" for value in given)
    return "string" if has_text and found in ("bigint", "double", "boolean") else found  # JSON says that it is text


def _joined(first: str, second: str) -> str:
    return NESTED if NESTED in (first, second) else join_types((first, second))
