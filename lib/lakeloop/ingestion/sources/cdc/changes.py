"""From messages to rows: one per change of the table, in the order of the commits."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.changes import DELETE, INSERT, TRUNCATE, UPDATE
from lakeloop.ingestion.sources.cdc.pgoutput import (
    FULL,
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    Message,
    Relation,
    RelationColumn,
    Truncate,
    Tuple_,
    Update,
)
from lakeloop.ingestion.sources.cdc.visibility import Snapshot

INSTANT = dt.timedelta(microseconds=1)
Key = tuple[str | None, ...]


class Row(NamedTuple):
    """One change. `record` orders all changes of a pipeline, `sequence` those of the table in one transaction.

    `kept` names columns whose value did not travel. `line` is the same for rows of a batch that are one row of the
    table, whatever its key.
    """

    operation: str
    lsn: int
    sequence: int
    committed_at: dt.datetime
    record: int
    kept: tuple[str, ...]
    line: str | None
    values: tuple[str | None, ...]


@dataclass
class ChangeReader:
    """Picks the changes of one table out of whole transactions, and remembers how far it came.

    `upto` is the place behind the last commit that was seen, `record` the number of the next row, `at` the time of the
    last one. Times grow from transaction to transaction, by a microsecond where the server's clock does not.
    Transactions before `upto`, and those that `snapshot` sees, are left out.
    """

    table_oid: int
    keys: tuple[str, ...]
    upto: int
    record: int
    at: dt.datetime
    snapshot: Snapshot | None = None
    committed_at: dt.datetime | None = None
    messages: int = 0
    rows: int = 0
    transactions: int = 0
    kept: set[str] = field(default_factory=set)
    truncates: bool = False
    _lines: dict[Key, str] = field(default_factory=dict)

    def read(self, messages: Iterable[Message]) -> Iterator[tuple[tuple[RelationColumn, ...], Row]]:
        """The rows, each with the columns that the table had then."""
        begin, relation, sequence, applies = None, None, 0, False
        for message in messages:
            self.messages += 1
            match message:
                case Begin():
                    begin, sequence, applies = message, 0, self._is_new(message)
                case Commit():
                    self.upto = max(self.upto, message.end_lsn)
                case Relation() if message.oid == self.table_oid:
                    relation = message
                case Insert() | Update() | Delete() if applies and message.oid == self.table_oid:
                    assert begin is not None
                    assert relation is not None
                    for part in self._parts(message, relation):
                        yield relation.columns, self._row(begin, sequence, *part)
                        sequence += 1
                case Truncate() if applies and self.table_oid in message.oids:
                    assert begin is not None
                    columns = relation.columns if relation else ()
                    self.truncates = True
                    yield columns, self._row(begin, sequence, TRUNCATE, (None,) * len(columns), (), None)
                    sequence += 1

    def _is_new(self, begin: Begin) -> bool:
        seen = self.snapshot is not None and self.snapshot.sees(begin.xid)
        return begin.commit_lsn >= self.upto and not seen

    def _row(
        self, begin: Begin, sequence: int, operation: str, values: Tuple_, kept: tuple[str, ...], line: str | None
    ) -> Row:
        if sequence == 0:
            self.at = max(begin.committed_at, self.at + INSTANT)
            self.committed_at = begin.committed_at
            self.transactions += 1
        self.record, self.rows = self.record + 1, self.rows + 1
        self.kept.update(kept)
        plain = tuple(None if value is UNCHANGED else value for value in values)
        return Row(operation, begin.commit_lsn, sequence, self.at, self.record - 1, kept, line, plain)

    def _parts(
        self, message: Insert | Update | Delete, relation: Relation
    ) -> Iterator[tuple[str, Tuple_, tuple[str, ...], str | None]]:
        """A change as rows: an update of the key is a delete of the old one and an insert of the new one."""
        if isinstance(message, Insert):
            yield INSERT, message.new, (), self._line(self._key(message.new, relation))
        elif isinstance(message, Delete):
            yield DELETE, message.old, (), self._line(self._key(message.old, relation))
        else:
            new = _completed(message, relation)
            kept = tuple(name for name, value in zip(relation.names, new, strict=True) if value is UNCHANGED)
            key = self._key(new, relation)
            before = key if message.old is None else self._key(message.old, relation)
            if before == key:
                yield UPDATE, new, kept, self._line(key)
                return
            assert message.old is not None
            line = self._line(before)
            # What comes under the old key from now on is another row.
            self._lines[before], self._lines[key] = f"{self.record}", line
            yield DELETE, message.old, (), line
            yield INSERT, new, kept, line

    def _line(self, key: Key) -> str:
        return self._lines.get(key) or json.dumps(key, ensure_ascii=False)

    def _key(self, values: Tuple_, relation: Relation) -> Key:
        by_name = dict(zip(relation.names, values, strict=True))
        found = [by_name.get(name) for name in self.keys]
        if any(value is UNCHANGED for value in found) or not set(self.keys) <= by_name.keys():
            raise SourceError(
                f"{relation.namespace}.{relation.name}: a change does not say its key {', '.join(self.keys)}, of which "
                "a column was dropped, renamed or left out of the publication since; begin anew with another slot name"
            )
        return tuple(None if value is UNCHANGED else value for value in found)


def _completed(update: Update, relation: Relation) -> Tuple_:
    """The new row with what the old one tells: all of it where the identity is full, else the key."""
    if update.old is None:
        return update.new
    return tuple(
        old if new is UNCHANGED and (relation.identity == FULL or column.is_key) else new
        for column, old, new in zip(relation.columns, update.old, update.new, strict=True)
    )
