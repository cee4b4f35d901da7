"""Run pipelines in the order of their dependencies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, LakeloopError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.enrichment.service import open_services
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import RunEntry
from lakeloop.monitoring.spec import load_alerts
from lakeloop.verbs.alerting import alert
from lakeloop.verbs.lakes import Progress, open_lake, silent

if TYPE_CHECKING:
    from lakeloop.ingestion.pipeline import Pipeline

log = logs.get(__name__)


@dataclass(frozen=True)
class RunSummary:
    """What `run` did: one entry per pipeline that ended, the errors of those that did not, and word of the alerts."""

    entries: tuple[RunEntry, ...]
    failures: dict[str, LakeloopError] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()


def in_order(project: Project, names: Sequence[str]) -> list[PipelineSpec]:
    """The pipelines, those that write a table before those that read it.

    Raises ConfigError where they read each other in a circle, or two write one table.
    """
    specs = {name: load_pipeline(project, name) for name in names}
    writers: dict[str, str] = {}
    for name, spec in specs.items():
        if (other := writers.setdefault(spec.sink.table, name)) != name:
            raise ConfigError(f"{other} and {name} both write {spec.sink.table}; a table has one pipeline")
    needs = {name: {writers[table] for table in spec.inputs if table in writers} for name, spec in specs.items()}
    try:
        return [specs[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise ConfigError(f"pipelines read each other in a circle: {' → '.join(error.args[1])}") from error


def run(project: Project, names: Sequence[str], context: RunContext, progress: Progress = silent) -> RunSummary:
    """Run pipelines in the order of their dependencies (none named: all), then tell people what `alerts.yml` asks for.

    A failure does not stop the other pipelines. Raises ConfigError before anything runs, and what keeps Spark from
    starting.
    """
    from lakeloop.ingestion.events import open_events
    from lakeloop.ingestion.pipeline import Pipeline
    from lakeloop.ingestion.sources.opening import open_source

    specs, alerts = in_order(project, names or project.names("pipelines")), load_alerts(project)
    try:
        lake = open_lake(project)
    except LakeloopError as error:
        alert(project, alerts, specs, {spec.pipeline: error for spec in specs}, context)
        raise
    entries: list[RunEntry] = []
    failures: dict[str, LakeloopError] = {}
    for spec in specs:
        try:
            source, events = open_source(project, spec, lake), open_events(project, spec)
            pipeline = Pipeline(spec, source, lake, open_services(project, spec), events)
            for entry in _batches(pipeline, context, partial(_named, progress, spec.pipeline)):
                entries.append(entry)  # noqa: PERF402 - those before a failure count
        except LakeloopError as error:
            log.error("pipeline failed", run_id=context.run_id, pipeline=spec.pipeline, error=str(error))
            failures[spec.pipeline] = error
    return RunSummary(tuple(entries), failures, alert(project, alerts, specs, failures, context))


def _batches(pipeline: "Pipeline", context: RunContext, progress: Progress) -> Iterator[RunEntry]:
    """One batch, or all there are where the pipeline's trigger says so."""
    entry = pipeline.run(context, progress)
    yield entry
    while pipeline.spec.runs_until_idle and entry.outcome == "succeeded":
        entry = pipeline.run(replace(context, is_polling=True), progress)
        if entry.outcome == "succeeded":
            yield entry


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")
