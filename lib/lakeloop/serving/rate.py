"""How often a key may ask: a bucket per key that fills evenly and holds what a minute allows."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


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
