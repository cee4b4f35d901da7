"""When to stop asking a service: shared by all threads that ask it."""

import threading


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
