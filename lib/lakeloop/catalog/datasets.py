"""Data sets: the systems that pipelines read, the tables that they write, the models that learn from these."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

from lakeloop.catalog.lineage import Field, Flow
from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError

K = TypeVar("K")
V = TypeVar("V")

Kind = Literal["source", "record", "table", "model"]


@dataclass(frozen=True)
class CatalogColumn:
    """A column; its type is that of the table, empty while there is none."""

    name: str
    type: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """How rows are told apart, or hang together with those of another table: `columns` are the `keys` of `table`."""

    kind: Literal["key", "references", "looks up"]
    columns: tuple[str, ...]
    table: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSet:
    """One thing that holds data. `made_of` are the data sets it is made from, `feeds` those made from it."""

    name: str
    kind: Kind
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()
    columns: tuple[CatalogColumn, ...] = ()
    relations: tuple[Relation, ...] = ()
    pipeline: str | None = None
    made_of: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    exists: bool = True
    note: str = ""


@dataclass(frozen=True)
class Catalog:
    """All data sets of a project by name, and the flows between their columns."""

    data_sets: Mapping[str, DataSet] = field(default_factory=dict)
    flows: tuple[Flow, ...] = ()

    def data_set(self, name: str) -> DataSet:
        """One of them. Raises TableError that proposes the nearest name."""
        if name not in self.data_sets:
            raise TableError(f"the catalog has no data set '{name}'; {propose(name, list(self.data_sets))}")
        return self.data_sets[name]

    def field(self, name: str) -> Field | None:
        """The column that `data_set.column` names, None for a data set as a whole. Raises TableError for neither."""
        if name in self.data_sets:
            return None
        owner, _, column = name.rpartition(".")
        if owner not in self.data_sets:
            raise TableError(f"the catalog has no data set '{name}'; {propose(name, list(self.data_sets))}")
        known = [each.name for each in self.data_sets[owner].columns]
        if column not in known:
            raise TableError(f"{owner} has no column '{column}'; {propose(column, known)}")
        return Field(owner, column)

    @cached_property
    def into(self) -> Mapping[Field, list[Flow]]:
        """The flows by the column that they end in."""
        return grouped((flow.target, flow) for flow in self.flows)

    @cached_property
    def out_of(self) -> Mapping[Field, list[Flow]]:
        """The flows by the column that they begin at."""
        return grouped((flow.source, flow) for flow in self.flows)


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values of each key, in their order."""
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
