"""What a server records: bounded, tried again, and nothing lost at the end."""

import threading
import time
from collections.abc import Sequence

import pytest

from lakeloop.serving import writer as writing
from lakeloop.serving.answers import RefusedError
from lakeloop.serving.writer import Writer


class Sink:
    def __init__(self) -> None:
        self.rows: list[int] = []
        self.failures = 0
        self.commits = 0

    def __call__(self, entries: Sequence[int]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the store is out of reach")
        self.commits += 1
        self.rows.extend(entries)


def test_what_could_not_be_written_comes_first_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 0.01)
    sink = Sink()
    sink.failures = 3
    writer: Writer[int] = Writer("numbers", sink)
    writer.start()
    for number in range(1000):
        writer.add(number)
    writer.stop()
    assert sink.rows == list(range(1000))
    assert (writer.waiting, writer.failing) == (0, False)


def test_entries_of_many_threads_are_written_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 0.001)
    sink = Sink()
    writer: Writer[int] = Writer("numbers", sink)
    writer.start()

    def add(first: int) -> None:
        for number in range(first, first + 5000):
            writer.add(number)

    threads = [threading.Thread(target=add, args=(first,)) for first in range(0, 20_000, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.stop()
    assert sorted(sink.rows) == list(range(20_000))


def test_many_entries_do_not_wait_for_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 3600.0)
    monkeypatch.setattr(writing, "MOST_AT_ONCE", 10)
    sink = Sink()
    writer: Writer[int] = Writer("numbers", sink)
    writer.start()
    for number in range(10):
        writer.add(number)
    for _ in range(1000):
        if sink.commits:
            break
        time.sleep(0.01)
    assert sink.rows == list(range(10))
    writer.stop()


def test_more_than_the_bound_is_refused_until_there_is_room() -> None:
    sink = Sink()
    writer: Writer[int] = Writer("predictions", sink, most=3)
    writer.add(1)
    writer.require_room(2)
    with pytest.raises(RefusedError, match="predictions cannot be recorded at present") as refused:
        writer.require_room(3)
    assert (refused.value.status, refused.value.retry_after) == (503, 1)
    writer.stop()
    writer.require_room(3)
    assert sink.rows == [1]


def test_the_end_gives_up_on_a_store_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 0.0)
    sink = Sink()
    sink.failures = 100
    writer: Writer[int] = Writer("numbers", sink)
    writer.add(1)
    writer.stop()
    assert (writer.failing, writer.waiting, sink.failures) == (True, 1, 100 - writing.STOP_TRIES)
