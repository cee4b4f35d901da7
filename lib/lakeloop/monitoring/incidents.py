"""Incidents: causes that were seen, and `ops.incidents`, which remembers them from run to run.

Grain of `ops.incidents`: one row per incident and run in which it was seen or found gone. `channels` were told in that
run; `undelivered` should have been. A fingerprint is `pipeline:kind:detail`: one cause, whatever the figures in its
message. An `id` lasts from `opened` to `resolved`.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Literal

import pyarrow as pa

from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ops_tables import TIME, append_rows, read_rows

INCIDENTS = "ops.incidents"

Severity = Literal["warn", "error"]
State = Literal["opened", "repeated", "resolved"]
Kind = Literal[
    "run_failed",
    "batch_withdrawn",
    "file_refused",
    "file_late",
    "file_missing",
    "rows_quarantined",
    "rule_violated",
    "slot_large",
    "messages_lost",
    "anomaly",
    "recovered",
]

SCHEMA = pa.schema({
    "id": pa.string(), "kind": pa.string(), "pipeline": pa.string(), "severity": pa.string(),
    "fingerprint": pa.string(), "message": pa.string(), "run_id": pa.string(), "at": TIME, "state": pa.string(),
    "channels": pa.list_(pa.string()), "undelivered": pa.list_(pa.string()),
})  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """Something wrong with a pipeline, as one run showed it. `detail` tells apart causes of one kind.

    `owner` is that of the rule where it has one, else of the pipeline.
    """

    kind: Kind
    pipeline: str
    severity: Severity
    message: str
    detail: str = ""
    counts: RowCounts = field(default_factory=RowCounts)
    owner: str | None = None

    @property
    def fingerprint(self) -> str:
        """What makes two causes the same."""
        return f"{self.pipeline}:{self.kind}:{self.detail}"


@dataclass(frozen=True)
class Event:
    """One row of `ops.incidents`."""

    id: str
    kind: Kind
    pipeline: str
    severity: Severity
    fingerprint: str
    message: str
    run_id: str
    at: dt.datetime
    state: State
    channels: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenIncident:
    """An incident that has not been resolved. `told` maps a channel to when it was told last."""

    last: Event
    opened_at: dt.datetime
    runs: int
    told: dict[str, dt.datetime] = field(default_factory=dict)


def open_incidents(root: str) -> list[OpenIncident]:
    """The incidents of a lake that are open, oldest first."""
    return still_open([_event(row) for row in read_rows(root, INCIDENTS)])


def still_open(events: Sequence[Event]) -> list[OpenIncident]:
    """The incidents among `events`, given in any order, that no event resolves, oldest first."""
    by_id: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.at):
        by_id[event.id].append(event)
    found = [
        OpenIncident(
            seen[-1], seen[0].at, len(seen), {channel: event.at for event in seen for channel in event.channels}
        )
        for seen in by_id.values()
        if all(event.state != "resolved" for event in seen)
    ]
    return sorted(found, key=lambda incident: (incident.opened_at, incident.last.fingerprint))


def record_events(root: str, events: Sequence[Event]) -> None:
    """Append events to `ops.incidents` in one commit."""
    if events:
        append_rows(root, INCIDENTS, [astuple(event) for event in events], SCHEMA)


def _event(row: dict[str, Any]) -> Event:
    return Event(**{**row, "channels": tuple(row["channels"]), "undelivered": tuple(row["undelivered"])})
