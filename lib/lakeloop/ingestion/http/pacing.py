"""How fast a service is asked, and how long it is left alone: shared by all threads that ask it."""

import datetime as dt
import random
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from lakeloop.core.run_record import now


class Pace:
    """Spaces requests evenly, `per_second` of them over all threads; None: as fast as answers come."""

    def __init__(
        self,
        per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval, self._clock, self._sleep = 1 / per_second if per_second else 0.0, clock, sleep
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


def back_off(first_seconds: float, tried: int, longest_seconds: float) -> float:
    """A pause drawn evenly from nothing to the back-off (full jitter), so that many who failed do not come at once."""
    return random.uniform(0, min(first_seconds * 2**tried, longest_seconds))


def retry_after(header: str | None, date: str | None = None) -> float | None:
    """Seconds to wait as a `Retry-After` says, a number or a date; None where it says nothing.

    A date is held against the server's own `Date` where the answer has one, so that clocks may differ.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    if (moment := _moment(header)) is None:
        return None
    present = _moment(date) if date else None
    return max((moment - (present or now())).total_seconds(), 0.0)


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
