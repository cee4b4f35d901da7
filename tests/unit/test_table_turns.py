"""Writers of one table take turns, and write again where somebody else was first."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError

from lakeloop.core.errors import ConcurrentRunError
from lakeloop.lake import table_turns
from lakeloop.lake.table_turns import TRIES, alone, in_turn, local_folder

PROCESSES, ROUNDS = 4, 200


# Reads and then writes, as Spark looks for a commit and then renames over it.
COUNT_UP = f"""
import pathlib, sys
from lakeloop.lake import table_turns
from lakeloop.lake.table_turns import alone
counter = pathlib.Path(sys.argv[1], "counter")
for _ in range({ROUNDS}):
    with alone(sys.argv[1]):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_processes_that_look_and_then_write_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    environment = os.environ | {"PYTHONPATH": str(Path(table_turns.__file__).parents[2])}
    command = [sys.executable, "-c", COUNT_UP, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment) for _ in range(PROCESSES)]
    assert [process.wait() for process in processes] == [0] * PROCESSES
    assert int((tmp_path / "counter").read_text()) == PROCESSES * ROUNDS


def is_held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_a_table_is_held_to_the_end_of_the_outermost_block(tmp_path: Path) -> None:
    table = tmp_path / "silver/a"  # not there before its first write
    with alone(str(table)):
        with alone(str(table)):
            assert is_held(table)
        assert is_held(table)
    assert not is_held(table)


def test_a_failure_lets_the_table_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone(str(tmp_path)):
        raise KeyError
    assert not is_held(tmp_path)


@pytest.mark.parametrize(
    ("uri", "folder"),
    [("/lake/a b", "/lake/a b"), ("file:///lake/a%20b", "/lake/a b"), ("s3a://lake/a", None), ("abfss://l@a/b", None)],
)
def test_only_a_local_disk_is_locked(uri: str, folder: str | None) -> None:
    assert local_folder(uri) == (None if folder is None else Path(folder))


def test_a_conflict_is_written_again_and_at_last_said(tmp_path: Path) -> None:
    tries = []

    def conflicting(times: int) -> int:
        tries.append(times)
        if len(tries) <= times:
            raise CommitFailedError("somebody else")
        return len(tries)

    assert in_turn(str(tmp_path), lambda: conflicting(TRIES - 1)) == TRIES
    tries.clear()
    with pytest.raises(ConcurrentRunError, match=r"changed the table 5 times .* nothing of this write was committed"):
        in_turn(str(tmp_path), lambda: conflicting(TRIES))
    assert len(tries) == TRIES
