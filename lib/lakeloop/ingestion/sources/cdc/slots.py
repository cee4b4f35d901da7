"""A replication slot: the server's promise to keep its log from a place on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.cdc.pgoutput import Message, decode

if TYPE_CHECKING:
    from lakeloop.ingestion.sources.cdc.server import Connection

FETCHED = 2_000  # messages at a time; the rest waits in the server
WAIT_SECONDS = 300  # for transactions that were open when a slot was made
BUSY_SECONDS = 20  # a run that was killed holds its slot until the server notices


@dataclass(frozen=True)
class Slot:
    """What the server says of a slot. `confirmed` is the place before which nothing will be given again.

    `retained_bytes` is the log that the server keeps for it.
    """

    name: str
    plugin: str | None
    database: str | None
    active_pid: int | None
    wal_status: str | None
    confirmed: int
    retained_bytes: int


def lsn(text: str) -> int:
    """A place in the server's log as a number: `0/16B3748`."""
    upper, lower = text.split("/")
    return (int(upper, 16) << 32) | int(lower, 16)


def lsn_text(place: int) -> str:
    """A place in the server's log as people write it."""
    return f"{place >> 32:X}/{place & 0xFFFFFFFF:X}"


def find_slot(connection: "Connection", name: str) -> Slot | None:
    """The slot of this name, or None."""
    row = connection.execute(
        "SELECT plugin, database, active_pid, wal_status, coalesce(confirmed_flush_lsn, '0/0')::text, "
        "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint "
        "FROM pg_replication_slots WHERE slot_name = %s",
        [name],
    ).fetchone()
    if row is None:
        return None
    plugin, database, active_pid, wal_status, confirmed, retained = row
    return Slot(name, plugin, database, active_pid, wal_status, lsn(confirmed), retained)


def create_slot(connection: "Connection", name: str) -> None:
    """Make the slot, which waits for transactions that are open; every one that commits from then on is in it."""
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [f"{WAIT_SECONDS}s"])
    connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [name])
    connection.execute("RESET statement_timeout")


def await_open_transactions(connection: "Connection", name: str) -> None:
    """Return once every transaction has ended that is open now. Raises SourceError where one lasts too long.

    One that was committing when the slot was made is not in the slot, and a snapshot may still take it for open.
    """
    found = connection.execute("SELECT array_agg(x::text) FROM pg_snapshot_xip(pg_current_snapshot()) AS x").fetchone()
    still_open = (found[0] if found else None) or []
    ends = time.monotonic() + WAIT_SECONDS
    while still_open:
        rows = connection.execute(
            "SELECT x FROM unnest(%s::text[]) AS x WHERE NOT pg_visible_in_snapshot(x::xid8, pg_current_snapshot())",
            [still_open],
        )
        still_open = [row[0] for row in rows]
        if still_open and time.monotonic() > ends:
            raise SourceError(
                f"{name}: transaction {still_open[0]} has been open for {WAIT_SECONDS} s, so the table cannot be read "
                "beside the slot yet; end it (pg_stat_activity, pg_prepared_xacts) and run again"
            )
        time.sleep(0.1 if still_open else 0)


def await_free(connection: "Connection", slot: Slot) -> Slot:
    """The slot once no process uses it. Raises SourceError that names the process if one goes on using it."""
    ends = time.monotonic() + BUSY_SECONDS
    found: Slot | None = slot
    while found is not None and found.active_pid is not None:
        if time.monotonic() > ends:
            raise SourceError(
                f"slot {slot.name} is in use by the server's process {found.active_pid}; only one process may use a "
                "slot: end the other one, or give each pipeline a slot of its own"
            )
        time.sleep(0.5)
        found = find_slot(connection, slot.name)
    return found or slot


def advance(connection: "Connection", name: str, place: int) -> None:
    """Let the server forget what lies before a place."""
    connection.execute("SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", [name, lsn_text(place)])


def peek(connection: "Connection", name: str, publication: str, most_messages: int, upto: int) -> Iterator[Message]:
    """Whole transactions in the order of their commits, until `most_messages` are exceeded; the slot stays where it is.

    None that committed behind `upto` is among them.

    The server holds them, on its disk if they are many; FETCHED at a time come over.
    """
    quoted = '"' + publication.replace('"', '""') + '"'
    with connection.transaction(), connection.cursor(name="lakeloop_changes", binary=True) as cursor:
        cursor.itersize = FETCHED
        cursor.execute(
            "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, %s::pg_lsn, %s, "
            "'proto_version', '1', 'publication_names', %s)",
            [name, lsn_text(upto), most_messages, quoted],
        )
        for (data,) in cursor:
            yield decode(bytes(data))
