"""Writers of one table, in turn: what was read for a write is still true when it is committed.

Delta lets one of two commits win, and tells the other. On a local disk Spark cannot: it looks whether the commit is
there and then renames over it, and two processes may both find that it is not. So there a table is written by one
process of Lakeloop at a time. An object store refuses the second commit by itself, and the write is done again.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from deltalake.exceptions import CommitFailedError

from lakeloop.core.errors import ConcurrentRunError

TRIES = 5
Result = TypeVar("Result")
_mine: ContextVar[frozenset[str]] = ContextVar("tables that this thread writes", default=frozenset())


def in_turn(uri: str, write: Callable[[], Result]) -> Result:
    """Carry out `write`, which reads the table at `uri` itself and commits once, and give its result.

    It is done again, up to five times, where another writer has changed what it read; then ConcurrentRunError.
    """
    with alone(uri):
        for _ in range(TRIES - 1):
            try:
                return write()
            except _conflicts():
                continue
        try:
            return write()
        except _conflicts() as error:
            raise ConcurrentRunError(
                f"{uri}: other writers changed the table {TRIES} times while it was written; nothing of this write was "
                "committed: let them end, then run again"
            ) from error


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Hold the table at `uri` against other processes and threads; no more than that is done in an object store.

    The lock is on the table's folder itself, and ends with the process.
    """
    folder = local_folder(uri)
    if folder is None or uri in _mine.get():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        held = _mine.set(_mine.get() | {uri})
        try:
            yield
        finally:
            _mine.reset(held)
    finally:
        os.close(descriptor)


def local_folder(uri: str) -> Path | None:
    """The folder of a path or a `file:` URI; None for an object store."""
    scheme, separator, path = uri.partition("://")
    if not separator:
        return Path(uri)
    return Path(unquote(path)) if scheme == "file" else None


def _conflicts() -> tuple[type[Exception], ...]:
    """What says that nothing was committed. A repeated transaction (ConcurrentTransactionException) is none of them."""
    if "delta" not in sys.modules:  # nothing of Spark is raised where it is not imported, which takes half a second
        return (CommitFailedError,)
    from delta import exceptions as spark

    return (
        CommitFailedError, spark.ConcurrentAppendException, spark.ConcurrentDeleteDeleteException,
        spark.ConcurrentDeleteReadException, spark.ConcurrentWriteException, spark.DeltaConcurrentModificationException,
        spark.MetadataChangedException, spark.ProtocolChangedException,
    )  # fmt: skip
