"""Work in the order of its dependencies: everything once, nothing too early, no more at a time than allowed."""

import threading
import time
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.verbs.graph import run_graph

NAMES = [f"p{number}" for number in range(7)]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Graphs without circles: a name needs earlier ones only."""
    return {name: draw(st.sets(st.sampled_from(NAMES[:place]))) if place else set() for place, name in enumerate(NAMES)}


@given(graphs(), st.integers(1, 4))
def test_each_work_is_done_once_after_all_that_it_needs(needs: dict[str, set[str]], side_by_side: int) -> None:
    ended: list[str] = []
    at_once, most, lock = 0, 0, threading.Lock()

    def work(name: str) -> str:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            assert needs[name] <= set(ended)
        time.sleep(0.0005)
        with lock:
            at_once -= 1
            ended.append(name)
        return name.upper()

    assert run_graph(needs, work, side_by_side) == {name: name.upper() for name in NAMES}
    assert sorted(ended) == NAMES
    assert most <= side_by_side


def test_independent_work_runs_side_by_side() -> None:
    both_began = threading.Barrier(2, timeout=30)
    assert run_graph({"a": set(), "b": set()}, lambda _: both_began.wait() in (0, 1), 2) == {"a": True, "b": True}


def test_work_that_raises_lets_nothing_more_begin() -> None:
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="a"):
        run_graph({"a": set(), "b": {"a"}}, work)
    assert begun == ["a"]


def test_a_circle_is_refused() -> None:
    with pytest.raises(CycleError):
        run_graph({"a": {"b"}, "b": {"a"}}, str)
