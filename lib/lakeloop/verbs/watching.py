"""Run pipelines again and again, each at its own interval, in one Spark session."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from threading import Event

from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.pipeline_turns import Turns
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.pipelines import RunSummary, in_order, run
from lakeloop.verbs.progress import Progress, silent

QUEUED = dt.timedelta(seconds=2)  # others wait behind it
Told = Callable[[RunContext, RunSummary], None]


def watch(
    project: Project, names: Sequence[str], every: dt.timedelta, stop: Event, told: Told, progress: Progress = silent
) -> int:
    """Run pipelines (none named: all) until `stop` is set, and give the number of passes.

    A pipeline runs at the interval that its `trigger` declares, else `every` so often, from the beginning of a pass to
    that of the next, or at once where a pass took longer; one that failed is tried again at its next turn. `told` hears
    of each pass in which something happened. What is being run when `stop` is set is brought to its end. Raises
    ConfigError before the first pass; declarations are read anew for each.
    """
    wanted = [spec.pipeline for spec in in_order(project, names or project.names("pipelines"))]
    turns = Turns(open_lake(project).root)
    due = dict.fromkeys(wanted, time.monotonic())
    passes = 0
    while not stop.is_set():
        began = time.monotonic()
        turn = [name for name in wanted if due[name] <= began]
        if turn:
            context = RunContext("watch", project.environment, is_polling=True)
            summary = run(project, turn, context, progress, turns)
            passes += 1
            if summary.failures or any(entry.outcome != "nothing_new" for entry in summary.entries):
                told(context, summary)
            for name in turn:
                interval = QUEUED if turns.is_queued(name) else _interval(project, name, every)
                due[name] = began + interval.total_seconds()
        progress("waiting for new data")
        stop.wait(max(0.0, min(due.values()) - time.monotonic()))
    for name in wanted:
        turns.leave(name)
    return passes


def _interval(project: Project, name: str, every: dt.timedelta) -> dt.timedelta:
    trigger = load_pipeline(project, name).trigger
    return trigger if isinstance(trigger, dt.timedelta) else every
