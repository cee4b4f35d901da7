"""Which page comes next. A position is a few JSON values, so that a plan can say where the next batch goes on."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

from requests.utils import parse_header_links

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.http.answers import Reply
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.source_specs.pagination import Cursors, Links, Offsets, PageNumbers, Pagination
from lakeloop.ingestion.sources.rest.records import Absent, kind_of, value_at

At = dict[str, str | int]
Query = list[tuple[str, str]]
SHOWN = 60


@dataclass(frozen=True)
class Page:
    """A page as it was got: its answer, and how many records that held."""

    at: At
    reply: Reply
    answer: Any
    records: int


@dataclass(frozen=True)
class Pager:
    """Turns positions into requests, and a page into the position of the next one."""

    declared: Pagination | None

    def start(self) -> At:
        """The position of the first page."""
        match self._way:
            case PageNumbers() as way:
                return {"page": way.first}
            case Offsets():
                return {"offset": 0}
        return {}

    def is_mine(self, at: At) -> bool:
        """Whether a position is one of the way that is declared now."""
        match self._way:
            case PageNumbers():
                key = "page"
            case Offsets():
                key = "offset"
            case Cursors():
                key = "cursor"
            case Links():
                key = "url"
            case None:
                return False
        return set(at) <= {key}

    @property
    def may_expire(self) -> bool:
        """Whether an API may forget a position, so that reading begins anew."""
        return isinstance(self._way, Cursors | Links)

    def query(self, at: At) -> Query:
        """The parameters that ask for a page."""
        match self._way:
            case PageNumbers() as way:
                return [(way.page_param, str(at["page"])), (way.size_param, str(way.size))]
            case Offsets() as way:
                return [(way.offset_param, str(at["offset"])), (way.limit_param, str(way.size))]
            case Cursors() as way:
                return [*_size(way), *([(way.param, str(at["cursor"]))] if at else [])]
            case Links() as way:
                return _size(way)
        return []

    def origin(self, address: str, partition: Query, at: At) -> str:
        """The address of a page as a person would look it up: without size, credentials and what is new since."""
        if "url" in at:
            return str(at["url"])
        mine = self.query(at) if at else []
        own = mine[-1:] if isinstance(self._way, Cursors) else mine[:1]
        query = urlencode([*partition, *own])
        return f"{address}?{query}" if query else address

    def said(self, at: At) -> str:
        """A position in words."""
        return next((f"{name} {str(value)[:SHOWN]}" for name, value in at.items() if name != "url"), "its page")

    def following(self, page: Page, client: Client, where: str) -> At | None:
        """The position behind a page, None behind the last one. Raises SourceError for a link that is not followed."""
        match self._way:
            case PageNumbers() as way:
                return None if _is_last(way, page) else {"page": int(page.at["page"]) + 1}
            case Offsets() as way:
                return None if _is_last(way, page) else {"offset": int(page.at["offset"]) + page.records}
            case Cursors() as way:
                token = _text_at(page.answer, way.next, where)
                return {"cursor": token} if token else None
            case Links() as way:
                link = _text_at(page.answer, way.next, where) if way.next else _link_of(page.reply)
                return {"url": _followed(link, page.reply, client, where)} if link else None
        return None

    @property
    def _way(self) -> PageNumbers | Offsets | Cursors | Links | None:
        return self.declared.way if self.declared else None


def _size(way: Cursors | Links) -> Query:
    return [(way.size_param, str(way.size))] if way.size is not None else []


def _is_last(way: PageNumbers | Offsets, page: Page) -> bool:
    return page.records < (way.size if way.until == "short" else 1)


def _text_at(answer: Any, path: str, where: str) -> str:
    value = value_at(answer, path)
    if isinstance(value, Absent) or value is None or value is False:
        return ""
    if isinstance(value, dict | list | bool):
        raise SourceError(
            f"{where}: '{path}' is a {kind_of(value)}, expected what asks for the next page; check paginate"
        )
    return str(value)


def _link_of(reply: Reply) -> str:
    links = parse_header_links(reply.headers.get("Link", ""))
    return next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), "")


def _followed(link: str, reply: Reply, client: Client, where: str) -> str:
    url = client.service.without_key(urljoin(reply.url, link))
    if refusal := client.refusal(url):
        raise SourceError(f"{where}: the link to the next page leads {refusal}")
    return url
