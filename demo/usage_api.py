"""A usage API as a telco's network team would offer it: pages, a bearer token, bad moments. Standard library only."""

import json
import math
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from typing import Self
from urllib.parse import parse_qs, urlsplit

FAULT_EVERY = 5
MAX_PER_PAGE = 1000


class UsageApi:
    """`GET /usage?page=1&per_page=500&since=ISO` on a free port of 127.0.0.1 for as long as the `with` block lasts.

    Answers `{"data": [...], "page": n, "pages": m}`, ordered by `measured_at`; `since` keeps what was measured strictly
    later (UTC where it names no zone). A page after the last one is empty. Errors are JSON too: 400 for a parameter
    that cannot be read, 401 without the right `Authorization: Bearer`, 404 for another path.

    Args:
        records: one per measurement; `measured_at` is ISO 8601 with a zone.
        token: the bearer token to ask for.
        faults: every fifth request fails, by turns with 503 and with 429 and `Retry-After: 1`; a retry succeeds.
        fail_from_page: from this page on, every request answers 503.
        html: 200 with a page of HTML instead of JSON, as a proxy's login page would be.
    """

    def __init__(
        self,
        records: list[dict[str, object]],
        token: str,
        *,
        faults: bool = True,
        fail_from_page: int | None = None,
        html: bool = False,
    ) -> None:
        self.requests: list[int] = []
        self._records = sorted(
            ((_instant(str(record["measured_at"])), record) for record in records), key=itemgetter(0)
        )
        self._token = token
        self._faults = faults
        self._fail_from_page = fail_from_page
        self._html = html
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Base URL; the path `/usage` is the caller's to add."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, target: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a request; counts the request and writes its status to `requests`."""
        headers = {"Content-Type": "application/json"}
        with self._lock:
            try:
                body = json.dumps(self._answer(target, authorization, number=len(self.requests) + 1))
                status = HTTPStatus.OK
            except _RefusedError as refused:
                body = json.dumps({"error": str(refused)})
                status = refused.status
                headers |= refused.headers
            self.requests.append(status)
        if self._html and status == HTTPStatus.OK:
            headers["Content-Type"] = "text/html"
            body = "<html><body><h1>Please log in</h1></body></html>"
        return status, headers, body.encode()

    def _answer(self, target: str, authorization: str | None, number: int) -> dict[str, object]:
        parts = urlsplit(target)
        if parts.path != "/usage":
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"No such path: {parts.path}. There is /usage.")
        if authorization != f"Bearer {self._token}":
            reason = "Authorization: Bearer <token> is missing or wrong."
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            page, per_page = int(query.get("page", "1")), int(query.get("per_page", "500"))
            since = _instant(query["since"]) if "since" in query else None
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        if page < 1 or not 1 <= per_page <= MAX_PER_PAGE:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"page starts at 1, per_page is 1 to {MAX_PER_PAGE}.")
        if self._fail_from_page is not None and page >= self._fail_from_page:
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "Down for maintenance.")
        if self._faults and number % FAULT_EVERY == 0:
            if number // FAULT_EVERY % 2:
                raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "Overloaded, try again.")
            raise _RefusedError(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests.", {"Retry-After": "1"})
        return self._page(page, per_page, since)

    def _page(self, page: int, per_page: int, since: datetime | None) -> dict[str, object]:
        records = [record for measured_at, record in self._records if since is None or measured_at > since]
        pages = max(1, math.ceil(len(records) / per_page))
        return {"data": records[(page - 1) * per_page : page * per_page], "page": page, "pages": pages}


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


def _handler(api: UsageApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, headers, body = api.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Quiet: `UsageApi.requests` is the log."""

    return Handler


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
