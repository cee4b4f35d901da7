"""From how pipelines ended to incidents and messages; and a message that only tests a channel."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from deltalake.exceptions import DeltaError

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError, DamageError, DeliveryError, LakeloopError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.source_specs.cdc import CdcSource, size_in_words
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import BACKFILL, FIX, REPLAY, RUNS
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.rule_results import RULE_RESULTS, RuleResult
from lakeloop.lake.slot_states import last_state
from lakeloop.monitoring.causes import PipelineRun
from lakeloop.monitoring.delivery import Outbox
from lakeloop.monitoring.incidents import Event, OpenIncident, open_incidents, record_events
from lakeloop.monitoring.messages import Message, Notice, one_line
from lakeloop.monitoring.routing import Due, events_of, send_all
from lakeloop.monitoring.spec import AlertsSpec, load_alerts
from lakeloop.quality import COUNTED
from lakeloop.quality.arrivals import Arrival, RunEnd, judge_arrival
from lakeloop.verbs.anomalies import with_anomalies

log = logs.get(__name__)


def alert(
    project: Project,
    alerts: AlertsSpec,
    specs: Sequence[PipelineSpec],
    failures: Mapping[str, LakeloopError],
    context: RunContext,
) -> tuple[str, ...]:
    """Open, repeat and resolve incidents after the pipelines of a run have ended, and tell the channels.

    Gives what a person at the terminal should know, in sentences. Trouble with a channel or with `ops.incidents` is
    among them and never raised.
    """
    moment, outbox = now(), Outbox(alerts.channels, project.secrets_folder)
    notes: list[str] = []
    before: list[OpenIncident] = []
    with _noted(notes, "Earlier incidents cannot be read, so all count as new", context):
        before = open_incidents(project.lake_root)
    runs = [PipelineRun(name, error) for name, error in failures.items()]
    published: list[dict[str, Any]] = []
    with _noted(notes, "The ledger cannot be read, so only failures were looked at", context):
        here = [("run_id", "=", context.run_id), ("outcome", "=", "succeeded")]
        published = read_rows(project.lake_root, RUNS, here)
        runs = _ended(project.lake_root, specs, failures, published, context)
    with _noted(notes, "Learned numbers cannot be read, so no anomaly was looked for", context):
        runs, followed = with_anomalies(project, specs, runs, before, published)
        notes += followed
    due = [item for run in runs for item in events_of(run, before, alerts.rules, context, moment)]
    if context.is_polling:  # a watcher looks each second, and a silence that goes on is no news
        brought = {entry["name"] for entry in published}
        due = [item for item in due if item.event.pipeline in brought or not _is_old_anomaly(item)]
    events = send_all(due, {spec.pipeline: spec.owner for spec in specs}, context, outbox.send)
    with _noted(notes, "The incidents of this run are not on record", context):
        record_events(project.lake_root, events)
    notes += [f"Alerts did not reach {name}: {why}" for name, why in outbox.failures.items()]
    notes += [f"Alerts reached {name}, but {remark}" for name, remark in outbox.remarks.items()]
    return (*([_summary(events)] if events else []), *notes)


def send_test(project: Project, name: str, context: RunContext) -> str:
    """Send a message that says it is a test; gives what the channel remarked, if anything.

    Raises ConfigError for a channel that is not declared, else DeliveryError that says why it was not reached.
    """
    alerts = load_alerts(project)
    if name not in alerts.channels:
        raise ConfigError(f"no channel '{name}' in {project.folder}; {propose(name, list(alerts.channels))}")
    text = f"This tests the channel {name}; nothing is wrong."
    message = Message("alerts", None, context.run_id, context.environment, now(), (Notice("test", "warn", text),))
    outbox = Outbox({name: alerts.channels[name]}, project.secrets_folder)
    if not outbox.send(name, message):
        raise DeliveryError(f"channel {name}: {outbox.failures[name]}")
    return outbox.remarks.get(name, "")


def incidents(project: Project) -> list[OpenIncident]:
    """The open incidents of a project's lake, oldest first."""
    return open_incidents(project.lake_root)


def arrival_of(root: str, spec: PipelineSpec) -> Arrival | None:
    """Whether the rows of a pipeline are overdue now; None where nothing is expected of its source."""
    if not isinstance(spec.source, FilesSource) or spec.source.expect is None:
        return None
    rows = read_rows(root, RUNS, [("name", "=", spec.pipeline), ("verb", "not in", [REPLAY, FIX, BACKFILL])])
    ends = [RunEnd(row["outcome"], row["rows_read"], row["started_at"], row["ended_at"]) for row in rows]
    return judge_arrival(spec.source.expect, ends, now())


def large_slot_of(root: str, spec: PipelineSpec) -> str | None:
    """A sentence where a pipeline's slot retained more at the last look than is declared; else None."""
    if not isinstance(spec.source, CdcSource) or spec.source.retains_at_most is None:
        return None
    state, most = last_state(root, spec.pipeline), spec.source.retains_at_most
    if state is None or state.retained_bytes <= most:
        return None
    return (
        f"the slot {state.slot} retains {size_in_words(state.retained_bytes)} of the server's log, more than "
        f"{size_in_words(most)}; the disk of the server fills up until a run succeeds or the slot is dropped"
    )


def _ended(
    root: str,
    specs: Sequence[PipelineSpec],
    failures: Mapping[str, LakeloopError],
    entries: Sequence[Mapping[str, Any]],
    context: RunContext,
) -> list[PipelineRun]:
    published = {
        row["name"]: RowCounts(*(row[f"rows_{name}"] for name in ("read", "good", "quarantined", "dropped")))
        for row in entries
    }
    results: dict[str, list[RuleResult]] = defaultdict(list)
    for row in read_rows(root, RULE_RESULTS, [("run_id", "=", context.run_id)]) if published else []:
        if row["severity"] != COUNTED:
            said = {name: row[name] for name in ("rule", "severity", "violations", "message", "owner")}
            results[row["pipeline"]].append(RuleResult(**said))
    return [
        PipelineRun(
            name,
            failures.get(name),
            published.get(name),
            results[name],
            arrival_of(root, spec),
            large_slot_of(root, spec),
            owner=spec.owner,
        )
        for name, spec in ((spec.pipeline, spec) for spec in specs)
    ]


def _is_old_anomaly(item: Due) -> bool:
    return item.event.kind == "anomaly" and item.event.state == "repeated" and not item.channels


def _summary(events: Sequence[Event]) -> str:
    counts = Counter(event.state for event in events)
    states = ", ".join(f"{counts[state]} {state}" for state in ("opened", "repeated", "resolved") if counts[state])
    told = ", ".join(sorted({channel for event in events for channel in event.channels}))
    return f"Incidents: {states}; told: {told or 'nobody'} · lakeloop incidents"


@contextmanager
def _noted(notes: list[str], consequence: str, context: RunContext) -> Iterator[None]:
    """Trouble with a table of `ops` becomes a note: a run whose rows are published has not failed."""
    try:
        yield
    except (DamageError, DeltaError, OSError) as error:
        log.error("alerts go on without a table", run_id=context.run_id, consequence=consequence, exc_info=error)
        notes.append(f"{consequence}: {one_line(str(error))}")
