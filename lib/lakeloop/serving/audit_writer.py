"""The audit behind a server: entries are taken at once and committed together every second, and at the end."""

import threading
from dataclasses import dataclass, field

from deltalake.exceptions import DeltaError

from lakeloop.core import logs
from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.serving.answers import RefusedError

log = logs.get(__name__)

MOST_WAITING = 100_000
FLUSH_SECONDS = 1.0


@dataclass
class AuditWriter:
    """A thread that appends what waits. Entries that could not be written wait for the next try.

    A process that is killed loses the entries of its last second.
    """

    root: str
    _waiting: list[AuditEntry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    failing: bool = False

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._flush()

    def require_room(self) -> None:
        """Raise RefusedError when so much waits that an access would go unrecorded."""
        if len(self._waiting) >= MOST_WAITING:
            raise RefusedError(503, "accesses cannot be recorded at present, so none is answered; try again later")

    def add(self, entry: AuditEntry) -> None:
        """Take an entry."""
        with self._lock:
            self._waiting.append(entry)

    def _run(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            entries, self._waiting = self._waiting, []
        if not entries:
            return
        try:
            append_audit(self.root, entries)
            self.failing = False
        except (DeltaError, OSError) as error:
            self.failing = True
            log.error("audit not written", entries=len(entries), error=str(error))
            with self._lock:
                self._waiting = entries + self._waiting
