"""How fast a service is asked, and when to stop asking: shared by all threads that ask it."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from lakeloop.core.run_record import now

LONGEST_WAIT_SECONDS = 60.0


class Pace:
    """Spaces requests evenly, `per_second` of them over all threads."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval, self._clock, self._sleep = 1 / per_second, clock, sleep
        self._next = clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            slot = max(self._clock(), self._next)
            self._next = slot + self._interval
        if (pause := slot - self._clock()) > 0:
            self._sleep(pause)

    def hold(self, seconds: float) -> None:
        """Let no request go out for this long, whoever's it is."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


class Breaker:
    """Opens, for good, after `limit` failures without a success between them."""

    def __init__(self, limit: int) -> None:
        self._limit, self._failures = limit, 0
        self._lock = threading.Lock()
        self.is_open = False

    def succeeded(self) -> None:
        """An answer came."""
        with self._lock:
            self._failures = 0

    def failed(self, *, for_all: bool = False) -> None:
        """No answer came; `for_all`: none will come for any key."""
        with self._lock:
            self._failures += 1
            self.is_open = self.is_open or for_all or self._failures >= self._limit


def retry_after(header: str | None) -> float | None:
    """Seconds to wait as a `Retry-After` says, a number or a date, and at most a minute; None where it says nothing."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return min(max((moment - now()).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)
