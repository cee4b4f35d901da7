"""Which records of an incremental reading were read before, and which ones may come again."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import now
from lakeloop.ingestion.source_specs.rest import RestCursor
from lakeloop.ingestion.sources.held_back import latest_of
from lakeloop.ingestion.sources.rest.cursors import TIME, earlier, greatest, meaning
from lakeloop.ingestion.sources.rest.reach import Reach
from lakeloop.ingestion.sources.rest.records import Absent, value_at
from lakeloop.ingestion.sources.seen_before import identity


class Marks:
    """The marks of the records of one reading, by which the next one knows them, and their greatest cursor.

    `held` counts records that are dated ahead of the clock, which are left to a later reading.
    """

    def __init__(self, declared: RestCursor | None, before: Reach) -> None:
        self._declared, self._before, self._within = declared, frozenset(before.seen), before.within
        self._cursors: dict[str, str | None] = {}
        self._present, self.held = now(), 0
        self.greatest = before.greatest

    def start_of_window(self, where: str) -> str | None:
        """What the API is asked for: the greatest cursor less the overlap. Raises SourceError where that is none."""
        return earlier(self.greatest, self._declared.overlap, where) if self._declared else None

    def is_new(self, record: Any, where: str) -> bool:
        """Take note of a record; False where an earlier batch has it. Without a cursor every record is new.

        Raises SourceError for the first cursor that the overlap does not fit.
        """
        if self._declared is None:
            return True
        cursor = _cursor_of(record, self._declared.cursor)
        if self._is_ahead(cursor):
            self.held += 1
            return False
        if self._within is not None and not self._within.has(cursor):
            return False
        key = [value_at(record, path) for path in self._declared.key]
        is_keyed = bool(key) and not any(isinstance(value, Absent) or value is None for value in key)
        mark = identity([*key, cursor] if is_keyed else [record])
        if cursor is not None:
            if self.greatest is None:
                earlier(cursor, self._declared.overlap, where)
            self.greatest = greatest([cursor, *([self.greatest] if self.greatest is not None else [])])
        self._cursors[mark] = cursor
        return mark not in self._before

    def _is_ahead(self, cursor: str | None) -> bool:
        """Whether a record is dated ahead of the clock: to go on from it would hide what comes before its time."""
        if cursor is None or self._declared is None or meaning(cursor)[0] != TIME:
            return False
        has_zone = dt.datetime.fromisoformat(cursor).tzinfo is not None
        latest = latest_of(self._present, self._declared.ahead, has_zone=has_zone)
        return latest is not None and meaning(cursor)[1] > latest

    @property
    def all(self) -> Mapping[str, str | None]:
        """The marks of this reading with the cursors of their records."""
        return self._cursors

    def in_window(self) -> list[str]:
        """The marks of what may come again: records behind the start of the next window, and those without a cursor."""
        try:
            start = self.start_of_window("")
        except SourceError:  # said before
            return list(self._cursors)
        if start is None:
            return list(self._cursors)
        least = meaning(start)
        return [mark for mark, cursor in self._cursors.items() if cursor is None or meaning(cursor) >= least]


def _cursor_of(record: Any, path: str) -> str | None:
    value = value_at(record, path)
    return None if isinstance(value, Absent | dict | list) or value is None else str(value)
