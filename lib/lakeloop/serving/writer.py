"""What a server records: entries are taken at once and committed together every second, and at the end."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import pyarrow as pa
from deltalake.exceptions import DeltaError

from lakeloop.core import logs
from lakeloop.serving.answers import RefusedError

log = logs.get(__name__)

MOST_WAITING = 100_000
MOST_AT_ONCE = 20_000
FLUSH_SECONDS = 1.0
STOP_TRIES = 5
Entry = TypeVar("Entry")


class Writer(Generic[Entry]):
    """A thread that appends what waits. Entries that could not be written wait for the next try.

    `append` commits all of its entries or none. A process that is killed loses the entries of its last second.
    """

    def __init__(self, name: str, append: Callable[[Sequence[Entry]], None], most: int | None = None) -> None:
        self.name, self.failing = name, False
        self._append, self._most = append, most or MOST_WAITING
        self._waiting: deque[Entry] = deque()
        self._taken = 0
        self._wanted, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end. What cannot be written then is lost, and said in the log."""
        self._ended = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        tries = 0
        while self._waiting and tries < STOP_TRIES:
            if not self._flush():
                tries += 1
                time.sleep(FLUSH_SECONDS)
        if self._waiting:
            log.error("entries lost", what=self.name, entries=len(self._waiting))

    @property
    def waiting(self) -> int:
        """Entries that are not committed yet."""
        return len(self._waiting) + self._taken

    def require_room(self, entries: int = 1) -> None:
        """Raise RefusedError when so much waits that something would go unrecorded."""
        if self.waiting + entries > self._most:
            raise RefusedError(
                503, f"{self.name} cannot be recorded at present, so none is answered; try again later", 1
            )

    def add(self, entry: Entry) -> None:
        """Take an entry."""
        self._waiting.append(entry)
        if len(self._waiting) == MOST_AT_ONCE:
            self._wanted.set()

    def _run(self) -> None:
        while not self._ended:
            self._wanted.wait(FLUSH_SECONDS)
            self._wanted.clear()
            self._flush()

    def _flush(self) -> bool:
        self._taken = min(len(self._waiting), MOST_AT_ONCE)
        entries = [self._waiting.popleft() for _ in range(self._taken)]
        if not entries:
            return True
        try:
            self._append(entries)
            self.failing = False
        except (DeltaError, pa.ArrowException, OSError) as error:
            self.failing = True
            log.error("not written", what=self.name, entries=len(entries), error=str(error))
            self._waiting.extendleft(reversed(entries))
        self._taken = 0
        return not self.failing
