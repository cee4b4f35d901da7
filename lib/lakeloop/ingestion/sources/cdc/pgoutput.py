"""The messages of PostgreSQL's output plugin pgoutput, protocol version 1, from the bytes of `pg_logical_slot_peek`.

https://www.postgresql.org/docs/16/protocol-logicalrep-message-formats.html has the layout. Texts are UTF-8, because the
connection asks for it. Transactions in progress are not streamed by this version, so every message belongs to the
transaction whose Begin came last.
"""

import datetime as dt
import struct
from dataclasses import dataclass
from enum import Enum

from lakeloop.core.errors import SourceError

EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class Unchanged(Enum):
    """A large value that an update left alone, so that it did not travel."""

    TOAST = "unchanged"


UNCHANGED = Unchanged.TOAST
Value = str | None | Unchanged
Tuple_ = tuple[Value, ...]
FULL = "f"  # the replica identity by which an old row shows all of itself


@dataclass(frozen=True)
class Begin:
    """The beginning of a transaction, sent once it has committed. `commit_lsn` is where its commit record stands."""

    commit_lsn: int
    committed_at: dt.datetime
    xid: int


@dataclass(frozen=True)
class Commit:
    """The end of a transaction; `end_lsn` is the first byte behind its commit record."""

    commit_lsn: int
    end_lsn: int
    committed_at: dt.datetime


@dataclass(frozen=True)
class RelationColumn:
    """A column with the OID and the modifier of its type; a key column is part of the replica identity."""

    name: str
    type_oid: int
    type_modifier: int
    is_key: bool = False


@dataclass(frozen=True)
class Relation:
    """A table as it was for the changes that follow."""

    oid: int
    namespace: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns in their order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Insert:
    """A new row."""

    oid: int
    new: Tuple_


@dataclass(frozen=True)
class Update:
    """A changed row. `old` is there where a key column changed, or where the identity is full."""

    oid: int
    old: Tuple_ | None
    new: Tuple_


@dataclass(frozen=True)
class Delete:
    """A row that went; columns that are not of the identity are NULL in it."""

    oid: int
    old: Tuple_


@dataclass(frozen=True)
class Truncate:
    """Tables that were emptied."""

    oids: tuple[int, ...]


@dataclass(frozen=True)
class TypeName:
    """The name of a type that is not built in."""

    oid: int
    namespace: str
    name: str


@dataclass(frozen=True)
class Origin:
    """Where a transaction came from, if it was replicated into this server."""

    lsn: int
    name: str


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate | TypeName | Origin


def decode(data: bytes) -> Message:
    """One message. Raises SourceError for bytes that are none of this version."""
    reader = _Reader(data)
    try:
        message = _message(reader)
    except (struct.error, ValueError, IndexError) as error:
        raise SourceError(
            f"pgoutput sent {data[:40].hex(' ')}…, which is no message of its protocol version 1 ({error}); check that "
            "the database's texts are valid in its encoding, and that the slot's plugin is pgoutput"
        ) from error
    return message


def _message(read: "_Reader") -> Message:
    match kind := read.character():
        case "B":
            return Begin(read.int64(), read.time(), read.int32())
        case "C":
            read.character()  # flags, of which there are none
            return Commit(read.int64(), read.int64(), read.time())
        case "R":
            oid, namespace, name = read.int32(), read.string() or "pg_catalog", read.string()
            identity = read.character()
            return Relation(oid, namespace, name, identity, tuple(read.column() for _ in range(read.int16())))
        case "I" | "U" | "D":
            return _change(kind, read)
        case "T":
            count = read.int32()
            read.character()  # CASCADE and RESTART IDENTITY, which change no row of this table
            return Truncate(tuple(read.int32() for _ in range(count)))
        case "Y":
            return TypeName(read.int32(), read.string(), read.string())
        case "O":
            return Origin(read.int64(), read.string())
    raise ValueError(f"a message of kind '{kind}'")


def _change(kind: str, read: "_Reader") -> Insert | Update | Delete:
    oid, marker, old = read.int32(), read.character(), None
    if kind != "I" and marker in ("K", "O"):
        old = read.row()
        if kind == "D":
            return Delete(oid, old)
        marker = read.character()
    if kind == "D" or marker != "N":
        raise ValueError(f"a change with a part '{marker}'")
    new = read.row()
    return Insert(oid, new) if kind == "I" else Update(oid, old, new)


class _Reader:
    """Reads the parts of a message, big-endian, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def character(self) -> str:
        self._at += 1
        return chr(self._data[self._at - 1])

    def int16(self) -> int:
        return self._number(">H", 2)

    def int32(self) -> int:
        return self._number(">I", 4)

    def int64(self) -> int:
        return self._number(">Q", 8)

    def time(self) -> dt.datetime:
        return EPOCH + dt.timedelta(microseconds=self._number(">q", 8))

    def string(self) -> str:
        end = self._data.index(b"\0", self._at)
        text = self._data[self._at : end].decode()
        self._at = end + 1
        return text

    def column(self) -> RelationColumn:
        is_key = bool(self._number("B", 1))
        return RelationColumn(self.string(), self.int32(), self._number(">i", 4), is_key)

    def row(self) -> Tuple_:
        return tuple(self._value() for _ in range(self.int16()))

    def _value(self) -> Value:
        match kind := self.character():
            case "n":
                return None
            case "u":
                return UNCHANGED
            case "t":
                length = self.int32()
                text = self._data[self._at : self._at + length]
                if len(text) != length:
                    raise ValueError("a value ends early")
                self._at += length
                return text.decode()
        raise ValueError(f"a value of kind '{kind}'")

    def _number(self, form: str, size: int) -> int:
        number: int = struct.unpack_from(form, self._data, self._at)[0]
        self._at += size
        return number
