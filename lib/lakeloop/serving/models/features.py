"""Features by entity: the row of a key in a model's table, as the table is or as it was."""

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakeloop.core.errors import LakeloopError
from lakeloop.lake.open_tables import OpenTable, open_table
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.views import ROUTE
from lakeloop.serving.answers import RefusedError

MOST_CACHED = 50_000
LOOK_SECONDS = 1.0
Row = dict[str, Any]
Place = tuple[str, int, int, str]  # table, version, batches that a view shows, id


@dataclass
class Features:
    """Rows by the key of tables, of the newest version, which is looked for once a second, or of an earlier time.

    Rows are remembered by version and id, the ones that were not asked for longest go first. Thread-safe.
    """

    root: str
    clock: Callable[[], float] = time.monotonic
    _rows: OrderedDict[Place, Row] = field(default_factory=OrderedDict)
    _newest: dict[str, tuple[float, OpenTable]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remembered(self, table: str, key: str) -> Row | None:
        """The row, where it can be had without reading."""
        found = self._newest.get(table)
        if found is None or self.clock() - found[0] >= LOOK_SECONDS:
            return None
        return self._rows.get(_place(found[1], key))

    def rows(
        self, table: str, key_col: str, columns: Sequence[str], keys: Sequence[str], as_of: dt.datetime | None = None
    ) -> list[Row]:
        """The rows of some keys, in their order; columns that the table has not are left out.

        Raises RefusedError that names the keys that have none, or more than one.
        """
        try:
            opened = self._opened(table) if as_of is None else self._as_of(table, as_of)
            known = {key: row for key in keys if (row := self._rows.get(_place(opened, key))) is not None}
            missing = [key for key in dict.fromkeys(keys) if key not in known]
            read = _read(opened, key_col, columns, missing) if missing else {}
        except (LakeloopError, DeltaError, OSError) as error:
            raise RefusedError(503, f"{table} cannot be read at present: {_first_line(error)}; send the row") from error
        if absent := [key for key in missing if key not in read]:
            said = ", ".join(f"'{key}'" for key in absent[:10])
            raise RefusedError(404, f"{table} has no row with {key_col} {said}; send the row itself")
        with self._lock:
            for key, row in (known | read).items():
                self._rows[_place(opened, key)] = row
                self._rows.move_to_end(_place(opened, key))
            while len(self._rows) > MOST_CACHED:
                self._rows.popitem(last=False)
        return [known[key] if key in known else read[key] for key in keys]

    def _opened(self, table: str) -> OpenTable:
        found = self._newest.get(table)
        if found is None or self.clock() - found[0] >= LOOK_SECONDS:
            found = (self.clock(), open_table(self.root, table))
            self._newest[table] = found
        return found[1]

    def _as_of(self, table: str, moment: dt.datetime) -> OpenTable:
        newest = open_table(self.root, table)
        first = min(commit["timestamp"] for commit in newest.delta.history())
        if moment.timestamp() * 1000 < first:
            begins = dt.datetime.fromtimestamp(first / 1000, dt.UTC).isoformat()
            raise RefusedError(400, f"field 'as_of': {table} is known from {begins} on; take a later time")
        table_then = DeltaTable(newest.delta.table_uri)
        table_then.load_as_version(moment)
        return OpenTable(table, table_then, newest.view)


def _read(table: OpenTable, key_col: str, columns: Sequence[str], keys: Sequence[str]) -> dict[str, Row]:
    schema = table.schema
    if key_col not in schema.names:
        raise RefusedError(409, f"{table.name} has no column {key_col} any more; send the row itself")
    try:
        wanted = pa.array(keys).cast(schema.field(key_col).type)
    except pa.ArrowInvalid as error:
        raise RefusedError(
            400, f"field 'id': {key_col} of {table.name} is of type {schema.field(key_col).type}"
        ) from error
    where = pc.field(key_col).isin(wanted)
    if table.view is not None:
        where &= (pc.field("_verdict") == "good") & (pc.field("_batch_id") <= table.view.accepted)
        if table.view.route is not None:
            where &= pc.field(ROUTE) == table.view.route
    names = [name for name in columns if name in schema.names]
    if not names:
        raise RefusedError(409, f"{table.name} has none of the model's fields any more; send the row itself")
    asked = [*names, key_col] if key_col not in names else names
    found = table.delta.to_pyarrow_dataset().to_table(columns=asked, filter=where, use_threads=False)
    said = column_values(found.column(key_col).combine_chunks().cast(pa.string()))
    if twice := next((key for key in said if said.count(key) > 1), None):
        raise RefusedError(409, f"{table.name} has several rows with {key_col} '{twice}'; send the row itself")
    values = [column_values(found.column(name).combine_chunks()) for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    texts = dict(zip(column_values(wanted.cast(pa.string())), keys, strict=True))
    return {texts[key]: row for key, row in zip(said, rows, strict=True)}


def _place(table: OpenTable, key: str) -> Place:
    return table.name, table.version, table.view.accepted if table.view else 0, key


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
