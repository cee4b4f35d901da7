"""What stood out in the batches of a run, and which table of several it began with."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakeloop.core.config import Project
from lakeloop.core.run_record import now
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.batch_profiles import HIGH, past_batches
from lakeloop.monitoring.causes import Anomaly, PipelineRun
from lakeloop.monitoring.incidents import OpenIncident
from lakeloop.quality.batch_anomalies import NEXT_WAIT, Signal, signals_of, silence
from lakeloop.verbs.declared import declared

# What an anomaly of a table can follow from when a table that it is made of has it.
CAUSING = {"anomaly", "run_failed", "batch_withdrawn", "file_refused", "file_late", "file_missing", "messages_lost"}


@dataclass(frozen=True)
class Follows:
    """A pipeline whose anomaly is told with that of another one, and which that is."""

    pipeline: str
    upstream: str
    kind: str


def with_anomalies(
    project: Project,
    specs: Sequence[PipelineSpec],
    runs: Sequence[PipelineRun],
    before: Sequence[OpenIncident],
    published: Sequence[Mapping[str, Any]],
) -> tuple[list[PipelineRun], list[str]]:
    """The runs with what stood out in them, each cause once: what follows from another table says so in a sentence."""
    if all(spec.watch_over is None for spec in specs) and not any(one.last.kind == "anomaly" for one in before):
        return list(runs), []
    batches: dict[str, list[int]] = defaultdict(list)
    for row in published:
        batches[row["name"]].append(row["batch_id"])
    found = anomalies_of(project.lake_root, specs, batches, now())
    stood_out = [name for name, anomaly in found.items() if anomaly.signals]
    failures = {run.pipeline: run.error for run in runs if run.error is not None}
    effects = follows(stood_out, upstream_of(declared(project)), failures, before) if stood_out else []
    for effect in effects:
        found[effect.pipeline] = replace(found[effect.pipeline], follows=effect.upstream)
    for name in {effect.upstream for effect in effects} & set(stood_out):
        also = tuple(effect.pipeline for effect in effects if effect.upstream == name)
        found[name] = replace(found[name], also_in=also)
    notes = [
        f"{effect.pipeline} follows {effect.upstream} ({effect.kind.replace('_', ' ')}): {found[effect.pipeline].said}"
        for effect in effects
    ]
    return [replace(run, anomaly=found.get(run.pipeline)) for run in runs], notes


def anomalies_of(
    root: str, specs: Sequence[PipelineSpec], published: Mapping[str, Sequence[int]], now: dt.datetime
) -> dict[str, Anomaly]:
    """What stood out per pipeline: in the batches that it published, else that nothing came for too long.

    One that is watched over and has nothing new is missing, since nothing can be said; one that is not watched over has
    no signals.
    """
    watched = [spec.pipeline for spec in specs if spec.watch_over is not None]
    found = {spec.pipeline: Anomaly() for spec in specs if spec.watch_over is None}
    for name in watched:
        if batches := published.get(name):
            past = past_batches(root, [name], only=batches).get(name)
            if past is not None:
                found[name] = Anomaly(_worst([signals_of(past, position) for position in range(len(past.batch_ids))]))
    quiet = [name for name in watched if name not in found]
    waits = past_batches(root, quiet, metrics=[NEXT_WAIT.metric + HIGH]) if quiet else {}
    for name, past in waits.items():
        if (signal := silence(past, now)) is not None:
            found[name] = Anomaly((signal,))
    return found


def upstream_of(specs: Sequence[PipelineSpec]) -> dict[str, set[str]]:
    """The pipelines whose rows each one reads, directly or through others."""
    writers = {table: spec.pipeline for spec in specs for table in (*spec.tables, spec.record_table)}
    direct = {spec.pipeline: {writers[table] for table in spec.inputs if table in writers} for spec in specs}
    found: dict[str, set[str]] = {}
    for name, inputs in direct.items():
        reached, ahead = set[str](), set(inputs)
        while ahead:
            reached |= ahead
            ahead = {further for one in ahead for further in direct.get(one, ())} - reached
        found[name] = reached - {name}
    return found


def follows(
    stood_out: Sequence[str],
    upstream: Mapping[str, set[str]],
    failures: Mapping[str, object],
    before: Sequence[OpenIncident],
) -> list[Follows]:
    """Which anomalies follow from another table: of this run, or of an incident that is open.

    Where several tables on the way stood out, the first of them is the one that all follow.
    """
    kinds: dict[str, str] = {
        incident.last.pipeline: incident.last.kind for incident in before if incident.last.kind in CAUSING
    }
    kinds |= dict.fromkeys(stood_out, "anomaly") | dict.fromkeys(failures, "run_failed")
    found = []
    for name in stood_out:
        causes = sorted(one for one in upstream.get(name, ()) if one in kinds)
        if causes:
            first = min(causes, key=lambda one: (len(upstream.get(one, set()) & set(causes)), one))
            found.append(Follows(name, first, kinds[first]))
    return found


def _worst(of_batches: Sequence[list[Signal]]) -> tuple[Signal, ...]:
    worst: list[Signal] = []
    for signals in of_batches:
        if signals and (not worst or abs(signals[0].score) > abs(worst[0].score)):
            worst = signals
    return tuple(worst)
