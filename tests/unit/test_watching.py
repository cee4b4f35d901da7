"""The pace of `lakeloop watch`, by a clock that the test sets."""

import datetime as dt
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from lakeloop import verbs
from lakeloop.verbs import watching

SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("takes", "begins"),
    [([0.25, 0.5, 0.25], [0.0, 1.0, 2.0]), ([2.5, 0.5, 0.5], [0.0, 2.5, 3.5])],
)
def test_the_interval_runs_from_beginning_to_beginning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, takes: list[float], begins: list[float]
) -> None:
    now, began, stop = [0.0], list[float](), Event()

    def run(*_: Any) -> verbs.RunSummary:
        began.append(now[0])
        now[0] += takes[len(began) - 1]
        if len(began) == len(takes):
            stop.set()
        return verbs.RunSummary(())

    def wait(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(stop, "wait", wait)
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(watching, "run", run)
    monkeypatch.setattr(watching, "open_lake", lambda _: SimpleNamespace(root=str(tmp_path)))
    monkeypatch.setattr(watching, "in_order", lambda *_: [SimpleNamespace(pipeline="orders")])
    monkeypatch.setattr(watching, "load_pipeline", lambda *_: SimpleNamespace(trigger=SECOND))
    project: Any = SimpleNamespace(environment="test")
    assert verbs.watch(project, ["orders"], SECOND, stop, lambda *_: None) == len(takes)
    assert began == begins
