"""What one run of one pipeline says about causes: which it shows, and which it shows to be gone."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lakeloop.core.durations import in_words
from lakeloop.core.errors import AccountingError, FormatError, LakeloopError, RuleFailedError
from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ledger import MESSAGES_LOST
from lakeloop.lake.rule_results import RuleResult
from lakeloop.monitoring.incidents import Cause, Event, Kind
from lakeloop.quality.arrivals import Arrival
from lakeloop.quality.batch_anomalies import Signal

SIGNALS_TOLD = 5


@dataclass(frozen=True)
class Anomaly:
    """What stood out in a table, most striking first; none where everything is as ever.

    `follows` names the pipeline whose incident already tells of it, `also_in` those that follow this one.
    """

    signals: tuple[Signal, ...] = ()
    follows: str | None = None
    also_in: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The evidence in one line."""
        told = [signal.said for signal in self.signals[:SIGNALS_TOLD]]
        hidden = len(self.signals) - len(told)
        told += [f"and {hidden} more"] if hidden else []
        told += [f"also seen in {', '.join(self.also_in)}"] if self.also_in else []
        return "; ".join(told)


@dataclass(frozen=True)
class PipelineRun:
    """How a pipeline ended in a run.

    `counts` are those of the batch that was published, None where none was, and `results` those of its rules. `arrival`
    is None where nothing is expected, `large_slot` a sentence on a slot that retains too much, `anomaly` is None where
    nothing can be said, as without a new batch.
    """

    pipeline: str
    error: LakeloopError | None = None
    counts: RowCounts | None = None
    results: Sequence[RuleResult] = ()
    arrival: Arrival | None = None
    large_slot: str | None = None
    anomaly: Anomaly | None = None
    owner: str | None = None


def causes_of(run: PipelineRun, now: dt.datetime) -> list[Cause]:
    """Every cause that a run shows, whether or not anybody wants to hear of it."""
    causes = [] if run.error is None else [_failure(run.pipeline, run.error)]
    if run.arrival is not None and (overdue := _overdue(run.pipeline, run.arrival, now)) is not None:
        causes.append(overdue)
    if run.large_slot is not None:
        causes.append(Cause("slot_large", run.pipeline, "error", run.large_slot))
    counts = run.counts
    if counts is not None and counts.quarantined:
        share = f"{counts.quarantined / counts.read:.2%}" if counts.read else "all"
        text = f"{counts.quarantined:,} of {counts.read:,} rows are quarantined ({share})"
        causes.append(Cause("rows_quarantined", run.pipeline, "warn", text, counts=counts))
    causes += [
        Cause(
            "rule_violated",
            run.pipeline,
            "error" if each.severity in {"error", "fail"} else "warn",
            f"{each.rule}: {each.message or f'{each.violations:,} rows'}",
            each.rule,
            owner=each.owner,
        )
        for each in run.results
        if each.violations and each.rule != MESSAGES_LOST
    ]
    if lost := sum(each.violations for each in run.results if each.rule == MESSAGES_LOST):
        text = f"at least {lost:,} messages were gone before they were read; `lakeloop runs` says which"
        causes.append(Cause("messages_lost", run.pipeline, "error", text))
    # Of a failure, of rows that are declared overdue, or of another table's incident, an anomaly is but the effect.
    is_effect = run.error is not None or any(cause.kind in {"file_late", "file_missing"} for cause in causes)
    if run.anomaly is not None and run.anomaly.signals and not run.anomaly.follows and not is_effect:
        causes.append(Cause("anomaly", run.pipeline, "warn", run.anomaly.said))
    return [replace(cause, owner=cause.owner or run.owner) for cause in causes]


def is_gone(incident: Event, run: PipelineRun) -> bool:
    """Whether a run that does not show the cause of an open incident shows that it is gone."""
    if incident.kind in {"file_late", "file_missing"}:
        return run.arrival is None or run.arrival.state == "on_time"
    if incident.kind == "slot_large":
        return run.large_slot is None
    if incident.kind in {"rows_quarantined", "rule_violated", "messages_lost"}:
        return run.counts is not None and run.counts.read > 0
    if incident.kind == "anomaly":
        return run.anomaly is not None and not run.anomaly.signals
    return run.error is None


def _failure(pipeline: str, error: LakeloopError) -> Cause:
    kind: Kind = "run_failed"
    if isinstance(error, AccountingError | RuleFailedError):
        kind = "batch_withdrawn"
    elif isinstance(error, FormatError):
        kind = "file_refused"
    return Cause(kind, pipeline, "error", str(error), type(error).__name__)


def _overdue(pipeline: str, arrival: Arrival, now: dt.datetime) -> Cause | None:
    if arrival.state not in {"late", "missing"} or arrival.waiting_since is None:
        return None
    since = f"{arrival.waiting_since:%Y-%m-%d %H:%M} UTC"
    what = (
        f"the last rows came at {since}" if arrival.has_arrived else f"no rows have come since the first run at {since}"
    )
    text = f"{what}, {in_words(now - arrival.waiting_since)} ago"
    if arrival.state == "late":
        return Cause("file_late", pipeline, "warn", text)
    return Cause("file_missing", pipeline, "error", text)
