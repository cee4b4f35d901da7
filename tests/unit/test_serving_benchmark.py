"""The client of the benchmark of serving, and the judge of the drill; no JVM."""

import datetime as dt
import json
import socket
import threading

import pytest

from benchmarks.serving_client import HOST, Connection, percentiles, request_text
from drills.serving_callers import Answer
from drills.serving_load import not_due
from lakeloop.lake.champions import Switch

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def test_percentiles_are_times_that_were_measured() -> None:
    assert percentiles([at / 1e3 for at in range(1, 201)]) == pytest.approx(
        {"p50_ms": 100, "p95_ms": 190, "p99_ms": 198}
    )
    assert percentiles([0.005]) == pytest.approx({"p50_ms": 5, "p95_ms": 5, "p99_ms": 5})


def test_a_request_says_how_long_its_body_is_in_bytes() -> None:
    text = request_text("POST", "/models/churn/score", {"row": {"city": "Zürich", "age": None}}, {"X-API-Key": "k"})
    head, body = text.split("\r\n\r\n")
    assert head.startswith("POST /models/churn/score HTTP/1.1\r\n")
    assert "X-API-Key: k" in head
    assert f"Content-Length: {len(body.encode())}" in head
    assert json.loads(body) == {"row": {"city": "Zürich", "age": None}}


def test_reads_answers_that_come_in_pieces_one_after_the_other() -> None:
    pieces = [
        b"HTTP/1.1 200 OK\r\nContent-",
        b"Length: 5\r\n\r\nhe",
        b"llo",
        b"HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n",
    ]
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, pieces))
        thread.start()
        with Connection(listener.getsockname()[1]) as connection:
            assert connection.ask(b"one")[::2] == (200, b"hello")
            assert connection.ask(b"two")[::2] == (429, b"")
            with pytest.raises(ConnectionResetError):
                connection.ask(b"three")
        thread.join()


def test_an_answer_is_judged_by_the_ledger_at_its_own_time() -> None:
    ledger = [_switch(1, NOON), _switch(2, NOON + dt.timedelta(seconds=10))]

    def answered(version: int, second: float) -> Answer:
        return Answer(0, 0, 200, version, (NOON + dt.timedelta(seconds=second)).isoformat(), "a")

    right = [answered(1, 0), answered(1, 9.999999), answered(2, 10), Answer(0, 0, 503)]
    wrong = [answered(2, 9.999999), answered(1, 10), answered(1, -1)]
    assert not_due(ledger, "churn", [*right, *wrong]) == wrong


def _answer(listener: socket.socket, pieces: list[bytes]) -> None:
    connection, _ = listener.accept()
    with connection:
        for request in (b"one", b"two", b"three"):
            assert connection.recv(100) == request
            for piece in {b"one": pieces[:3], b"two": pieces[3:], b"three": []}[request]:
                connection.sendall(piece)


def _switch(version: int, effective_at: dt.datetime) -> Switch:
    return Switch("churn", "champion", "promoted", version, "", "", "", effective_at=effective_at)
