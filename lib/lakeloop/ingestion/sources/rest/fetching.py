"""One partition of an API, page by page, landed as files: on the driver, or on an executor."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.http.answers import Failure, Reply
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.files.json_documents import json_text
from lakeloop.ingestion.sources.rest.cursors import earlier, greatest, meaning
from lakeloop.ingestion.sources.rest.landing import land
from lakeloop.ingestion.sources.rest.observing import Observed
from lakeloop.ingestion.sources.rest.paging import At, Page, Pager, Query
from lakeloop.ingestion.sources.rest.reach import Reach
from lakeloop.ingestion.sources.rest.records import Absent, answer_of, expected_of, exploded, records_in, value_at
from lakeloop.ingestion.sources.seen_before import identity

REDIRECTS = 5
FORGOTTEN = (400, 404, 410, 422)  # what an API says to a position that it does not know any more
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """What one partition gave: landed files with the origins to show for them, and how far it has been read.

    `failure` says why it stopped before its end; `records` are new, `known` were read before.
    """

    files: dict[str, str]
    reach: Reach
    records: int = 0
    known: int = 0
    failure: str | None = None
    types: dict[str, str | None] = field(default_factory=dict)
    kinds: dict[str, list[str]] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> "Fetched":
        """What `as_json` gave, after a journey through JSON."""
        return cls(**{**values, "reach": Reach.of_json(values["reach"])})


@dataclass(frozen=True)
class Fetcher:
    """Reads partitions of one source by one client, each into a folder of its own."""

    spec: RestSource
    client: Client

    def fetch(self, partition: Query, reach: Reach, folder: str, progress: Progress) -> Fetched:
        """Everything that is new behind `reach`. What was landed before a failure is kept; raises none for the API."""
        return _Reading(self.spec, self.client, partition, reach, folder).read(progress)


class _Reading:
    """The way through the pages of one partition."""

    def __init__(self, spec: RestSource, client: Client, partition: Query, reach: Reach, folder: str) -> None:
        self._spec, self._client, self._partition, self._folder = spec, client, partition, folder
        self._pager = Pager(spec.paginate)
        self._address = client.address(spec.path)
        self._before = reach
        self._seen_before = frozenset(reach.seen)
        resumes = reach.at is not None and self._pager.is_mine(reach.at)
        self._resumed_at = reach.at if resumes else None
        self._greatest = reach.greatest
        self._since = reach.since if resumes else None
        self._pages = list(reach.pages) if resumes else []
        self._last_landed: At | None = None
        self._identities: dict[str, str | None] = {}
        self._files: dict[str, str] = {}
        self._observed, self._records, self._known = Observed(), 0, 0

    def read(self, progress: Progress) -> Fetched:
        at: At | None = self._resumed_at if self._resumed_at is not None else self._pager.start()
        visited: list[At] = []
        number = 0
        try:
            if self._resumed_at is None:
                self._since = self._start_of_window()
            while at is not None and number < self._most_pages:
                where = self._where(at)
                if at in visited:
                    raise SourceError(f"{where}: the API leads back to a page that was read already; check paginate")
                visited.append(at)
                reply = self._asked(at)
                if isinstance(reply, Failure):
                    if not self._is_forgotten(at, reply):
                        raise SourceError(f"{where}: {self._said(reply)}")
                    at, self._resumed_at, self._pages = self._pager.start(), None, []
                    visited.clear()
                    continue
                number += 1
                page = self._landed(at, number, reply, where)
                progress(f"page {number}, {self._records:,} records")
                at = self._pager.following(page, self._client, where)
        except SourceError as error:
            return self._stopped(at, self._client.masked(str(error)))
        return self._stopped(at, None) if at is not None else self._ended()

    def _where(self, at: At) -> str:
        place = str(at["url"]) if "url" in at else f"{self._address} {self._pager.said(at)}".removesuffix(" its page")
        return f"{self._spec.rest}: {place}"

    @property
    def _most_pages(self) -> int:
        return self._spec.paginate.max_pages if self._spec.paginate else 1

    def _start_of_window(self) -> str | None:
        incremental = self._spec.incremental
        if incremental is None:
            return None
        return earlier(self._before.greatest, incremental.overlap, f"{self._spec.rest}: {self._address}")

    def _asked(self, at: At) -> Reply | Failure:
        query = [*self._fixed_query, *self._partition, *self._pager.query(at)]
        url = str(at.get("url", self._address))
        return self._client.get(
            url, [] if "url" in at else query, most_bytes=self._spec.answer_bytes, redirects=REDIRECTS
        )

    @property
    def _fixed_query(self) -> Query:
        query = [(name, str(value).lower() if isinstance(value, bool) else str(value))
                 for name, value in self._spec.query.items()]  # fmt: skip
        if self._spec.incremental is not None and self._since is not None:
            query.append((self._spec.incremental.param, self._since))
        return query

    def _is_forgotten(self, at: At, failure: Failure) -> bool:
        return self._pager.may_expire and at == self._resumed_at != {} and failure.status in FORGOTTEN

    def _landed(self, at: At, number: int, reply: Reply, where: str) -> Page:
        """A page with its new records in a file. Raises SourceError for what is no page, or one that came before."""
        answer = answer_of(reply, where, expected_of(self._spec.records), self._client.masked)
        found = records_in(answer, self._spec.records, where)
        if found:
            digest = identity(found)
            if self._before.is_landed and at == self._resumed_at and digest == self._pages[-1]:
                self._last_landed = at
                return Page(at, reply, answer, len(found))
            if digest in self._pages:
                raise SourceError(f"{where}: the API gives a page again that was read already; check paginate")
            self._pages.append(digest)
        records = list(exploded(found, self._spec.explode))
        lines = [self._line(record) for record in records]
        new = [record for record, line in zip(records, lines, strict=True) if line]
        self._observed.see(new, self._spec.paths)
        self._records, self._known = self._records + len(new), self._known + len(records) - len(new)
        if new:
            origin = self._client.masked(self._pager.origin(self._address, self._partition, at))
            self._files[land(self._folder, number, lines)] = origin
        self._last_landed = at
        return Page(at, reply, answer, len(found))

    def _line(self, record: Any) -> str:
        """The text of a record; empty for one that was read before."""
        if (incremental := self._spec.incremental) is not None:
            cursor = _cursor_of(record, incremental.cursor)
            key = [value_at(record, path) for path in incremental.key]
            is_keyed = bool(key) and not any(isinstance(value, Absent) or value is None for value in key)
            mark = identity([*key, cursor] if is_keyed else [record])
            self._identities[mark] = cursor
            if cursor is not None:
                self._greatest = greatest([cursor, *([self._greatest] if self._greatest is not None else [])])
            if mark in self._seen_before:
                return ""
        return self._client.service.masked_record(str(json_text([record]))[1:-1])  # a text would come without quotes

    def _ended(self) -> Fetched:
        carried = self._before.seen if self._resumed_at is not None else ()
        return self._fetched(Reach(self._greatest, seen=(*carried, *self._in_window())), None)

    def _stopped(self, at: At | None, failure: str | None) -> Fetched:
        """What there is of a reading that goes on with `at`, or from its start where that failed."""
        if failure is not None and not self._pages and self._resumed_at is None:
            return self._fetched(self._before, failure)
        # A reading that may have to begin anew must know all of what it has had.
        mine = self._identities if self._pager.may_expire else self._in_window()
        seen = tuple(dict.fromkeys((*self._before.seen, *mine)))
        reach = Reach(self._greatest, at, self._since, tuple(self._pages), at == self._last_landed, seen)
        return self._fetched(reach, failure)

    def _in_window(self) -> Iterator[str]:
        """What may come again: records at or behind the start of the next window, and those without a cursor."""
        if self._spec.incremental is None or self._greatest is None:
            return iter(self._identities)
        start = earlier(self._greatest, self._spec.incremental.overlap, self._spec.rest)
        assert start is not None
        least = meaning(start)
        return iter([mark for mark, c in self._identities.items() if c is None or meaning(c) >= least])

    def _fetched(self, reach: Reach, failure: str | None) -> Fetched:
        if failure is not None and self._files:
            going_on = self._pager.said(reach.at) if reach.at else "its start"
            failure = f"{failure}; pages before it have landed, the next run goes on from {going_on}"
        observed = self._observed
        return Fetched(self._files, reach, self._records, self._known, failure, observed.types, observed.kinds)

    def _said(self, failure: Failure) -> str:
        tries = f" after {self._client.service.connection.retries} retries" if failure.is_retried else ""
        checked = "the path" if failure.status in (404, 410) else "path, query and paginate"
        remedies = {
            "down": "; check the address and that the service is up" if failure.is_retried else "",
            "large": "; ask for smaller pages, or raise answer_bytes",
            "status": f", expected 200; check {checked}",
        }
        return f"{failure.reason}{tries}{remedies.get(failure.why, '')}"


def _cursor_of(record: Any, path: str) -> str | None:
    value = value_at(record, path)
    return None if isinstance(value, Absent | dict | list) or value is None else str(value)
