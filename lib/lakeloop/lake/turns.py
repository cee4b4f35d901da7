"""Turns: of the processes of one machine that work on the same pipeline, one at a time brings a batch to its end.

The ledger alone keeps batches apart (whoever plans second is refused); turns let the second one wait instead. A turn is
the lock of a file that the system gives back when its process ends, however it ends. Whoever wants one takes the queue
first and holds it until the turn is free, so that nobody who ends a batch overtakes one who waits. Object stores have
no such locks: there a lake has no turns, and the ledger refuses.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lakeloop.lake.storage_failures import storage_explained

FOLDER = "_turns"
WAITS = "another process brings a batch of it to its end; waiting for the next turn"
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Turns:
    """The turns that one process takes at the pipelines of a lake.

    A watcher that did not get its turn keeps its place in the queue until it comes again, which has to be soon.
    """

    root: str
    _places: dict[str, IO[bytes]] = field(default_factory=dict, repr=False, compare=False)

    @contextmanager
    def taken(self, pipeline: str, told: Callable[[], None]) -> Iterator[None]:
        """Hold the turn inside this block; `told` is called once where somebody else has it, and then it is waited."""
        if "://" in self.root:
            yield
            return
        queue = self._places.pop(pipeline, None) or self._opened(pipeline, "queue")
        turn = self._opened(pipeline, "turn")
        try:
            waits = False
            while not (_locked(queue) and _locked(turn)):
                if not waits:
                    told()
                waits = True
                time.sleep(LOOK_SECONDS)
            queue.close()
            yield
        finally:
            queue.close()
            turn.close()

    @contextmanager
    def tried(self, pipeline: str) -> Iterator[bool]:
        """Hold the turn inside this block if it is free, and say so; if it is not, the place in the queue stays."""
        if "://" in self.root:
            yield True
            return
        queue = self._places.pop(pipeline, None) or self._opened(pipeline, "queue")
        with self._opened(pipeline, "turn") as turn:
            is_first = _locked(queue)
            has_turn = is_first and _locked(turn)
            if is_first and not has_turn:
                self._places[pipeline] = queue
            else:
                queue.close()
            yield has_turn

    def is_queued(self, pipeline: str) -> bool:
        """Whether a place in the queue is kept, and others wait behind it."""
        return pipeline in self._places

    def leave(self, pipeline: str) -> None:
        """Give a place in the queue up, if there is one."""
        if (queue := self._places.pop(pipeline, None)) is not None:
            queue.close()

    def _opened(self, pipeline: str, what: str) -> IO[bytes]:
        folder = Path(self.root.removeprefix("file://")) / FOLDER
        with storage_explained(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            return (folder / f"{pipeline}.{what}").open("ab")


def _locked(file: IO[bytes]) -> bool:
    """Whether this process has the lock of an open file now; it may have had it before."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
