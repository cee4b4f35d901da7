"""Callers who ask a service one after the other at a rate, and write down every answer: a process that starts at once.

`python -m drills.serving_callers REQUESTS OUT PORT CALLERS PER_SECOND` goes on until SIGTERM. REQUESTS has a list of
requests as texts. Each becomes a line of JSON in OUT: when it was sent, how long it took, the status (0: none), and
of an answer the version, the time and the id.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from benchmarks.serving_client import Connection

SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """One request. `at` is the time that the answer says, ISO; None where there was none."""

    sent: float
    seconds: float
    status: int
    version: int | None = None
    at: str | None = None
    identity: str | None = None
    retry_after: str | None = None
    trouble: str = ""


def main(requests: Path, file: Path, port: int, callers: int, per_second: float) -> None:
    """Ask until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    asked = [text.encode() for text in json.loads(requests.read_text())]
    with file.open("a") as out:
        lock = threading.Lock()
        pause = callers / per_second
        threads = [
            threading.Thread(target=_call, args=(port, asked[at:] + asked[:at], pause, ended, out, lock))
            for at in range(callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _call(port: int, requests: Sequence[bytes], pause: float, ended: threading.Event, out: TextIO, lock: Any) -> None:
    connection, due, place = None, time.monotonic(), 0
    while not ended.is_set():
        ended.wait(max(due - time.monotonic(), 0))
        due = max(due + pause, time.monotonic() - pause)  # who was kept waiting does not make up for it
        sent, began = time.time(), time.perf_counter()
        try:
            connection = connection or Connection(port, SECONDS)
            status, head, body = connection.ask(requests[place % len(requests)])
            found = _read(sent, time.perf_counter() - began, status, head, body)
            if b"connection: close" in head:
                connection = _closed(connection)
        except OSError as error:
            found = Answer(sent, time.perf_counter() - began, 0, trouble=f"{type(error).__name__}: {error}")
            connection = _closed(connection)
        place += 1
        with lock:
            out.write(json.dumps(asdict(found)) + "\n")
            out.flush()


def _closed(connection: Connection | None) -> None:
    if connection is not None:
        connection.close()


def _read(sent: float, seconds: float, status: int, head: bytes, body: bytes) -> Answer:
    said: dict[str, Any] = json.loads(body)
    retry = next(
        (line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.startswith(b"retry-after:")), None
    )
    after = retry.decode() if retry is not None else None
    if status != 200:
        return Answer(sent, seconds, status, retry_after=after, trouble=str(said)[:300])
    return Answer(sent, seconds, status, said["version"], said["at"], said["request_id"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
