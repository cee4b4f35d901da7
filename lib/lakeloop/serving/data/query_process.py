"""SELECTs of readers in processes of their own: a query that takes all memory or no end takes only itself along."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from lakeloop.core import logs
from lakeloop.core.errors import LakeloopError
from lakeloop.lake.plain_values import column_values, json_value
from lakeloop.lake.select import Reach, select
from lakeloop.serving.answers import RefusedError

log = logs.get(__name__)

MOST_MEMORY = 2 << 30  # beyond what the engine accounts for itself, as a text repeated a billion times
MOST_BYTES = 64 << 20
WAIT_SECONDS = 2  # for a place; whoever waits holds a thread that other requests need
REFUSED = 3


class Answer(NamedTuple):
    """Rows in the order of the columns, and whether there were more than the limit."""

    columns: list[str]
    rows: list[list[Any]]
    was_cut: bool


@dataclass
class QueryProcesses:
    """Answers at most `size` queries at a time, each within `seconds`; a process is kept ready for the next one."""

    root: str
    size: int = 2
    seconds: float = 30
    _ready: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _free: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        self._free = threading.BoundedSemaphore(self.size)

    def start(self) -> None:
        """Have one process ready."""
        self._ready.append(_started())

    def stop(self) -> None:
        """End the processes that wait."""
        while self._ready:
            process = self._ready.pop()
            process.communicate()  # it ends with its input

    def answer(self, sql: str, reach: Reach, limit: int) -> Answer:
        """The first rows of a SELECT. Raises RefusedError with what is wrong with it, or that it took too much."""
        if not self._free.acquire(timeout=WAIT_SECONDS):
            raise RefusedError(503, f"{self.size} queries are being answered already; try again later")
        try:
            asked = {"root": self.root, "sql": sql, "reach": asdict(reach), "limit": limit}
            return self._answer(json.dumps(asked).encode(), limit)
        finally:
            self._free.release()

    def _answer(self, asked: bytes, limit: int) -> Answer:
        process = self._taken()
        try:
            result, said = process.communicate(asked, timeout=self.seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise RefusedError(504, f"the query took longer than {self.seconds:g} seconds; narrow it") from error
        if process.returncode == REFUSED:
            raise RefusedError(400, said.decode())
        if process.returncode != 0:
            log.error("query process failed", returncode=process.returncode, said=said.decode(errors="replace")[-2000:])
            raise RefusedError(400, "the query ended without an answer, most likely for want of memory; narrow it")
        table = pa.ipc.open_stream(result).read_all()
        columns = [[json_value(value) for value in column_values(column)] for column in table.columns]
        rows = [list(row) for row in zip(*columns, strict=True)]
        return Answer(table.schema.names, rows[:limit], len(rows) > limit)

    def _taken(self) -> subprocess.Popen[bytes]:
        with contextlib.suppress(IndexError):
            process = self._ready.pop()
            threading.Thread(target=self.start, daemon=True).start()
            return process
        return _started()


def main(asked: BinaryIO, result: BinaryIO) -> int:
    """Read one question, write the result as an Arrow stream; a refusal goes to standard error."""
    question = asked.read()
    if not question:
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    wanted = json.loads(question)
    try:
        selected = select(wanted["root"], wanted["sql"], Reach(**wanted["reach"]))
        with pa.ipc.new_stream(result, selected.reader.schema) as stream:
            for batch in _small(selected.first(wanted["limit"])):
                stream.write_batch(batch)
    except LakeloopError as error:
        sys.stderr.write(str(error))
        return REFUSED
    return 0


def _small(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    size = 0
    for batch in batches:
        size += batch.nbytes
        if size > MOST_BYTES:
            raise TooLargeError(f"the result has more than {MOST_BYTES >> 20} MiB; take fewer rows or columns")
        yield batch


class TooLargeError(LakeloopError, ValueError):
    """A result that is too large to be given in one answer."""


def _started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "lakeloop.serving.data.query_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
