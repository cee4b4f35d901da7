"""Signing requests: a token, a key, user and password, or a token that is fetched and expires."""

import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.auth import HTTPBasicAuth

from lakeloop.core.connections.authentication import ClientCredentials
from lakeloop.ingestion.http.answers import Failure, Reply, parsed_object
from lakeloop.ingestion.http.service import Service

EARLY_SECONDS = 30.0  # a token that ends so soon is not begun with
AskForToken = Callable[[requests.Request], Reply | Failure]


class Login:
    """Signs the requests of one connection. Threads share it."""

    def __init__(self, service: Service, ask_for_token: AskForToken) -> None:
        self._service, self._token = service, None
        if (oauth2 := service.connection.auth.oauth2) is not None:
            self._token = _Token(oauth2, service.secret, ask_for_token)

    @property
    def tokens(self) -> tuple[str, ...]:
        """What was fetched, so that it can be masked."""
        return self._token.known if self._token else ()

    def sign(self, request: requests.PreparedRequest) -> Failure | None:
        """Put the credentials into a request; a Failure where a token cannot be had."""
        auth, secret = self._service.connection.auth, self._service.secret
        if auth.bearer is not None:
            request.headers["Authorization"] = f"Bearer {secret}"
        elif auth.basic is not None:
            HTTPBasicAuth(auth.basic.user.encode(), secret.encode())(request)
        elif auth.api_key is not None and auth.api_key.header is not None:
            request.headers[auth.api_key.header] = secret
        elif auth.api_key is not None and auth.api_key.query is not None:
            request.prepare_url(request.url, {auth.api_key.query: secret})
        elif self._token is not None:
            token = self._token.value()
            if isinstance(token, Failure):
                return token
            request.headers["Authorization"] = f"Bearer {token}"
        return None

    def renew(self, request: requests.PreparedRequest) -> bool:
        """Forget the token that a refused request had; False where there is nothing to be fetched anew."""
        if self._token is None:
            return False
        self._token.forget(str(request.headers.get("Authorization", "")).removeprefix("Bearer "))
        return True


class _Token:
    """A token of OAuth 2, fetched when it is first needed, when it is about to end, and when it was forgotten."""

    def __init__(self, declared: ClientCredentials, secret: str, ask: AskForToken) -> None:
        self._declared, self._secret, self._ask = declared, secret, ask
        self._lock, self._value, self._ends = threading.Lock(), "", 0.0
        self.known: tuple[str, ...] = ()

    def value(self) -> str | Failure:
        with self._lock:
            if self._value and time.monotonic() < self._ends:
                return self._value
            asked_at = time.monotonic()
            found = self._fetched()
            if isinstance(found, Failure):
                return found
            token, lasts = found
            # One that lasts less than twice the margin is used for half of its time.
            self._ends = asked_at + max(lasts - EARLY_SECONDS, lasts / 2)
            self._value, self.known = token, (*self.known[-3:], token)
            return token

    def forget(self, value: str) -> None:
        with self._lock:
            if value == self._value:
                self._value = ""

    def _fetched(self) -> tuple[str, float] | Failure:
        declared = self._declared
        form: dict[str, str] = {"grant_type": "client_credentials", **declared.parameters}
        if declared.scope is not None:
            form["scope"] = declared.scope
        auth = None
        if declared.send == "header":
            auth = HTTPBasicAuth(declared.client_id.encode(), self._secret.encode())
        else:
            form |= {"client_id": declared.client_id, "client_secret": self._secret}
        headers = {"Accept": "application/json"}
        reply = self._ask(requests.Request("POST", declared.token_url, headers, data=form, auth=auth))
        if isinstance(reply, Failure):
            return reply
        answer = parsed_object(reply.body)
        token = answer.get("access_token") if answer is not None else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            return Failure("refused", "the token_url gave no access_token; check it", for_all=True)
        assert answer is not None
        return token, _seconds(answer.get("expires_in"))


def _seconds(expires_in: Any) -> float:
    """How long a token lasts; where it is not said, until it is refused."""
    try:
        return max(float(expires_in), 0.0)
    except (TypeError, ValueError):
        return float("inf")
