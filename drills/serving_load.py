"""Callers who ask a service one after the other at a rate, and write down every answer: a process of its own.

`python -m drills.serving_load OUT PORT MODEL CALLERS PER_SECOND [KEY]` goes on until SIGTERM. A line of JSON for each
request: when it was sent, how long it took, the status (0: none), and of an answer the version, the time and the id.
"""

import datetime as dt
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from benchmarks.serving_client import Connection, percentiles, request_text
from benchmarks.serving_lake import environment, rows_to_ask
from drills.runs import ROOT
from lakeloop.lake.champions import Switch, holder

ROWS = 50
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


class Load:
    """A running process of callers."""

    def __init__(self, file: Path, process: "subprocess.Popen[bytes]") -> None:
        self.file, self.process = file, process

    def answers(self) -> list[Answer]:
        """All so far."""
        text = self.file.read_text() if self.file.exists() else ""
        return [Answer(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def end(self) -> list[Answer]:
        """Let every caller get its last answer, and give all of them."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=2 * SECONDS):
            raise SystemExit(f"the callers ended with {self.process.returncode}")
        return self.answers()


@contextmanager
def asking(
    file: Path, port: int, model: str, *, callers: int = 4, per_second: float = 50, key: str = ""
) -> Iterator[Load]:
    """Callers of a model, who together ask so often."""
    words = (str(file), str(port), model, str(callers), str(per_second), *([key] if key else []))
    process = subprocess.Popen([sys.executable, "-m", "drills.serving_load", *words], cwd=ROOT, env=environment())
    load = Load(file, process)
    try:
        yield load
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def asked_for(seconds: float, file: Path, port: int, model: str, **how: Any) -> list[Answer]:
    """The answers of so many seconds."""
    with asking(file, port, model, **how) as load:
        time.sleep(seconds)
        return load.end()


def p99_ms(answers: Sequence[Answer]) -> float:
    """Of the answers by 200, without the first ones of each caller, who connects and warms up."""
    return percentiles([answer.seconds for answer in answers[20:] if answer.status == 200])["p99_ms"]


def all_answered(answers: Sequence[Answer]) -> str:
    """How many there are, where all of them are answers; raises SystemExit where one is not."""
    if failed := [answer for answer in answers if answer.status != 200]:
        raise SystemExit(f"{len(failed)} of {len(answers)} requests failed, such as {failed[:3]}")
    return f"{len(answers):,} answers, 0 failed"


def not_due(ledger: Iterable[Switch], model: str, answers: Sequence[Answer]) -> list[Answer]:
    """Answers by another version than the ledger has for the time that the answer says."""
    listed, wrong = list(ledger), []
    for answer in answers:
        if answer.at is not None:
            held = holder(listed, model, "champion", dt.datetime.fromisoformat(answer.at))
            if held is None or held.version != answer.version:
                wrong.append(answer)
    return wrong


def main(file: Path, port: int, model: str, callers: int, per_second: float, key: str = "") -> None:
    """Ask until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    headers = {"X-API-Key": key} if key else {}
    requests = [
        request_text("POST", f"/models/{model}/score", {"row": row}, headers).encode() for row in rows_to_ask(ROWS)
    ]
    with file.open("a") as out:
        lock = threading.Lock()
        pause = callers / per_second
        threads = [
            threading.Thread(target=_call, args=(port, requests[at:] + requests[:at], pause, ended, out, lock))
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
            out.write(json.dumps(found.__dict__) + "\n")
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
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), *sys.argv[6:])
