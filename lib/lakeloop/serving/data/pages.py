"""Pages of a table that do not shift: a token pins the version and the place in its files, which never change.

Rows come in the order of the files' names and of the rows in them. Every row of the pinned version comes once, whatever
is appended, merged or compacted meanwhile; a version that retention has removed ends the walk with an error.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from lakeloop.lake.masks import masked_array
from lakeloop.lake.open_tables import OpenTable
from lakeloop.lake.plain_values import column_values, json_value
from lakeloop.lake.select import Masks
from lakeloop.lake.views import ROUTE
from lakeloop.serving.answers import RefusedError

BATCH_ROWS = 4096


@dataclass(frozen=True)
class Place:
    """Where a page begins: in a file (by its number) the row (by its number among those that the filters let through).

    `accepted` pins what a view shows, `version` the rows beneath, `request` tells what was asked.
    """

    version: int
    accepted: int
    request: str
    file: int = 0
    row: int = 0

    def token(self) -> str:
        """The place as a text for URLs."""
        values = [self.version, self.accepted, self.request, self.file, self.row]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    @classmethod
    def of(cls, token: str, request: str) -> "Place":
        """The place that a token names. Raises RefusedError unless it came with an answer to the same request."""
        try:
            decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            version, accepted, asked, file, row = json.loads(decoded)
            whole = all(type(number) is int and 0 <= number < 2**63 for number in (version, accepted, file, row))
        except (ValueError, TypeError) as error:
            raise RefusedError(400, "the page token is none; take it from `next` of the page before") from error
        if not whole or asked != request:
            raise RefusedError(400, "the page token belongs to another request; keep columns, where and as_of the same")
        return cls(version, accepted, asked, file, row)


def request_digest(*parts: Any) -> str:
    """What a token remembers of the request that it continues."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Page:
    """Some rows as JSON values, and where the next page begins, if there is one."""

    rows: list[dict[str, Any]]
    following: Place | None


def read_page(
    table: OpenTable,
    columns: Sequence[str],
    where: pc.Expression | None,
    place: Place,
    limit: int,
    masks: Masks,
    secret: str | None,
) -> Page:
    """At most `limit` rows from a place on. Memory holds one page and a row group of a file."""
    rows: list[dict[str, Any]] = []
    for file, batches in _files(table, columns, _visible(table, where, place.accepted), place.file):
        row = 0
        for batch in batches:
            skipped = max(place.row - row, 0) if file == place.file else 0
            wanted = batch.slice(skipped, limit - len(rows))
            rows.extend(_shown(wanted, masks, secret))
            if batch.num_rows > skipped + wanted.num_rows:
                row += skipped + wanted.num_rows
                return Page(rows, Place(place.version, place.accepted, place.request, file, row))
            row += batch.num_rows
    return Page(rows, None)


def count_rows(table: OpenTable) -> int:
    """The rows that readers see; of a table without reading any file."""
    if table.view is None:
        return int(table.delta.count())
    return int(_dataset(table).count_rows(filter=_visible(table, None, table.view.accepted)))


def _visible(table: OpenTable, where: pc.Expression | None, accepted: int) -> pc.Expression | None:
    if table.view is None:
        return where
    good = (pc.field("_verdict") == "good") & (pc.field("_batch_id") <= min(accepted, table.view.accepted))
    if table.view.route is not None:
        good &= pc.field(ROUTE) == table.view.route
    return good if where is None else good & where


def _files(
    table: OpenTable, columns: Sequence[str], where: pc.Expression | None, first: int
) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    dataset = _dataset(table)
    fragments = sorted(dataset.get_fragments(filter=where), key=lambda fragment: fragment.path)
    for number, fragment in enumerate(fragments[first:], first):
        yield number, _batches(table, fragment, dataset.schema, columns, where)


def _batches(
    table: OpenTable, fragment: Any, schema: pa.Schema, columns: Sequence[str], where: pc.Expression | None
) -> Iterator[pa.RecordBatch]:
    try:
        yield from fragment.to_batches(
            schema=schema,
            columns=list(columns),
            filter=where,
            batch_size=BATCH_ROWS,
            batch_readahead=0,
            use_threads=False,
        )
    except FileNotFoundError as error:
        raise RefusedError(410, f"{table.name} version {table.version} has been removed; begin anew") from error


def _dataset(table: OpenTable) -> Any:
    try:
        return table.delta.to_pyarrow_dataset()
    except DeltaError as error:
        raise RefusedError(501, f"{table.name} has a layout that pages cannot be read from; use POST /query") from error


def _shown(batch: pa.RecordBatch, masks: Masks, secret: str | None) -> list[dict[str, Any]]:
    wanted = {name.lower(): mask for name, mask in masks.items()}
    columns = [
        masked_array(values, wanted[name.lower()], secret).to_pylist()
        if name.lower() in wanted
        else [json_value(value) for value in column_values(values)]
        for name, values in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]
