"""Challengers: asked for the same rows once the answers have gone out, put into the log, and given to nobody."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from lakeloop.core import logs
from lakeloop.core.errors import ScoringError
from lakeloop.lake.predictions import Prediction, likelihood
from lakeloop.serving.models.measures import ModelMeasures
from lakeloop.serving.models.roles import Version
from lakeloop.serving.writer import Writer

log = logs.get(__name__)

MOST_WAITING = 5_000
PAUSE_SECONDS = 0.02
Shadowed = tuple[Version, str, str | None, Mapping[str, Any], str]  # version, request, key, row, caller


class Shadow:
    """A thread that asks challengers. What would wait beyond the bound is dropped, and counted."""

    def __init__(
        self, writer: Writer[Prediction], measures: ModelMeasures, worker: str, most: int = MOST_WAITING
    ) -> None:
        self._writer, self._measures, self._worker, self._most = writer, measures, worker, most
        self._waiting: deque[Shadowed] = deque()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Rows that are still to be asked for."""
        return len(self._waiting)

    def add(self, shadowed: Shadowed) -> None:
        """Have a challenger asked later."""
        if len(self._waiting) >= self._most:
            self._measures.shadow_dropped += 1
        else:
            self._waiting.append(shadowed)

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._run, name="challengers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask for what waits, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._ask()

    def _run(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self._ask()

    def _ask(self) -> None:
        while self._waiting:
            version, request, key, row, caller = self._waiting.popleft()
            at, began = time.time(), time.perf_counter()
            try:
                label, share = version.scorer.score(row)
            except Exception as error:  # whatever a challenger does, the others go on
                self._measures.shadow_failed += 1
                if not isinstance(error, ScoringError):
                    log.error("challenger failed", version=version.number, exc_info=error)
                continue
            took = int((time.perf_counter() - began) * 1e6)
            version.counts.predictions += 1
            self._writer.add(
                Prediction(
                    request,
                    round(at * 1e6),
                    version.switch.model,
                    version.number,
                    "challenger",
                    key,
                    label,
                    likelihood(label, share),
                    row,
                    took,
                    self._worker,
                    caller,
                )
            )
