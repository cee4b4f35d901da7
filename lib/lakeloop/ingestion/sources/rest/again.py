"""A part of an API that was read before, asked for again: by its cursor, or by whole ranges of time."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.backfill import Asked, moment_of
from lakeloop.ingestion.sources.rest.cursors import meaning
from lakeloop.ingestion.sources.rest.paging import Pager
from lakeloop.ingestion.sources.rest.partitions import Part, Parts, moment, part_of_range
from lakeloop.ingestion.sources.rest.reach import Fetched, Reach, Within

KINDS = ("a number", "a time", "a text")


def next_parts(spec: RestSource, known: Parts, asked: Asked, begin: Any, where: str) -> tuple[list[Part], str | None]:
    """What the next batch asks for, and where the ranges go on behind it, None where they do not.

    Raises SourceError for bounds that the cursor, or ranges of time, cannot have.
    """
    if begin is not None and begin["parts"]:
        return list(Parts.of_json(begin["parts"]).known), begin["ranges"]
    if spec.partitions is not None and spec.partitions.start is not None:
        return _ranges(spec, known, asked, None if begin is None else begin["ranges"], where)
    if begin is not None:
        return [], None
    start = Pager(spec.paginate).start()
    read = [part for part in known.known if part.reach.greatest is not None]
    parts = []
    for part in read:
        assert part.reach.greatest is not None
        _require_kind(asked, part.reach.greatest, where)
        within = Within(asked.first, asked.until, part.reach.greatest)
        parts.append(Part(part.name, part.query, Reach(at=start, since=asked.first, within=within)))
    return parts, None


def goes_on(parts: Sequence[Part], fetched: Sequence[Fetched], ranges: str | None) -> Any:
    """Where the next batch begins; None where everything has been read."""
    unread = [
        Part(part.name, part.query, found.reach)
        for part, found in zip(parts, fetched, strict=True)
        if found.failure is not None or found.reach.at is not None
    ]
    if not unread and ranges is None:
        return None
    return {"parts": Parts(tuple(unread)).as_json if unread else None, "ranges": ranges}


def _ranges(
    spec: RestSource, known: Parts, asked: Asked, begin: str | None, where: str
) -> tuple[list[Part], str | None]:
    """Whole ranges, so that the first and the last may reach beyond what is asked."""
    declared = spec.partitions
    assert declared is not None
    assert declared.start is not None
    assert declared.step is not None
    if known.upto is None:
        return [], None
    upto, until = moment(known.upto), None if asked.until is None else _time(asked.until, "--to", where)
    first = max(_time(asked.first, "--from", where), declared.start)
    at = declared.start + (first - declared.start) // declared.step * declared.step
    at = max(at, at if begin is None else moment(begin))
    parts: list[Part] = []
    unread = set(known.unread)
    while at + declared.step <= upto and (until is None or at < until):
        if len(parts) == declared.ranges_per_batch:
            return parts, at.isoformat()
        part = part_of_range(declared, at, at + declared.step)
        if part.name not in unread:  # the pipeline itself goes on with these
            parts.append(part)
        at += declared.step
    return parts, None


def _time(text: str, option: str, where: str) -> dt.datetime:
    found = moment_of(text)
    if found is None:
        raise SourceError(f"{where}: {option} {text} is no time, and its partitions are ranges of time; as 2026-03-01")
    return found


def _require_kind(asked: Asked, cursor: str, where: str) -> None:
    for option, text in (("--from", asked.first), ("--to", asked.until)):
        if text is not None and meaning(text)[0] != meaning(cursor)[0]:
            found, expected = KINDS[meaning(text)[0]], KINDS[meaning(cursor)[0]]
            raise SourceError(f"{where}: {option} {text} is {found}, and the cursor is {expected}, as {cursor}")
