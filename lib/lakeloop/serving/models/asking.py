"""The two questions to models, in plain ASGI: who asks and how often is looked at first, the body only then.

No framework stands between: an answer costs microseconds, and a refusal less.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyio import CapacityLimiter, to_thread
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeloop.core import logs
from lakeloop.serving.access_spec import Keys, KeySpec
from lakeloop.serving.answers import RefusedError
from lakeloop.serving.models.asked import asked_of
from lakeloop.serving.models.rows import MOST_BODY_BYTES, read_body
from lakeloop.serving.models.service import Answered, ModelService
from lakeloop.serving.rate import STRANGERS, STRANGERS_PER_MINUTE, Buckets, stranger

log = logs.get(__name__)

MOST_IN_FLIGHT, MOST_OF_A_CALLER = 256, 64
BODY_SECONDS = 10
AT_ONCE = 50  # rows that are answered between two other requests; more go to a thread
THREADS = 4
MOST_UNREAD_BYTES = 64 << 10
OPEN = ("/healthz", "/readyz", "/metrics")
ROUTES = ("score", "explain")
HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
PARTS = 4  # of /models/<name>/<action>


@dataclass(frozen=True)
class Asker:
    """Who asks: the name of a key or an address, how often it may, and which models it reaches (None: all)."""

    name: str
    per_minute: int
    spec: KeySpec | None = None

    def reaches(self, model: str) -> bool:
        """Whether it may ask a model."""
        return self.spec is None or self.spec.asks(model)


@dataclass
class Asking:
    """The questions, and for all else the application behind. `keys` None: nobody needs one."""

    app: ASGIApp
    service: ModelService
    keys: Keys | None
    per_minute: int
    buckets: Buckets = field(default_factory=Buckets)
    _in_flight: int = 0
    _of_callers: Counter[str] = field(default_factory=Counter)
    _threads: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the life of the application."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path in OPEN:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        parts = path.split("/")
        route = parts[3] if len(parts) == PARTS and parts[1] == "models" and parts[3] in ROUTES else "other"
        headers = dict(scope["headers"])
        status, name = 500, None
        try:
            asker = self._asker(scope, headers)
            name = asker.name
            self._require_room(name)
            self._in_flight += 1
            self._of_callers[name] += 1
            try:
                if route == "other":
                    scope["asker"] = asker
                    status = await self._behind(scope, receive, send)
                    return
                _require_post(scope)
                answered = await self._answered(parts[2], route, asker, headers, receive, began)
                status = 200
                await _send(send, 200, answered.body)
                for shadowed in answered.shadowed:
                    self.service.shadow.add(shadowed)
            finally:
                self._in_flight -= 1
                self._of_callers[name] -= 1
                if not self._of_callers[name]:
                    del self._of_callers[name]
        except RefusedError as error:
            status = error.status
            await _refuse(send, error, headers)
        except Exception as error:  # a defect is told by a reference, never by a stack trace
            if status == 200:
                raise
            reference = secrets.token_hex(4)
            log.error("request failed", reference=reference, path=path, exc_info=error)
            said = f"the request met a defect of the server; its log has the reference {reference}"
            await _refuse(send, RefusedError(500, said), headers)
        finally:
            self.service.measures.answers[route, status] += 1
            if route != "other" and status == 200:
                self.service.measures.seconds[route].add(time.perf_counter() - began)

    async def _answered(
        self, model: str, route: str, asker: Asker, headers: dict[bytes, bytes], receive: Receive, began: float
    ) -> Answered:
        service = self.service
        line = service.line(model, asker.reaches)
        service.writer.require_room()
        body = read_body(await _body(headers, receive))
        moment = time.time_ns() // 1000 / 1e6  # chooses the version, once; in whole microseconds, as the log has it
        roles = service.roles(line, moment)
        champion = roles.champion
        assert champion is not None  # `roles` has seen to it
        asked = asked_of(body, roles.fields, many=route == "score")
        rows = service.found_at_once(asked, champion.card)
        if rows is None:
            rows = await self._in_thread(service.found, asked, champion.card, list(roles.fields.columns))
        if route == "explain":
            return Answered(await self._in_thread(service.reasons, line, roles, rows[0], asked.keys[0], moment), ())
        if not asked.is_many:
            return service.one(line, roles, rows[0], asked.keys[0], moment, began, asker.name)
        service.writer.require_room(len(rows))
        if len(rows) <= AT_ONCE:
            return service.many(line, roles, rows, asked.keys, moment, began, asker.name)
        made: Answered = await self._in_thread(service.many, line, roles, rows, asked.keys, moment, began, asker.name)
        return made

    async def _in_thread(self, function: Callable[..., Any], *given: Any) -> Any:
        if self._threads is None:
            self._threads = CapacityLimiter(THREADS)
        return await to_thread.run_sync(function, *given, limiter=self._threads)

    async def _behind(self, scope: Scope, receive: Receive, send: Send) -> int:
        """The application's answer, and its status."""
        statuses = []

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                message["headers"] = [*message["headers"], *HEADERS[1:]]
            await send(message)

        await self.app(scope, receive, noted)
        return statuses[0] if statuses else 500

    def _asker(self, scope: Scope, headers: dict[bytes, bytes]) -> Asker:
        """Who asks, if it may now. Raises RefusedError."""
        if self.keys is None:
            client = scope.get("client")
            asker = Asker(client[0] if client else "", self.per_minute)
        else:
            presented = _presented(headers)
            caller = self.keys.caller(presented) if presented else None
            if caller is None:
                self.buckets.require(STRANGERS, STRANGERS_PER_MINUTE)
                raise stranger(presented)
            asker = Asker(caller.name, caller.spec.requests_per_minute, caller.spec)
        self.buckets.require(asker.name, asker.per_minute)
        return asker

    def _require_room(self, name: str) -> None:
        if self._in_flight >= MOST_IN_FLIGHT or self._of_callers[name] >= MOST_OF_A_CALLER:
            raise RefusedError(
                429, f"{MOST_OF_A_CALLER} requests of a caller are answered at a time, {MOST_IN_FLIGHT} of all", 1
            )


def _presented(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    key = token.strip() if scheme.lower() == b"bearer" and token.strip() else headers.get(b"x-api-key")
    return key.decode("latin-1") if key else None


def _require_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise RefusedError(405, f"{scope['method']} is not answered here; send POST")


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The body, which is JSON and not too large. Raises RefusedError."""
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise RefusedError(415, "a body is JSON and says so: send the header `Content-Type: application/json`")
    if b"content-encoding" in headers:
        raise RefusedError(415, "a body comes as it is: leave Content-Encoding out")
    length = headers.get(b"content-length")
    if length is None and b"transfer-encoding" not in headers:
        raise RefusedError(411, "a body comes with its Content-Length, or in chunks")
    if length is not None and not length.isdigit():
        raise RefusedError(400, "the Content-Length is no number")
    if length is not None and int(length) > MOST_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _whole(receive)
    except TimeoutError as error:
        raise RefusedError(408, f"the body did not come within {BODY_SECONDS} seconds") from error


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the body ended before its Content-Length")
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return part if not parts else b"".join([*parts, part])
        parts.append(part)


def _too_large() -> RefusedError:
    return RefusedError(413, f"a body has {MOST_BODY_BYTES:,} bytes at most; send fewer rows at a time")


async def _send(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    given = [*HEADERS, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, error: RefusedError, headers: dict[bytes, bytes]) -> None:
    more = []
    if error.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    if error.retry_after is not None:
        more.append((b"retry-after", b"%d" % error.retry_after))
    # What is left of a large body is not read; a small one is cheaper to read than a new connection.
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers or not length.isdigit() or int(length) > MOST_UNREAD_BYTES:
        more.append((b"connection", b"close"))
    await _send(send, error.status, to_json({"error": error.sentence}), more)
