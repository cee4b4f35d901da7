"""From causes to messages: what is new, what lasts, what is gone, and which channel is to hear of it in this run."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lakeloop.core.run_record import RunContext
from lakeloop.monitoring.causes import PipelineRun, causes_of, is_gone
from lakeloop.monitoring.incidents import Cause, Event, OpenIncident
from lakeloop.monitoring.messages import Message, Notice
from lakeloop.monitoring.spec import AlertRule

# These have a threshold or a name in `alerts.yml`, so they are incidents only where somebody asks for them.
ASKED_FOR = {"rows_quarantined", "rule_violated"}
Send = Callable[[str, Message], bool]


@dataclass(frozen=True)
class Due:
    """An event of this run, and the channels that are to hear of it."""

    event: Event
    channels: frozenset[str]


def events_of(
    run: PipelineRun,
    before: Sequence[OpenIncident],
    rules: Sequence[AlertRule],
    context: RunContext,
    now: dt.datetime,
) -> list[Due]:
    """What a run of a pipeline does to its incidents. `before` holds the open ones, of this or of other pipelines."""
    known = {incident.last.fingerprint: incident for incident in before if incident.last.pipeline == run.pipeline}
    seen = {
        cause.fingerprint: cause
        for cause in causes_of(run, now)
        if cause.kind not in ASKED_FOR or any(rule.concerns(cause) for rule in rules)
    }
    due = [_seen(cause, known.get(fingerprint), rules, context, now) for fingerprint, cause in seen.items()]
    for fingerprint, incident in known.items():
        if fingerprint not in seen and is_gone(incident.last, run):
            gone = replace(incident.last, run_id=context.run_id, at=now, state="resolved", channels=(), undelivered=())
            due.append(Due(gone, frozenset(incident.told) & _told_of_recovery(run.pipeline, rules)))
    return due


def send_all(due: Sequence[Due], owners: Mapping[str, str | None], context: RunContext, send: Send) -> list[Event]:
    """Send one message per pipeline and channel, and give the events with who was told and who was not.

    `send` says whether a channel has taken a message.
    """
    wanted: dict[tuple[str, str], list[Event]] = {}
    for item in due:
        for channel in sorted(item.channels):
            wanted.setdefault((item.event.pipeline, channel), []).append(item.event)
    taken = {
        (pipeline, channel): send(channel, _message(pipeline, owners.get(pipeline), events, context))
        for (pipeline, channel), events in wanted.items()
    }
    return [
        replace(
            item.event,
            channels=tuple(c for c in sorted(item.channels) if taken[item.event.pipeline, c]),
            undelivered=tuple(c for c in sorted(item.channels) if not taken[item.event.pipeline, c]),
        )
        for item in due
    ]


def _seen(
    cause: Cause, incident: OpenIncident | None, rules: Sequence[AlertRule], context: RunContext, now: dt.datetime
) -> Due:
    told = incident.told if incident else {}
    channels = frozenset(
        channel
        for rule in rules
        if rule.concerns(cause)
        for channel in rule.channels
        if channel not in told or (rule.repeat_after is not None and now - told[channel] >= rule.repeat_after)
    )
    event = Event(
        incident.last.id if incident else uuid.uuid4().hex[:12],
        cause.kind, cause.pipeline, cause.severity, cause.fingerprint, cause.message, context.run_id, now,
        "repeated" if incident else "opened",
    )  # fmt: skip
    return Due(event, channels)


def _told_of_recovery(pipeline: str, rules: Sequence[AlertRule]) -> frozenset[str]:
    return frozenset(
        channel for rule in rules if "recovered" in rule.kinds and rule.covers(pipeline) for channel in rule.channels
    )


def _message(pipeline: str, owner: str | None, events: Sequence[Event], context: RunContext) -> Message:
    notices = [Notice(event.kind, event.severity, event.message, event.state) for event in events]
    return Message(
        pipeline, owner, context.run_id, context.environment, events[0].at, tuple(sorted(notices, key=Notice.rank))
    )
