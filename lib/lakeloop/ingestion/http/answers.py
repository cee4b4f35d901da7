"""What comes of asking: a reply, or why there is none; and the body, read no further than it may be."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import requests

CHUNK_BYTES = 65_536
Why = Literal["refused", "busy", "down", "status", "large", "link"]


@dataclass(frozen=True)
class Reply:
    """An answer, whole and unpacked; of status 204 empty. `url` is where it came from at last, without a key."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    @property
    def kind(self) -> str:
        """What the answer says of its kind, without parameters."""
        return self.headers.get("Content-Type", "unknown type").partition(";")[0]


@dataclass(frozen=True)
class Failure:
    """Why there is no answer, without a secret and without the address; `for_all`: no other question has one either.

    `refused` are credentials, `busy` is a 429 or 5xx, `down` a connection or a time-out, `status` any other one,
    `large` a body, `link` a redirect that is not followed. A status is 0 where none came.
    """

    why: Why
    reason: str
    status: int = 0
    for_all: bool = False
    wait_seconds: float | None = None

    @property
    def is_retried(self) -> bool:
        """Whether trying again may help."""
        return self.why in ("busy", "down") and not self.for_all


class TooLargeError(Exception):
    """A body that is larger than is allowed."""


def read_body(response: requests.Response, most_bytes: int, deadline: float) -> bytes:
    """The body, unpacked piece by piece, so that a small answer cannot become a large one in memory.

    Raises TooLargeError, and OSError when it takes until `deadline`, however many pauses.
    """
    body = bytearray()
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > most_bytes:
            raise TooLargeError
        if time.monotonic() > deadline:
            raise TimeoutError("the answer takes too long")
    return bytes(body)


def parsed_object(body: bytes) -> dict[str, Any] | None:
    """A body that is a JSON object; None for any other."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
