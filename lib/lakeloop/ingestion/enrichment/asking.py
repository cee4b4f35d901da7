"""One service asked for one key at a time: paced, retried, and given up on when it is down. Never raises for a key."""

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Self

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from lakeloop.ingestion.enrichment.answers import address, read_fields
from lakeloop.ingestion.enrichment.http_spec import HttpLookup
from lakeloop.ingestion.enrichment.pacing import LONGEST_WAIT_SECONDS, Breaker, Pace, retry_after
from lakeloop.ingestion.enrichment.service import Service

RETRIED = (429, 500, 502, 503, 504)
UNKNOWN = (404, 410)
REFUSED = (401, 403)
LARGEST_ANSWER_BYTES = 65_536
CHUNK_BYTES = 16_384
BROKEN = (requests.RequestException, HTTPError, OSError)


@dataclass(frozen=True)
class Answer:
    """What is known of a key: the declared values by their path, or None where the service knows no such key."""

    fields: dict[str, str | None] | None


@dataclass(frozen=True)
class Failure:
    """Why a key has no answer, without the key and without the address."""

    reason: str
    is_down: bool = True  # false: the service answers, but not for this key
    for_all: bool = False
    wait_seconds: float | None = None
    is_retried: bool = False


NOT_ASKED = Failure("not asked any more")


class _Bearer(AuthBase):
    """Sets the header itself, or a `.netrc` of the user's would replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Asker:
    """Asks a service from several threads at once; used as a context, which closes its connections."""

    def __init__(self, spec: HttpLookup, service: Service) -> None:
        self._spec, self._service = spec, service
        self._pace, self._breaker = Pace(spec.per_second), Breaker(spec.give_up_after)

    def __enter__(self) -> Self:
        session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=self._spec.concurrency)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.auth = _Bearer(self._service.token)
        session.headers["Accept-Encoding"] = "identity"  # a small answer cannot become a large one
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session = session
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def ask(self, values: Mapping[str, str]) -> Answer | Failure:
        """The answer for one key, after as many tries as the connection allows."""
        path = address(self._spec.path, values)
        if path is None:
            return Answer(None)
        connection, tried = self._service.connection, 0
        while not self._breaker.is_open:
            self._pace.wait()
            found = self._try(connection.base_url.rstrip("/") + path)
            if isinstance(found, Answer):
                self._breaker.succeeded()
                return found
            if found.wait_seconds is not None:
                self._pace.hold(found.wait_seconds)
            if not found.is_retried or tried == connection.retries:
                if found.is_down:
                    self._breaker.failed(for_all=found.for_all)
                return found
            if found.wait_seconds is None:
                pause = min(connection.backoff_seconds * 2**tried, LONGEST_WAIT_SECONDS)
                time.sleep(pause * random.uniform(0.5, 1))
            tried += 1
        return NOT_ASKED

    def _try(self, url: str) -> Answer | Failure:
        timeout = self._spec.timeout_seconds
        deadline = time.monotonic() + timeout
        try:
            with self._session.get(url, timeout=timeout, allow_redirects=False, stream=True) as response:
                if response.status_code != requests.codes.ok:
                    return _of_status(response)
                body = _read(response, deadline)
                if body is None:
                    return Failure(f"an answer of more than {LARGEST_ANSWER_BYTES:,} bytes", is_down=False)
        except BROKEN as error:
            return Failure(f"no answer ({type(error).__name__})", is_retried=True)
        try:
            return Answer(read_fields(body, self._spec.paths))
        except ValueError:
            kind = response.headers.get("Content-Type", "unknown type").partition(";")[0]
            return Failure(f"no JSON object but {kind}")


def _of_status(response: requests.Response) -> Answer | Failure:
    status = response.status_code
    if status in UNKNOWN:
        with suppress(*BROKEN):
            _read(response, time.monotonic() + 1)  # so that the connection can be used again
        return Answer(None)
    if status in REFUSED:
        return Failure(f"the token was refused (status {status}); renew the secret", for_all=True)
    if status in RETRIED:
        wait = retry_after(response.headers.get("Retry-After"))
        return Failure(f"status {status}", wait_seconds=wait, is_retried=True)
    return Failure(f"status {status}", is_down=not 400 <= status < 500)


def _read(response: requests.Response, deadline: float) -> bytes | None:
    """The body; None when it is too large. Raises OSError when it takes until `deadline`, however many pauses."""
    body = bytearray()
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError("the answer takes too long")
    return bytes(body)
