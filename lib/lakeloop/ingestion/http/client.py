"""Asking one API: each request is signed, paced, tried again, bounded, and kept to where the connection leads."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import requests

from lakeloop.core.rates import per_second
from lakeloop.ingestion.http.answers import Failure, Reply
from lakeloop.ingestion.http.guard import AddressRefusedError, Guard, GuardedAdapter
from lakeloop.ingestion.http.login import Login
from lakeloop.ingestion.http.outcomes import BROKEN, REDIRECTS, broken, found_in
from lakeloop.ingestion.http.pacing import Pace, back_off
from lakeloop.ingestion.http.service import Service

TOKEN_BYTES = 65_536
Query = Sequence[tuple[str, str]]


class Client:
    """Asks a service, from several threads at once; used as a context, which closes its connections.

    `share` is the part of the rate limit that belongs to this client, where others ask the same service.
    """

    def __init__(self, service: Service, *, threads: int = 1, share: float = 1.0) -> None:
        self.service, self._declared, self._threads = service, service.connection, threads
        rate = self._declared.rate_limit
        self._pace = Pace(per_second(rate) * share if rate else None)
        self._login = Login(service, self._ask_for_token)

    def __enter__(self) -> Self:
        oauth2 = self._declared.auth.oauth2
        self._guard = Guard.of(self._declared, *([oauth2.token_url] if oauth2 else []))
        session = requests.Session()
        session.trust_env = False  # a `.netrc` would replace the credentials, and a proxy would go around the guard
        adapter = GuardedAdapter(self._guard, self._threads)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.verify = self._declared.ca_file or True
        session.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "lakeloop"})
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session = session
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def address(self, path: str) -> str:
        """A path below the connection's address."""
        return self._declared.base_url.rstrip("/") + path

    def refusal(self, url: str) -> str | None:
        """Why a link is not followed; None: it may be."""
        return self._guard.refusal(url)

    def masked(self, text: str) -> str:
        """A text without the secret and the tokens that were got by it."""
        return self.service.masked(text, *self._login.tokens)

    def get(
        self,
        url: str,
        query: Query = (),
        *,
        most_bytes: int,
        redirects: int = 0,
        seconds: float | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Reply | Failure:
        """The answer to a GET after as many tries as the connection allows, or why there is none; raises nothing.

        `seconds` bound one try from its start to its last byte. `is_wanted` is asked before each further try.
        """
        request = requests.Request("GET", url, params=list(query))
        return self._tried(lambda: self._renewed(request, most_bytes, redirects, seconds), is_wanted)

    def _tried(self, once: Callable[[], Reply | Failure], is_wanted: Callable[[], bool]) -> Reply | Failure:
        longest, tried = self._declared.longest_wait.total_seconds(), 0
        while True:
            self._pace.wait()
            found = once()
            if isinstance(found, Reply) or not found.is_retried or tried == self._declared.retries:
                return found
            if found.wait_seconds is not None:
                self._pace.hold(found.wait_seconds)
            else:
                time.sleep(back_off(self._declared.backoff_seconds, tried, longest))
            if not is_wanted():
                return found
            tried += 1

    def _renewed(
        self, request: requests.Request, most_bytes: int, redirects: int, seconds: float | None
    ) -> Reply | Failure:
        """One try, with a second one by a new token where the token was refused."""
        found, refused = self._followed(request, most_bytes, redirects, seconds)
        if refused is not None and self._login.renew(refused):
            found, _ = self._followed(request, most_bytes, redirects, seconds)
        return found

    def _followed(
        self, request: requests.Request, most_bytes: int, redirects: int, seconds: float | None
    ) -> tuple[Reply | Failure, requests.PreparedRequest | None]:
        """What stands behind all redirects, and the signed request if it was refused with status 401.

        A redirect to an allowed host gets no credentials: it is the API that says where it leads.
        """
        deadline = time.monotonic() + (seconds or self._declared.answer_timeout_seconds)
        is_signed = True
        for _ in range(redirects + 1):
            try:
                prepared = self._session.prepare_request(request)
            except (requests.RequestException, ValueError) as error:
                return Failure("link", f"its address is not usable ({type(error).__name__})"), None
            if refusal := self.refusal(str(prepared.url)):  # as it is sent, whatever it was read as before
                return Failure("link", f"its address leads {refusal}"), None
            if is_signed and (failure := self._login.sign(prepared)) is not None:
                return failure, None
            found = self._sent(prepared, most_bytes, deadline, seconds)
            if not isinstance(found, str):
                was_refused = isinstance(found, Failure) and found.status == requests.codes.unauthorized and is_signed
                return found, prepared if was_refused else None
            if not redirects:
                break
            target = self.service.without_key(urljoin(str(prepared.url), found))
            if refusal := self.refusal(target):
                return Failure("link", f"a redirect leads {refusal}"), None
            request, is_signed = requests.Request("GET", target), self._guard.is_home(target)
        said = f"more than {redirects} redirects" if redirects else "a redirect, which is not followed"
        return Failure("link", f"{said}; check the path"), None

    def _sent(
        self, request: requests.PreparedRequest, most_bytes: int, deadline: float, seconds: float | None
    ) -> Reply | Failure | str:
        """What one request comes to; of a redirect the address that it names."""
        declared = self._declared
        timeouts = (declared.connect_timeout_seconds, declared.read_timeout_seconds)
        if seconds is not None:
            timeouts = (min(timeouts[0], seconds), min(timeouts[1], seconds))
        try:
            with self._session.send(request, timeout=timeouts, allow_redirects=False, stream=True) as response:
                if response.status_code in REDIRECTS and "Location" in response.headers:
                    return response.headers["Location"]
                url = self.service.without_key(str(request.url))
                return found_in(response, url, most_bytes, deadline, declared.longest_wait)
        except AddressRefusedError as error:
            return Failure("link", f"{error}; it was not asked", for_all=True)
        except BROKEN as error:
            return broken(error)

    def _ask_for_token(self, request: requests.Request) -> Reply | Failure:
        def once() -> Reply | Failure:
            deadline = time.monotonic() + self._declared.answer_timeout_seconds
            found = self._sent(self._session.prepare_request(request), TOKEN_BYTES, deadline, None)
            return Failure("link", "a redirect, which is not followed") if isinstance(found, str) else found

        found = self._tried(once, lambda: True)
        if isinstance(found, Reply):
            return found
        said = f"the token_url gave no token: {found.reason}"
        if found.why in ("refused", "status"):
            said = f"the token_url refused client_id or client_secret (status {found.status}); renew the secret"
        return replace(found, why="refused", reason=said, status=0, for_all=True)
