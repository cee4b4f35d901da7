"""What became of quarantined rows: one row through all its lives, and the latest decisions; read without Spark."""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lakeloop.lake.masks import REDACTED
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.quarantine import Quarantine, literal
from lakeloop.lake.quarantine_decisions import QUARANTINE


@dataclass(frozen=True)
class Event:
    """Something that happened to a row, or to `rows` that are alike.

    `what` is quarantined, replayed, fixed, discarded, or what a replay ended in: good, dropped, and `gone` where bronze
    does not say any more. `reasons` are (rule, message), `changes` (column, before, after); `batch_id` is the batch of
    the row then, `to_batch` the one that has it since.
    """

    at: dt.datetime | None
    what: str
    row_id: str
    batch_id: int
    origin: str | None = None
    record: int | None = None
    rows: int = 1
    by: str | None = None
    why: str | None = None
    run_id: str | None = None
    rules_version: str | None = None
    reasons: tuple[tuple[str, str | None], ...] = ()
    changes: tuple[tuple[str, str | None, str | None], ...] = ()
    to_batch: int | None = None

    @property
    def masked(self) -> "Event":
        """The same for somebody who may not see personal data."""
        reasons = tuple((rule, REDACTED) for rule, _ in self.reasons)
        changes = tuple((column, before and REDACTED, after and REDACTED) for column, before, after in self.changes)
        return replace(self, reasons=reasons, changes=changes)


@dataclass(frozen=True)
class Decided:
    """Decisions of one run on rows of a pipeline. `columns` are those whose cells it has changed."""

    at: dt.datetime
    what: str
    rows: int
    by: str
    why: str
    run_id: str
    to_batch: int | None
    columns: tuple[str, ...]


def row_history(quarantine: Quarantine, row_id: str) -> list[Event]:
    """Everything that happened to a row, the oldest first, whichever of its lives the id is from."""
    decided = _chain(quarantine, row_id)
    ids = {row_id} | {row["row_id"] for row in decided} | {row["new_row_id"] for row in decided if row["new_row_id"]}
    lives = list(_lives(quarantine, ids))
    known = {event.row_id for event in lives}
    events = [*lives, *map(_decision, decided)]
    for row in decided:
        if row["new_row_id"] is not None and row["new_row_id"] not in known:
            events += _ends(quarantine, row)
    order = {"quarantined": 0, "replayed": 1, "fixed": 1, "discarded": 1}
    return sorted(events, key=lambda event: (event.batch_id, order.get(event.what, 2)))


def latest_decisions(quarantine: Quarantine, limit: int) -> list[Decided]:
    """The latest decisions by run, the newest first."""
    if not quarantine.has_decisions:
        return []
    mine = f"FROM decided WHERE pipeline = {literal(quarantine.pipeline)}"
    grouped = (
        'SELECT run_id, status, replayed_to, max(at) AS at, sum(rows) AS rows, min("user") AS by, min(why) AS why '
        f"{mine} GROUP BY run_id, status, replayed_to ORDER BY at DESC, run_id LIMIT {int(limit)}"
    )
    cells = f"SELECT run_id, unnest(changes) AS cell {mine} AND changes IS NOT NULL"
    columns = f"SELECT DISTINCT run_id, cell['column'] AS name FROM ({cells}) ORDER BY name"
    by_run: dict[str, list[str]] = {}
    for row in quarantine.rows(columns):
        by_run.setdefault(row["run_id"], []).append(row["name"])
    return [
        Decided(
            row["at"], row["status"], row["rows"], row["by"], row["why"], row["run_id"], row["replayed_to"],
            tuple(by_run.get(row["run_id"], ())),
        )
        for row in _plain(quarantine, grouped)
    ]  # fmt: skip


def _chain(quarantine: Quarantine, row_id: str) -> list[dict[str, Any]]:
    """The decisions on a row, on what it was before, and on what became of it."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for column, onward in (("row_id", "new_row_id"), ("new_row_id", "row_id")):
        ids: Collection[str] = {row_id}
        while ids:
            mine = [("pipeline", "=", quarantine.pipeline), (column, "in", list(ids))]
            rows = read_rows(quarantine.root, QUARANTINE, mine)
            new = [row for row in rows if (row["row_id"], row["new_row_id"]) not in found]
            found |= {(row["row_id"], row["new_row_id"]): row for row in new}
            ids = {row[onward] for row in new if row[onward] is not None}
    return sorted(found.values(), key=lambda row: row["at"])


def _decision(row: dict[str, Any]) -> Event:
    changes = tuple((cell["column"], cell["before"], cell["after"]) for cell in row["changes"] or ())
    return Event(
        row["at"], row["status"], row["row_id"], row["batch_id"], row["origin"], row["record"], row["rows"],
        row["user"], row["why"], row["run_id"], changes=changes, to_batch=row["replayed_to"],
    )  # fmt: skip


def _lives(quarantine: Quarantine, ids: Collection[str]) -> Iterator[Event]:
    """Each time that bronze has the row as quarantined."""
    wanted = ", ".join(map(literal, sorted(ids)))
    sql = (
        "SELECT row_id, min(_batch_id) AS batch_id, min(_position['origin']) AS origin, "
        "min(_position['record']) AS record, count(*) AS rows, min(_ingested_at) AS at, min(_run_id) AS run_id, "
        "min(_rules_version) AS rules_version, first_value(_reasons) AS reasons "
        f"FROM quarantined WHERE row_id IN ({wanted}) GROUP BY row_id"
    )
    for row in _plain(quarantine, sql):
        reasons = tuple((one["rule"], one["message"]) for one in row["reasons"] or ())
        yield Event(
            row["at"], "quarantined", row["row_id"], row["batch_id"], row["origin"], row["record"], row["rows"],
            run_id=row["run_id"], rules_version=row["rules_version"], reasons=reasons,
        )  # fmt: skip


def _ends(quarantine: Quarantine, decision: dict[str, Any]) -> list[Event]:
    """What a replayed row is where it is quarantined no more; rows of a batch without places are told together."""
    batch, new = decision["replayed_to"], decision["new_row_id"]
    place = [f"_batch_id = {int(batch)}", "_verdict <> 'quarantined'"]
    origin, record = decision["origin"], decision["record"]
    place.append("_position['origin'] IS NULL" if origin is None else f"_position['origin'] = {literal(origin)}")
    place.append("_position['record'] IS NULL" if record is None else f"_position['record'] = {int(record)}")
    reasons = "first_value(_reasons) AS reasons"
    sql = (
        f"SELECT _verdict AS verdict, min(_ingested_at) AS at, {reasons} FROM record WHERE {' AND '.join(place)} "
        "GROUP BY _verdict ORDER BY _verdict"
    )
    found = list(_plain(quarantine, sql))
    if len(found) != 1:
        what = " or ".join(row["verdict"] for row in found) or "gone"
        return [Event(None, what, new, batch, origin, record, decision["rows"])]
    said = tuple((one["rule"], one["message"]) for one in found[0]["reasons"] or ())
    return [Event(found[0]["at"], found[0]["verdict"], new, batch, origin, record, decision["rows"], reasons=said)]


def _plain(quarantine: Quarantine, sql: str) -> Iterator[dict[str, Any]]:
    for batch in quarantine.select(sql):
        for values in zip(*map(column_values, batch.columns), strict=True):
            yield dict(zip(batch.schema.names, values, strict=True))
