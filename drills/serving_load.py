"""Callers of a service in a process of their own, and what is said of their answers."""

import datetime as dt
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving_client import percentiles, request_text
from benchmarks.serving_lake import environment, rows_to_ask
from drills.runs import ROOT, wait_until
from drills.serving_callers import SECONDS, Answer
from lakeloop.lake.champions import Switch, holder

ROWS = 50
FIRST = 20  # answers that say nothing of the time: callers connect, functions are met for the first time


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
    """Callers of a model, who together ask so often, from the time that the first was answered."""
    headers = {"X-API-Key": key} if key else {}
    asked = [request_text("POST", f"/models/{model}/score", {"row": row}, headers) for row in rows_to_ask(ROWS)]
    requests = file.with_suffix(".requests.json")
    requests.write_text(json.dumps(asked))
    words = (str(requests), str(file), str(port), str(callers), str(per_second))
    process = subprocess.Popen([sys.executable, "-m", "drills.serving_callers", *words], cwd=ROOT, env=environment())
    load = Load(file, process)
    try:
        wait_until(lambda: bool(load.answers()), SECONDS, "nobody was answered")
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
    """Of the answers by 200, without the very first."""
    return percentiles([answer.seconds for answer in answers[FIRST:] if answer.status == 200])["p99_ms"]


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
