"""Who may ask how often: a bucket per key that fills evenly and holds what a minute allows; strangers share one."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lakeloop.serving.answers import RefusedError

STRANGERS, STRANGERS_PER_MINUTE = "", 60  # keys that are none share a bucket; a name of a key is never empty


@dataclass
class Buckets:
    """Thread-safe; `clock` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seconds_to_wait(self, name: str, per_minute: int) -> float:
        """Zero when the request may go on, which then counts; else the seconds until the next one may."""
        with self._lock:
            now = self.clock()
            left, at = self._left.get(name, (float(per_minute), now))
            left = min(float(per_minute), left + (now - at) * per_minute / 60)
            allowed = left >= 1
            self._left[name] = (left - 1 if allowed else left, now)
            return 0.0 if allowed else (1 - left) * 60 / per_minute

    def require(self, name: str, per_minute: int) -> None:
        """Raise RefusedError with the seconds to wait, unless the request may go on, which then counts."""
        if wait := self.seconds_to_wait(name, per_minute):
            seconds = math.ceil(wait)
            raise RefusedError(
                429, f"{per_minute:,} requests a minute are answered; try again in {seconds} seconds", seconds
            )


def stranger(presented: str | None) -> RefusedError:
    """The refusal of a request whose key is none."""
    found = "one that is not known" if presented else "none"
    return RefusedError(401, f"send the key as `Authorization: Bearer …` or `X-API-Key`; this request has {found}")
