"""Run pipelines as a graph: each after those that write what it reads, others beside it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import (
    ConcurrentRunError,
    ConfigError,
    DiskFullError,
    EngineError,
    LakeloopError,
    SourceError,
    StorageError,
)
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.enrichment.service import open_services
from lakeloop.ingestion.source_specs.cdc import CdcSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.pipeline_turns import WAITS, Turns
from lakeloop.lake.stream_decisions import find_pause
from lakeloop.monitoring.spec import load_alerts
from lakeloop.verbs.alerting import alert
from lakeloop.verbs.graph import run_graph
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.lineage import emit_lineage
from lakeloop.verbs.progress import Progress, silent

if TYPE_CHECKING:
    from lakeloop.ingestion.pipeline import Pipeline
    from lakeloop.lake.tables import Lake

log = logs.get(__name__)
TRANSIENT = (SourceError, StorageError, EngineError, ConcurrentRunError)  # what may be over at the next try


@dataclass(frozen=True)
class RunSummary:
    """What `run` did: one entry per batch that ended, the errors of pipelines that failed, and notes for people."""

    entries: tuple[RunEntry, ...]
    failures: dict[str, LakeloopError] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def in_order(project: Project, names: Sequence[str], *, with_others: bool = True) -> list[PipelineSpec]:
    """The pipelines, those that write a table before those that read it.

    Raises ConfigError where they read each other in a circle, or two write one table or read one slot; `with_others`:
    also where one of the two is not named.
    """
    specs = {name: load_pipeline(project, name) for name in names}
    for other in _others(project, names) if with_others else ():
        _refuse_shared([*specs.values(), other])
    try:
        return [specs[name] for name in TopologicalSorter(dependencies(list(specs.values()))).static_order()]
    except CycleError as error:
        raise ConfigError(f"pipelines read each other in a circle: {' → '.join(error.args[1])}") from error


def dependencies(specs: Sequence[PipelineSpec]) -> dict[str, set[str]]:
    """The pipelines that each one waits for. Raises ConfigError where two write one table or read one slot."""
    writers = _refuse_shared(specs)
    return {spec.pipeline: {writers[table] for table in spec.inputs if table in writers} for spec in specs}


def _others(project: Project, names: Sequence[str]) -> Iterator[PipelineSpec]:
    """The pipelines that are not named; one whose declaration is wrong stops no other."""
    for name in project.names("pipelines"):
        if name not in names:
            with suppress(LakeloopError):
                yield load_pipeline(project, name)


def _refuse_shared(specs: Sequence[PipelineSpec]) -> dict[str, str]:
    """The pipeline that writes each table. Raises ConfigError where there are two, or two that read one slot."""
    writers: dict[str, str] = {}
    for spec in specs:
        for table in spec.tables:
            if (other := writers.setdefault(table, spec.pipeline)) != spec.pipeline:
                raise ConfigError(
                    f"{other} and {spec.pipeline} both write {table}, and a table has one pipeline; give one of them a "
                    "sink of its own"
                )
    _refuse_shared_slots(specs)
    return writers


def _refuse_shared_slots(specs: Sequence[PipelineSpec]) -> None:
    readers: dict[tuple[str, str], str] = {}
    for name, source in ((spec.pipeline, spec.source) for spec in specs):
        if isinstance(source, CdcSource) and (other := readers.setdefault((source.cdc, source.slot), name)) != name:
            raise ConfigError(
                f"{other} and {name} both read the slot {source.slot} of {source.cdc}, and each change is given once; "
                "give each pipeline a slot of its own"
            )


def run(
    project: Project,
    names: Sequence[str],
    context: RunContext,
    progress: Progress = silent,
    turns: Turns | None = None,
) -> RunSummary:
    """Run pipelines (none named: all), then tell people what `alerts.yml` asks for.

    A pipeline waits for those that write what it reads; as many as `platform.yml` says run side by side. One that
    fails is tried again as it declares and stops no other; one that is paused is left out. Where another process works
    on one, a run waits for its turn, and a look of a watcher, which brings the `turns` that it has queued for, leaves
    it to the next look. Raises ConfigError before anything runs, and what keeps Spark from starting.
    """
    # A watcher has looked at all declarations when it began; a pass reads those of its turn alone.
    specs = in_order(project, names or project.names("pipelines"), with_others=not context.is_polling)
    alerts = load_alerts(project)
    try:
        lake = open_lake(project)
    except LakeloopError as error:
        alert(project, alerts, specs, {spec.pipeline: error for spec in specs}, context)
        raise
    side_by_side = min(project.platform.parallel_pipelines, max(len(specs), 1))
    by_name = {spec.pipeline: spec for spec in specs}
    turn = _Turn(project, context, progress, lake, turns or Turns(lake.root), shares_spark=side_by_side > 1)
    ended = run_graph(dependencies(specs), lambda name: turn.take(by_name[name]), side_by_side)
    entries = tuple(entry for name in by_name for entry in ended[name].entries)
    failures = {name: end.error for name, end in ended.items() if end.error is not None}
    notes = alert(project, alerts, specs, failures, context) + emit_lineage(project, specs, entries, failures, context)
    return RunSummary(entries, failures, notes)


@dataclass
class _Ended:
    """The batches of one pipeline that ended, and what stopped it."""

    entries: list[RunEntry] = field(default_factory=list)
    error: LakeloopError | None = None


@dataclass(frozen=True)
class _Turn:
    """One run of several pipelines."""

    project: Project
    context: RunContext
    progress: Progress
    lake: "Lake"
    turns: Turns
    shares_spark: bool

    def take(self, spec: PipelineSpec) -> _Ended:
        """Run one pipeline, again where it fails and says so; while it is paused, do nothing."""
        ended, say = _Ended(), partial(_named, self.progress, spec.pipeline)
        if pause := find_pause(self.lake.root, spec.pipeline):
            self.turns.leave(spec.pipeline)
            if not self.context.is_polling:
                said = f"{pause.said}; lakeloop stream resume {spec.pipeline}"
                ended.entries.append(RunEntry(spec.pipeline, spec.said_tables, "paused", now(), said))
            return ended
        waits = spec.retry.waits if spec.retry and not self.context.is_polling else []
        for number, wait in enumerate([*waits, None], start=1):
            try:
                ended.entries.extend(self._batches(spec, say))  # those before a failure count
                return ended
            except LakeloopError as error:
                self.turns.leave(spec.pipeline)
                log.error("pipeline failed", run_id=self.context.run_id, pipeline=spec.pipeline, error=str(error))
                if wait is None or not isinstance(error, TRANSIENT) or isinstance(error, DiskFullError):
                    ended.error = error
                    return ended
                say(f"failed, try {number} of {len(waits)} follows in {wait:g} s: {error}")
                time.sleep(wait)
        return ended

    def _batches(self, spec: PipelineSpec, say: Progress) -> Iterator[RunEntry]:
        """One batch, or all there are where the pipeline's trigger says so and nobody pauses it."""
        pipeline = self._opened(spec)
        entry = self._batch(pipeline, self.context, say)
        while entry is not None:
            yield entry
            if not spec.runs_until_idle or entry.outcome != "succeeded" or find_pause(self.lake.root, spec.pipeline):
                return
            following = self._batch(pipeline, replace(self.context, is_polling=True), say)
            entry = following if following is not None and following.outcome == "succeeded" else None

    def _batch(self, pipeline: "Pipeline", context: RunContext, say: Progress) -> RunEntry | None:
        """One batch in turn; None where a watcher does not have it."""
        name = pipeline.spec.pipeline
        if self.context.is_polling:
            with self.turns.tried(name) as is_mine:
                entry = pipeline.run(context, say) if is_mine else None
            if entry is not None and entry.outcome == "succeeded":
                pipeline.look_ahead()
            return entry
        with self.turns.taken(name, partial(say, WAITS)):
            return pipeline.run(context, say)

    def _opened(self, spec: PipelineSpec) -> "Pipeline":
        from lakeloop.ingestion.events import open_events
        from lakeloop.ingestion.pipeline import Pipeline
        from lakeloop.ingestion.sources.opening import open_source

        # A session of its own, since the identity of a commit and the names of views are kept by session.
        lake = replace(self.lake, spark=self.lake.spark.newSession()) if self.shares_spark else self.lake
        source, events = open_source(self.project, spec, lake), open_events(self.project, spec)
        return Pipeline(spec, source, lake, open_services(self.project, spec), events)


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")
