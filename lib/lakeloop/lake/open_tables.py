"""Tables without Spark: which there are, and one of them opened at a version, by delta-rs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType
from pyarrow import fs

from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError
from lakeloop.lake.storage import filesystem
from lakeloop.lake.storage_failures import storage_explained
from lakeloop.lake.views import FILE, REFERENCE, View, find_view


@dataclass(frozen=True)
class OpenTable:
    """A table or view at one version; `delta` has its rows, which of a view are those of its record."""

    name: str
    delta: DeltaTable
    view: View | None = None

    @property
    def version(self) -> int:
        """The version that is read; of a view, that of its record."""
        return self.delta.version()

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that readers see: of a view without Lakeloop's own."""
        stored = pa.schema(self.delta.schema().to_arrow())
        return stored if self.view is None else pa.schema([stored.field(n) for n in self.view.shown(stored.names)])


# Of primitive types, those that Delta's log calls otherwise than Spark does.
SPARK_NAMES = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint"}


def column_types(table: OpenTable) -> dict[str, str]:
    """The columns that readers see, with their types as Spark names them; a nested type is "nested"."""
    stored = {column.name: column.type for column in table.delta.schema().fields}
    found = {}
    for name in table.schema.names:
        kind = stored[name]
        found[name] = SPARK_NAMES.get(kind.type, kind.type) if isinstance(kind, PrimitiveType) else "nested"
    return found


def table_names(root: str) -> list[str]:
    """Every table and view under a lake's root, sorted; none where there is no lake yet."""
    system, inner = filesystem(root)
    found = []
    with storage_explained(root):
        for schema in _folders(system, inner):
            for folder in _folders(system, schema):
                name = f"{schema.rsplit('/', 1)[-1]}.{folder.rsplit('/', 1)[-1]}"
                marks = system.get_file_info([f"{folder}/_delta_log", f"{folder}/{FILE}"])
                if REFERENCE.fullmatch(name) and any(mark.type is not fs.FileType.NotFound for mark in marks):
                    found.append(name)
    return sorted(found)


def open_table(root: str, name: str, version: int | None = None) -> OpenTable:
    """A table or view, now or as of a version. Raises TableError that names what there is instead."""
    if not REFERENCE.fullmatch(name):
        raise TableError(f"'{name}' is not a table reference; write schema.name in lower case, as silver.customers")
    try:
        path = f"{root}/{name.replace('.', '/')}"
        if DeltaTable.is_deltatable(path):
            return OpenTable(name, DeltaTable(path, version=version))
        if (view := find_view(path)) is not None:
            return OpenTable(name, DeltaTable(f"{root}/{view.record_table.replace('.', '/')}", version=version), view)
    except TableNotFoundError as error:
        raise TableError(f"{name} shows rows of a table that is gone; run its pipeline again") from error
    except DeltaError as error:
        if version is None:
            raise TableError(f"{name} cannot be read without Spark: {str(error).splitlines()[0]}") from error
        latest = open_table(root, name).version
        raise TableError(f"{name} has no version {version}; its latest is {latest}, and old ones go") from error
    raise no_such_table(name, table_names(root))


def no_such_table(name: str, known: Sequence[str]) -> TableError:
    """The error for a table that is not there, with the nearest names of those that are."""
    remedy = propose(name, list(known)) if known else "there is none at all: run a pipeline first"
    return TableError(f"there is no table '{name}'; {remedy}")


def _folders(system: fs.FileSystem, path: str) -> list[str]:
    selector = fs.FileSelector(path, allow_not_found=True)
    return [found.path for found in system.get_file_info(selector) if found.type is fs.FileType.Directory]
