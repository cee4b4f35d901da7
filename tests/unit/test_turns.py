"""Turns at a pipeline: one process at a time, none overtakes one who waits, and none survives its process."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from lakeloop.lake.turns import Turns

HOLDER = """
import sys, time
from lakeloop.lake.turns import Turns
with Turns(sys.argv[1]).taken("p", lambda: None):
    print("has it", flush=True)
    time.sleep(60)
"""


def has_turn(turns: Turns, pipeline: str = "p") -> bool:
    with turns.tried(pipeline) as is_mine:
        return is_mine


def test_one_has_the_turn_and_other_pipelines_are_not_in_the_way(tmp_path: Path) -> None:
    mine, other = Turns(str(tmp_path)), Turns(str(tmp_path))
    with mine.taken("p", lambda: None):
        assert not has_turn(other)
        assert has_turn(other, "q")
    assert has_turn(other)


def test_whoever_waits_comes_before_who_has_just_ended(tmp_path: Path) -> None:
    backfill, watcher, order, waiting = Turns(str(tmp_path)), Turns(str(tmp_path)), list[str](), threading.Event()

    def take_again() -> None:
        with backfill.taken("p", waiting.set):
            order.append("backfill")

    with backfill.taken("p", lambda: None):
        assert not has_turn(watcher)  # and so it has its place in the queue
    again = threading.Thread(target=take_again)
    again.start()
    assert waiting.wait(30)
    with watcher.tried("p") as is_mine:
        assert is_mine
        order.append("watcher")
    again.join(30)
    assert order == ["watcher", "backfill"]


def test_a_watcher_that_ends_leaves_its_place(tmp_path: Path) -> None:
    backfill, watcher, told = Turns(str(tmp_path)), Turns(str(tmp_path)), list[str]()
    with backfill.taken("p", lambda: None):
        assert not has_turn(watcher)
        assert watcher.is_queued("p")
    watcher.leave("p")
    watcher.leave("q")
    with backfill.taken("p", lambda: told.append("waits")):
        assert told == []


def test_a_killed_process_gives_its_turn_back_and_who_waits_is_told_once(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "has it\n"
            told, is_told = list[str](), threading.Event()

            def tell() -> None:
                told.append("waits")
                is_told.set()

            def wait() -> None:
                with Turns(str(tmp_path)).taken("p", tell):
                    told.append("has it")

            waiter = threading.Thread(target=wait)
            waiter.start()
            assert is_told.wait(30)
            holder.send_signal(signal.SIGKILL)
            waiter.join(30)
        finally:
            holder.kill()
    assert told == ["waits", "has it"]


def test_an_object_store_has_no_turns() -> None:
    turns = Turns("s3://bucket/lake")
    with turns.taken("p", lambda: None):
        assert has_turn(turns)
