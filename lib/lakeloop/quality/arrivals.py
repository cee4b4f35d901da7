"""Whether data come as often as declared: on time, late or missing."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Duration

ArrivalState = Literal["on_time", "late", "missing", "unknown"]


class Expectation(Declaration):
    """How often rows come. They are late after `every`, and missing once `grace` has passed as well."""

    every: Duration
    grace: Duration = dt.timedelta(0)


class RunEnd(NamedTuple):
    """How one run of a pipeline ended, as far as arrivals go; times in UTC."""

    outcome: str
    rows_read: int
    started_at: dt.datetime
    ended_at: dt.datetime


@dataclass(frozen=True)
class Arrival:
    """The state of a source at a moment. `waiting_since`: the end of the last batch with rows, else the first run."""

    state: ArrivalState
    waiting_since: dt.datetime | None = None
    has_arrived: bool = False


def judge_arrival(expected: Expectation, runs: Sequence[RunEnd], now: dt.datetime) -> Arrival:
    """Decide from all recorded runs of a pipeline, in any order, whether its next rows are overdue at `now`.

    Only batches that succeeded with at least one row count; without one the wait counts from the first run. The state
    is unknown before the first run, and while the latest run failed or was withdrawn: then nobody knows what the source
    holds.
    """
    if not runs:
        return Arrival("unknown")
    arrived = [run.ended_at for run in runs if run.outcome == "succeeded" and run.rows_read]
    since = max(arrived, default=None) or min(run.started_at for run in runs)
    waited = now - since
    state: ArrivalState = "on_time"
    if waited > expected.every:
        latest = max(runs, key=lambda run: run.ended_at)
        is_known = latest.outcome in {"succeeded", "nothing_new"}
        state = ("missing" if waited > expected.every + expected.grace else "late") if is_known else "unknown"
    return Arrival(state, since, bool(arrived))
