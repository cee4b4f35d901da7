"""From messages to rows, and which transactions a snapshot has seen."""

import datetime as dt
from collections.abc import Iterable

import pytest

from lakeloop.core.errors import ConfigError, SourceError
from lakeloop.ingestion.schemas.columns import Column, Schema
from lakeloop.ingestion.source_specs.cdc import parse_size, size_in_words
from lakeloop.ingestion.sources.cdc.changes import ChangeReader, Row
from lakeloop.ingestion.sources.cdc.column_types import found_in, sql_type
from lakeloop.ingestion.sources.cdc.pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    Message,
    Relation,
    RelationColumn,
    Truncate,
    Update,
)
from lakeloop.ingestion.sources.cdc.position import Position, require_continuity, require_usable
from lakeloop.ingestion.sources.cdc.server import libpq_address
from lakeloop.ingestion.sources.cdc.slots import Slot, lsn, lsn_text
from lakeloop.ingestion.sources.cdc.visibility import Snapshot

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
MICROSECOND = dt.timedelta(microseconds=1)
COLUMNS = (RelationColumn("id", 23, -1, True), RelationColumn("v", 25, -1))
TABLE = Relation(7, "public", "t", "d", COLUMNS)
OTHER = Relation(8, "public", "other", "d", COLUMNS)


def transaction(number: int, *messages: Message, at: dt.datetime = NOON, xid: int = 1000) -> list[Message]:
    """The transaction whose commit record stands at 100 × number and ends ten bytes behind."""
    return [Begin(number * 100, at, xid), TABLE, *messages, Commit(number * 100, number * 100 + 10, at)]


def read(messages: Iterable[Message], **settings: object) -> tuple[list[Row], ChangeReader]:
    defaults = {"table_oid": 7, "keys": ("id",), "upto": 0, "record": 5, "at": NOON - SECOND}
    reader = ChangeReader(**(defaults | settings))  # type: ignore[arg-type]  # each by its name
    return [row for _, row in reader.read(messages)], reader


def test_every_change_is_a_row_in_its_place() -> None:
    rows, reader = read([
        *transaction(1, Insert(7, ("1", "a")), Insert(8, ("1", "x")), Update(7, None, ("1", UNCHANGED))),
        *transaction(2, OTHER, Insert(8, ("2", "x"))),
        *transaction(3, Delete(7, ("1", None)), Truncate((8, 7)), Truncate((8,)), at=NOON + SECOND),
    ])  # fmt: skip
    assert rows == [
        Row("insert", 100, 0, NOON, 5, (), '["1"]', ("1", "a")),
        Row("update", 100, 1, NOON, 6, ("v",), '["1"]', ("1", None)),
        Row("delete", 300, 0, NOON + SECOND, 7, (), '["1"]', ("1", None)),
        Row("truncate", 300, 1, NOON + SECOND, 8, (), None, (None, None)),
    ]
    assert (reader.upto, reader.record, reader.rows, reader.transactions) == (310, 9, 4, 2)
    assert (reader.kept, reader.truncates, reader.committed_at) == ({"v"}, True, NOON + SECOND)


def test_an_update_of_the_key_is_a_delete_and_an_insert_of_the_same_line() -> None:
    rows, _ = read(
        transaction(
            1,
            Update(7, ("1", None), ("2", UNCHANGED)),
            Insert(7, ("1", "another row")),
            Update(7, ("2", None), ("3", UNCHANGED)),
            Update(7, None, ("3", UNCHANGED)),
            Update(7, None, ("1", UNCHANGED)),
        )
    )
    assert [(row.operation, row.values[0], row.line) for row in rows] == [
        ("delete", "1", '["1"]'),
        ("insert", "2", '["1"]'),
        ("insert", "1", "5"),
        ("delete", "2", '["1"]'),
        ("insert", "3", '["1"]'),
        ("update", "3", '["1"]'),
        ("update", "1", "5"),
    ]


def test_a_full_identity_tells_what_did_not_travel() -> None:
    full = Relation(7, "public", "t", "f", tuple(RelationColumn(c.name, c.type_oid, -1, True) for c in COLUMNS))
    rows, _ = read(transaction(1, full, Update(7, ("1", "large"), ("1", UNCHANGED))))
    assert [(row.operation, row.kept, row.values) for row in rows] == [("update", (), ("1", "large"))]


def test_transactions_that_were_applied_or_seen_are_left_out() -> None:
    messages = [
        *transaction(1, Insert(7, ("1", "applied"))),
        *transaction(2, Insert(7, ("2", "seen")), xid=99),
        *transaction(3, Insert(7, ("3", "was open")), xid=101),
        *transaction(4, Insert(7, ("4", "came later")), xid=105),
    ]
    rows, reader = read(messages, upto=110, snapshot=Snapshot.parse("100:105:101,103"))
    assert [row.values[1] for row in rows] == ["was open", "came later"]
    assert reader.upto == 410


def test_times_grow_whatever_the_clock_says() -> None:
    rows, reader = read([
        *transaction(1, Insert(7, ("1", "a")), Insert(7, ("2", "a"))),
        *transaction(2, Insert(7, ("3", "a"))),
        *transaction(3, Insert(7, ("4", "a")), at=NOON - SECOND),
    ])  # fmt: skip
    assert [row.committed_at - NOON for row in rows] == [0 * SECOND, 0 * SECOND, MICROSECOND, 2 * MICROSECOND]
    assert reader.committed_at == NOON - SECOND


def test_a_change_without_its_key_stops_the_batch() -> None:
    without = Relation(7, "public", "t", "d", COLUMNS[1:])
    with pytest.raises(SourceError, match=r"public\.t: a change does not say its key id, .* begin anew"):
        read(transaction(1, without, Insert(7, ("a",))))


@pytest.mark.parametrize(
    ("snapshot", "xid", "seen"),
    [
        ("100:105:101,103", 99, True),
        ("100:105:101,103", 101, False),
        ("100:105:101,103", 104, True),
        ("100:105:101,103", 105, False),
        # The counter has gone around once and is beyond 2^32.
        (f"{2**32 + 10}:{2**32 + 20}:", 9, True),
        (f"{2**32 + 10}:{2**32 + 20}:", 20, False),
        (f"{2**32 + 10}:{2**32 + 20}:{2**32 + 15}", 15, False),
        (f"{2**32 + 10}:{2**32 + 20}:", 2**32 - 5, True),  # of the epoch before
        (f"{2**32 - 10}:{2**32 - 5}:", 3, False),  # of the epoch that has begun since
        (f"{2**32 - 10}:{2**32 + 5}:{2**32 + 1}", 0, True),
        (f"{2**32 - 10}:{2**32 + 5}:{2**32 + 1}", 1, False),
    ],
)
def test_a_snapshot_sees_what_had_ended(snapshot: str, xid: int, seen: bool) -> None:
    assert Snapshot.parse(snapshot).sees(xid) == seen


def test_places_in_the_log_are_read_and_written() -> None:
    assert lsn("16/B374D848") == 0x16_B374D848
    assert lsn_text(0x16_B374D848) == "16/B374D848"
    assert lsn_text(lsn("1/0")) == "1/0"


@pytest.mark.parametrize(
    ("oid", "modifier", "expected"),
    [
        (16, -1, "boolean"), (21, -1, "int"), (23, -1, "int"), (20, -1, "bigint"), (700, -1, "float"),
        (701, -1, "double"), (1082, -1, "date"), (1114, -1, "timestamp"), (1184, -1, "timestamp"),
        (25, -1, "string"), (2950, -1, "string"), (16386, -1, "string"), (17, -1, "string"),
        (1700, (10 << 16 | 2) + 4, "decimal(10,2)"), (1700, -1, "string"), (1700, (50 << 16 | 2) + 4, "string"),
        (1700, (3 << 16 | (-2 & 0x7FF)) + 4, "string"), (3802, -1, "nested"), (1007, -1, "nested"),
    ],
)  # fmt: skip
def test_types_follow_their_oids(oid: int, modifier: int, expected: str) -> None:
    assert sql_type(RelationColumn("c", oid, modifier)) == expected


def test_a_document_is_text_where_the_schema_has_text() -> None:
    known = Schema(1, "inferred", (Column("a", "string"), Column("b", "int"), Column("c", None)))
    columns = tuple(RelationColumn(name, 3802, -1) for name in "abcd")
    assert found_in("crm.public.t", columns, known).types == {
        "a": "string",
        "b": "nested",
        "c": "string",
        "d": "string",
    }
    assert found_in("crm.public.t", columns, None).types == dict.fromkeys("abcd", "string")


@pytest.mark.parametrize(
    ("url", "uri", "options"),
    [
        ("jdbc:postgresql://h:1/crm", "postgresql://h:1/crm", {}),
        ("jdbc:postgresql:crm", "postgresql://localhost/crm", {}),
        ("jdbc:postgresql://a:1,b:2/crm?ApplicationName=x", "postgresql://a:1,b:2/crm", {}),
        ("jdbc:postgresql://h/crm?ssl=true", "postgresql://h/crm", {"sslmode": "verify-full"}),
        (
            "jdbc:postgresql://h/crm?ssl=true&sslmode=require&password=hidden&targetServerType=primary",
            "postgresql://h/crm",
            {"sslmode": "require", "target_session_attrs": "primary"},
        ),
    ],
)
def test_a_jdbc_url_as_libpq_takes_it(url: str, uri: str, options: dict[str, str]) -> None:
    assert libpq_address(url, "crm") == {"uri": uri, "options": options}


def test_another_database_is_refused() -> None:
    with pytest.raises(ConfigError, match="crm: changes are read from PostgreSQL alone"):
        libpq_address("jdbc:mariadb://h/crm", "crm")


SLOT = Slot("s", "pgoutput", "crm", None, "reserved", 100, 0)
HERE = Position("s", "server/crm", 7, "0/64", 0, NOON.isoformat())


@pytest.mark.parametrize(
    ("slot", "server", "oid", "said"),
    [
        (None, "server/crm", 7, r"the slot s is gone .*, and with it the changes since 0/64; .*another name"),
        (SLOT, "other/crm", 7, "the server is not the one"),
        (SLOT, "server/crm", 8, "is another table than the one that was read"),
        (
            Slot("s", "pgoutput", "crm", None, "reserved", 101, 0), "server/crm", 7,
            r"the slot s stands at 0/65, ahead of 0/64, .*another pipeline or program has used it.* a slot of its own",
        ),
    ],
)  # fmt: skip
def test_a_slot_that_does_not_go_on_is_refused(slot: Slot | None, server: str, oid: int, said: str) -> None:
    assert require_continuity(HERE, SLOT, "server/crm", 7, "crm.public.t") is SLOT
    with pytest.raises(SourceError, match=said):
        require_continuity(HERE, slot, server, oid, "crm.public.t")


@pytest.mark.parametrize(
    ("slot", "said"),
    [
        (Slot("s", None, None, None, None, 0, 0), "no logical changes of the database"),
        (
            Slot("s", "wal2json", "crm", None, None, 0, 0),
            "gives wal2json changes of the database crm, expected pgoutput",
        ),
        (Slot("s", "pgoutput", "shop", None, None, 0, 0), "of the database shop, expected pgoutput of crm"),
        (Slot("s", "pgoutput", "crm", None, "lost", 0, 0), "was invalidated: .*max_slot_wal_keep_size.*another name"),
    ],
)
def test_a_slot_that_cannot_give_changes_is_refused(slot: Slot, said: str) -> None:
    require_usable(SLOT, "crm")
    with pytest.raises(SourceError, match=said):
        require_usable(slot, "crm")


def test_sizes_are_read_and_said() -> None:
    assert [parse_size(value) for value in ("512MB", "10GB", 7)] == [512 << 20, 10 << 30, 7]
    assert [size_in_words(size) for size in (999, 1536, 3 << 30)] == ["999 bytes", "1.5 KB", "3.0 GB"]
    for wrong in ("10", "10 GB", "0MB", True, 1.5):
        with pytest.raises(ValueError, match="a size is a whole number"):
            parse_size(wrong)
