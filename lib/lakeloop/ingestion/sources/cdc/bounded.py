"""A connection of psycopg that does not wait for ever: libpq itself knows no bound for an answer."""

import time
from collections.abc import Generator
from typing import Any

import psycopg

Waiting = Generator[Any, Any, Any]  # what psycopg waits by: it yields what for, and is sent whether that came


def bounded_connection(seconds: int) -> type[psycopg.Connection[tuple[Any, ...]]]:
    """The class of connections whose server may be silent for so many seconds while something is asked of it.

    A longer silence is a psycopg.OperationalError, and closes the connection, so that nothing else is waited for.
    """

    class Bounded(psycopg.Connection[tuple[Any, ...]]):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._bounded(gen), *arguments, **options)

        def _bounded(self, gen: Waiting) -> Waiting:
            heard = time.monotonic()
            try:
                state = next(gen)
                while True:
                    ready = yield state
                    if ready:
                        heard = time.monotonic()
                    elif time.monotonic() - heard > seconds:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer for {seconds} s (read_timeout_seconds)")
                    state = gen.send(ready)
            except StopIteration as end:
                return end.value

    return Bounded
