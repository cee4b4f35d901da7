"""Messages as a PostgreSQL 16 sent them, and rows that are written here and read back."""

import datetime as dt
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.cdc.pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    Message,
    Origin,
    Relation,
    RelationColumn,
    Truncate,
    TypeName,
    Update,
    Value,
    decode,
)

# CREATE TABLE t (id int PRIMARY KEY, name text, big text, n numeric(10,2), m mood)
COLUMNS = (
    RelationColumn("id", 23, -1, True),
    RelationColumn("name", 25, -1),
    RelationColumn("big", 25, -1),
    RelationColumn("n", 1700, (10 << 16 | 2) + 4),
    RelationColumn("m", 16386, -1),
)
AT = dt.datetime(2026, 11, 24, 13, 8, 19, 518875, tzinfo=dt.UTC)
CAPTURED: list[tuple[str, Message]] = [
    ("4200000000018761a8000304042c49619b000002e0", Begin(0x18761A8, AT, 736)),
    ("59000040027075626c6963006d6f6f6400", TypeName(16386, "public", "mood")),
    (
        (
            "52000040057075626c69630074006400050169640000000017ffffffff006e616d650000000019ffffffff006269670000000019ff"
            "ffffff006e00000006a4000a0006006d0000004002ffffffff"
        ),
        Relation(16389, "public", "t", "d", COLUMNS),
    ),
    ("49000040054e00057400000001326e74000000006e6e", Insert(16389, ("2", None, "", None, None))),
    ("430000000000018761a800000000018761d8000304042c49619b", Commit(0x18761A8, 0x18761D8, AT)),
    (
        "55000040054e00057400000001317400000000757400000004312e353074000000026f6b",
        Update(16389, None, ("1", "", UNCHANGED, "1.50", "ok")),
    ),
    (
        "55000040054b00057400000001326e6e6e6e4e00057400000001336e74000000006e6e",
        Update(16389, ("2", None, None, None, None), ("3", None, "", None, None)),
    ),
    ("44000040054b00057400000001336e6e6e6e", Delete(16389, ("3", None, None, None, None))),
    ("54000000010000004005", Truncate((16389,))),
    ("4f00000000000000ab66617200", Origin(0xAB, "far")),
]


@pytest.mark.parametrize(("data", "message"), CAPTURED)
def test_what_a_server_sent_is_what_it_meant(data: str, message: Message) -> None:
    assert decode(bytes.fromhex(data)) == message


def test_an_update_of_a_table_with_full_identity_has_the_whole_old_row() -> None:
    old = row_of(["1", "Jürg", "x" * 3000, "1.50", None])
    new = row_of(["1", "n", UNCHANGED, "1.50", None])
    message = decode(b"U" + struct.pack(">I", 7) + b"O" + old + b"N" + new)
    assert message == Update(7, ("1", "Jürg", "x" * 3000, "1.50", None), ("1", "n", UNCHANGED, "1.50", None))


VALUES = st.one_of(st.none(), st.just(UNCHANGED), st.text(st.characters(exclude_categories=["Cs"])))


@given(st.integers(0, 2**32 - 1), st.lists(VALUES, max_size=20), st.none() | st.lists(VALUES, max_size=20))
def test_every_row_is_read_as_it_was_written(oid: int, new: list[Value], old: list[Value] | None) -> None:
    before = b"" if old is None else b"K" + row_of(old)
    message = decode(b"U" + struct.pack(">I", oid) + before + b"N" + row_of(new))
    assert message == Update(oid, None if old is None else tuple(old), tuple(new))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "index out of range"),
        (b"Z", "a message of kind 'Z'"),
        (b"B\0\0", "requires a buffer"),
        (b"I\0\0\0\1N\0\1x", "a value of kind 'x'"),
        (b"I\0\0\0\1N\0\1t\0\0\0\5abc", "a value ends early"),
        (b"I\0\0\0\1N\0\1t\0\0\0\1\xff", "can't decode byte"),
        (b"I\0\0\0\1K\0\0", "a change with a part 'K'"),
        (b"D\0\0\0\1N\0\0", "a change with a part 'N'"),
        (b"U\0\0\0\1K\0\0K\0\0", "a change with a part 'K'"),
        (b"R\0\0\0\1public", "not found"),
    ],
)
def test_what_is_no_message_is_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=f"pgoutput sent .*{said}.*check that"):
        decode(data)


def row_of(values: Sequence[Value]) -> bytes:
    return struct.pack(">H", len(values)) + b"".join(map(_value, values))


def _value(value: Value) -> bytes:
    if value is None:
        return b"n"
    if value is UNCHANGED:
        return b"u"
    assert isinstance(value, str)
    text = value.encode()
    return b"t" + struct.pack(">I", len(text)) + text
