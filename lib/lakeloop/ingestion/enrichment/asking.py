"""One service asked for one key at a time, and given up on when it is down. Never raises for a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lakeloop.ingestion.enrichment.answers import address, read_fields
from lakeloop.ingestion.enrichment.breaking import Breaker
from lakeloop.ingestion.enrichment.http_spec import HttpLookup
from lakeloop.ingestion.http.answers import Failure
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.service import Service

UNKNOWN = (404, 410)
LARGEST_ANSWER_BYTES = 65_536


@dataclass(frozen=True)
class Answer:
    """What is known of a key: the declared values by their path, or None where the service knows no such key."""

    fields: dict[str, str | None] | None


NOT_ASKED = Failure("down", "not asked any more")


class Asker:
    """Asks a service from several threads at once; used as a context, which closes its connections."""

    def __init__(self, spec: HttpLookup, service: Service) -> None:
        self._spec, self._breaker = spec, Breaker(spec.give_up_after)
        self._client = Client(service, threads=spec.concurrency)

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def ask(self, values: Mapping[str, str]) -> Answer | Failure:
        """The answer for one key, after as many tries as the connection allows."""
        path = address(self._spec.path, values)
        if path is None:
            return Answer(None)
        if self._breaker.is_open:
            return NOT_ASKED
        found = self._found(path)
        if isinstance(found, Answer):
            self._breaker.succeeded()
        elif not is_of_key(found):
            self._breaker.failed(for_all=found.for_all)
        return found

    def _found(self, path: str) -> Answer | Failure:
        reply = self._client.get(
            self._client.address(path),
            most_bytes=LARGEST_ANSWER_BYTES,
            seconds=self._spec.timeout_seconds,
            is_wanted=lambda: not self._breaker.is_open,
        )
        if isinstance(reply, Failure):
            return Answer(None) if reply.status in UNKNOWN else reply
        try:
            return Answer(read_fields(reply.body, self._spec.paths))
        except ValueError:
            return Failure("status", f"no JSON object but {reply.kind}")


def is_of_key(failure: Failure) -> bool:
    """Whether the service answers, but not for this key: a 4xx of its own, or too much."""
    return failure.why == "large" or (failure.why == "status" and 400 <= failure.status < 500)
