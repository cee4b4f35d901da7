"""How far a pipeline has read its table, as each plan says it: the next one goes on from there."""

import datetime as dt
from dataclasses import asdict, dataclass, replace
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs.cdc import size_in_words
from lakeloop.ingestion.sources.cdc.slots import Slot, lsn, lsn_text
from lakeloop.lake.ledger import Plan


@dataclass(frozen=True)
class Position:
    """The place behind the last commit that was read, `upto`, and what tells whether it is still the same place.

    `record` is the number of the next change, `at` the time of the last one, `committed_at` the same by the server's
    clock, NULL before the first. `snapshot` is what the first read saw; it counts for commits up to `snapshot_upto`.
    """

    slot: str
    server: str
    table_oid: int
    upto: str
    record: int
    at: str
    committed_at: str | None = None
    snapshot: str | None = None
    snapshot_upto: str | None = None

    @classmethod
    def of(cls, plan: Plan) -> "Position":
        """The end of a plan."""
        return cls(**plan.details["position"])

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        return asdict(self)

    def after(self, upto: int, record: int, at: dt.datetime, committed_at: dt.datetime | None) -> "Position":
        """The place behind a further batch; `committed_at` is None for one without a change."""
        is_past = self.snapshot_upto is not None and upto > lsn(self.snapshot_upto)
        return replace(
            self,
            upto=lsn_text(upto),
            record=record,
            at=text_of_time(at),
            committed_at=text_of_time(committed_at) if committed_at else self.committed_at,
            snapshot=None if is_past else self.snapshot,
            snapshot_upto=None if is_past else self.snapshot_upto,
        )

    @property
    def place(self) -> int:
        """`upto` as a number."""
        return lsn(self.upto)

    @property
    def time(self) -> dt.datetime:
        """`at` as a time."""
        return dt.datetime.fromisoformat(self.at)


def text_of_time(at: dt.datetime) -> str:
    """A time as a plan has it."""
    return at.astimezone(dt.UTC).isoformat()


def require_usable(slot: Slot, database: str) -> None:
    """Raise SourceError for a slot that cannot give changes of this database, or no longer."""
    if slot.plugin != "pgoutput" or slot.database != database:
        raise SourceError(
            f"the slot {slot.name} gives {slot.plugin or 'no logical'} changes of the database "
            f"{slot.database or '(none)'}, expected pgoutput of {database}; name another slot, which the run makes "
            "itself"
        )
    if slot.wal_status == "lost":
        raise SourceError(
            f"the slot {slot.name} was invalidated: the server has removed log that it needed "
            f"(max_slot_wal_keep_size), so changes are lost to it; {begin_anew(slot.name)}, and raise that setting or "
            "run more often"
        )


def require_continuity(position: Position, slot: Slot | None, server: str, table_oid: int, table: str) -> Slot:
    """The slot, if it goes on from the position; raises SourceError where changes may be missing between them."""
    name = position.slot
    if server != position.server:
        raise SourceError(
            f"the server is not the one that {table} was read from, or its database was restored or renamed, so its "
            f"log does not go on from {position.upto}; {begin_anew(name)}"
        )
    if slot is None:
        raise SourceError(
            f"the slot {name} is gone (dropped, or lost in a failover), and with it the changes since {position.upto}; "
            f"{begin_anew(name)}"
        )
    if table_oid != position.table_oid:
        raise SourceError(
            f"{table} is another table than the one that was read: it was dropped and made anew; {begin_anew(name)}"
        )
    if slot.confirmed > position.place:
        raise SourceError(
            f"the slot {name} stands at {lsn_text(slot.confirmed)}, ahead of {position.upto}, which is all that was "
            f"applied: another pipeline or program has used it, or it was made anew, and "
            f"{slot.confirmed - position.place:,} bytes of log are lost to this one; give each pipeline a slot of "
            f"its own. To mend this one, {begin_anew(name)}"
        )
    return slot


def begin_anew(slot: str) -> str:
    """The remedy where changes are lost."""
    return (
        f"to read the table anew, drop the slot if it is there (SELECT pg_drop_replication_slot('{slot}')) and declare "
        "another name as the pipeline's slot"
    )


def slot_in_words(slot: Slot, lag_seconds: float | None) -> str:
    """The end of a run's message."""
    behind = "" if lag_seconds is None else f", the last commit was {max(0.0, lag_seconds):,.0f} s ago"
    return f"slot {slot.name} retains {size_in_words(slot.retained_bytes)}{behind}"
