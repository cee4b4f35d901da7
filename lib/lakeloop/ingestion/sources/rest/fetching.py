"""One partition of an API, page by page, landed as files: on the driver, or on an executor."""

from collections.abc import Callable

import requests

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.http.answers import Failure, Reply
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.files.json_documents import json_text
from lakeloop.ingestion.sources.rest.landing import land
from lakeloop.ingestion.sources.rest.marks import Marks
from lakeloop.ingestion.sources.rest.observing import Observed
from lakeloop.ingestion.sources.rest.paging import At, Page, Pager, Query
from lakeloop.ingestion.sources.rest.reach import Fetched, Reach
from lakeloop.ingestion.sources.rest.records import answer_of, expected_of, exploded, records_in
from lakeloop.ingestion.sources.seen_before import identity

REDIRECTS = 5
FORGOTTEN = (400, 404, 410, 422)  # what an API says to a position that it does not know any more
Progress = Callable[[str], None]


def fetch(spec: RestSource, client: Client, partition: Query, reach: Reach, folder: str, progress: Progress) -> Fetched:
    """Land everything that is new behind `reach` in a folder.

    Raises nothing for what the API does: what was landed before a failure is kept, and the failure is said.
    """
    return _Reading(spec, client, partition, reach, folder).read(progress)


class _Reading:
    """The way through the pages of one partition."""

    def __init__(self, spec: RestSource, client: Client, partition: Query, reach: Reach, folder: str) -> None:
        self._spec, self._client, self._partition, self._folder = spec, client, partition, folder
        self._address, self._pager = client.address(spec.path), Pager(spec.paginate)
        self._before, self._marks, self._observed = reach, Marks(spec.incremental, reach), Observed()
        resumes = reach.at is not None and self._pager.is_mine(reach.at)
        self._resumed_at = reach.at if resumes else None
        self._since = reach.since if reach.at is not None else None
        self._pages = list(reach.pages) if resumes else []
        self._last_landed: At | None = None
        self._files: dict[str, str] = {}
        self._records = self._known = 0

    def read(self, progress: Progress) -> Fetched:
        at: At | None = self._resumed_at if self._resumed_at is not None else self._pager.start()
        visited: list[At] = []
        number = 0
        try:
            if self._before.at is None:
                self._since = self._marks.start_of_window(f"{self._spec.rest}: {self._address}")
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
        if "url" in at:
            return f"{self._spec.rest}: {at['url']}"
        address = self._pager.origin(self._address, self._partition, {})
        return f"{self._spec.rest}: {address} {self._pager.said(at)}".removesuffix(" its page")

    @property
    def _most_pages(self) -> int:
        return self._spec.paginate.max_pages if self._spec.paginate else 1

    def _asked(self, at: At) -> Reply | Failure:
        if "url" in at:
            url, query = str(at["url"]), list[tuple[str, str]]()
        else:
            url, query = self._address, [*self._fixed_query(), *self._partition, *self._pager.query(at)]
        return self._client.get(url, query, most_bytes=self._spec.answer_bytes, redirects=REDIRECTS)

    def _fixed_query(self) -> Query:
        query = [
            (name, str(value).lower() if isinstance(value, bool) else str(value))
            for name, value in self._spec.parameters.items()
        ]
        if self._spec.incremental is not None and self._since is not None:
            query.append((self._spec.incremental.param, self._since))
        return query

    def _is_forgotten(self, at: At, failure: Failure) -> bool:
        return self._pager.may_expire and at == self._resumed_at != {} and failure.status in FORGOTTEN

    def _landed(self, at: At, number: int, reply: Reply, where: str) -> Page:
        """A page with its new records in a file. Raises SourceError for what is no page, or one that came before."""
        if reply.status == requests.codes.no_content:
            return Page(at, reply, None, 0)
        answer = answer_of(reply, where, expected_of(self._spec.records), self._client.masked)
        found = records_in(answer, self._spec.records, where)
        page = Page(at, reply, answer, len(found))
        if not found:
            return page
        digest = identity(found)
        is_known = self._before.is_landed and at == self._resumed_at and digest == self._pages[-1]
        if digest in self._pages and not is_known:
            raise SourceError(f"{where}: the API gives a page again that was read already; check paginate")
        if not is_known:
            self._land(at, number, list(exploded(found, self._spec.explode)), where)
            self._pages.append(digest)
        self._last_landed = at
        return page

    def _land(self, at: At, number: int, records: list[object], where: str) -> None:
        new = [self._marks.is_new(record, where) for record in records]
        # In a list, because a text alone would come without its quotes.
        texts = [str(json_text([record]))[1:-1] if is_new else "" for record, is_new in zip(records, new, strict=True)]
        self._observed.see([record for record, is_new in zip(records, new, strict=True) if is_new], self._spec.paths)
        self._records, self._known = self._records + sum(new), self._known + len(new) - sum(new)
        if any(new):
            masked = [self._client.service.masked_record(text) for text in texts]
            origin = self._client.masked(self._pager.origin(self._address, self._partition, at))
            self._files[land(self._folder, number, masked)] = origin

    def _ended(self) -> Fetched:
        carried = self._before.seen if self._resumed_at is not None else ()
        seen = tuple(dict.fromkeys((*carried, *self._marks.in_window())))
        return self._fetched(Reach(self._marks.greatest, seen=seen), None)

    def _stopped(self, at: At | None, failure: str | None) -> Fetched:
        """What there is of a reading that goes on with `at`, or from its start where that failed."""
        if failure is not None and not self._pages and self._resumed_at is None:
            return self._fetched(self._before, failure)
        # Its pages may shift until it goes on, or it may have to begin anew: it must know all of what it has had.
        seen = tuple(dict.fromkeys((*self._before.seen, *self._marks.all)))
        is_landed = at == self._last_landed
        within = self._before.within
        reach = Reach(self._marks.greatest, at, self._since, tuple(self._pages), is_landed, seen, within)
        return self._fetched(reach, failure)

    def _fetched(self, reach: Reach, failure: str | None) -> Fetched:
        observed = self._observed
        known, held = self._known - self._marks.held, self._marks.held
        return Fetched(self._files, reach, self._records, known, held, failure, observed.types, observed.kinds)

    def _said(self, failure: Failure) -> str:
        tries = f" after {self._client.service.connection.retries} retries" if failure.is_retried else ""
        checked = "the path" if failure.status in (404, 410) else "path, parameters and paginate"
        remedies = {
            "down": "; check the address and that the service is up" if failure.is_retried else "",
            "large": "; ask for smaller pages, or raise answer_bytes",
            "status": f", expected 200; check {checked}",
        }
        return f"{failure.reason}{tries}{remedies.get(failure.why, '')}"
