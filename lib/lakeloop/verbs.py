"""The verbs, one function each: what the `lakeloop` command, the jobs and Python callers have in common."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lakeloop.core import logs
from lakeloop.core.config import Connection, Project
from lakeloop.core.errors import ConfigError, LakeloopError, ModelError, SecretMissingError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.core.secrets import resolve
from lakeloop.core.session import build_session, load_properties
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.sources.opening import find_connection, open_source
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.lake.tables import Lake
from lakeloop.registry import ModelRegistry
from lakeloop.registry.scoring import score_rows
from lakeloop.training.metrics import LOWER_IS_BETTER, BinaryMetrics, Metric
from lakeloop.training.spec import ModelSpec
from lakeloop.training.train import TrainingResult, evaluate, test_rows, train

log = logs.get(__name__)
Progress = Callable[[str], None]


def silent(text: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Trained:
    """What `train` did. `result` is None when this version of the table had been trained on already."""

    entry: RunEntry
    version: int
    promoted: bool
    result: TrainingResult | None = None
    previous: BinaryMetrics | None = None


@dataclass(frozen=True)
class RunSummary:
    """What `run` did: one entry per pipeline that ended, and the errors of those that did not, by pipeline."""

    entries: tuple[RunEntry, ...]
    failures: dict[str, LakeloopError] = field(default_factory=dict)


def open_lake(project: Project) -> Lake:
    """The lake of a project, with the Spark session that its environment describes.

    Spark's own log lines go to `_logs/spark.log` in a local lake, so that the terminal stays readable.
    """
    root = project.lake_root
    log_file = None if "://" in root else Path(root) / "_logs" / "spark.log"
    return Lake(build_session(load_properties(project.spark_properties), log_file=log_file), root)


def validate(project: Project, *, secrets: bool = True) -> list[str]:
    """Every problem of a configuration, without starting Spark; `secrets`: whether all of them have values, too."""
    problems: list[str] = []

    @contextmanager
    def collected() -> Iterator[None]:
        try:
            yield
        except (ConfigError, SecretMissingError) as error:
            problems.extend(str(error).splitlines())

    with collected():
        load_properties(project.spark_properties)
    with collected():
        _ = project.platform
    with collected():
        for name in project.connection_names():
            with collected():
                connection = project.connections.parse(Connection, at=(name,))
                for secret in connection.secrets if secrets else []:
                    resolve(secret, project.secrets_folder)
    for name in project.names("pipelines"):
        with collected():
            find_connection(project, load_pipeline(project, name))
    for name in project.names("models"):
        with collected():
            project.document("models", name).parse(ModelSpec)
    if not problems:
        with collected():
            in_order(project, project.names("pipelines"))
    return list(dict.fromkeys(problems))


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
    """Run pipelines in the order of their dependencies (none named: all). A failure does not stop the others."""
    specs = in_order(project, names or project.names("pipelines"))
    lake = open_lake(project)
    entries: list[RunEntry] = []
    failures: dict[str, LakeloopError] = {}
    for spec in specs:
        try:
            pipeline = Pipeline(spec, open_source(project, spec, lake), lake)
            entries.append(pipeline.run(context, partial(_named, progress, spec.pipeline)))
        except LakeloopError as error:
            log.error("pipeline failed", run_id=context.run_id, pipeline=spec.pipeline, error=str(error))
            failures[spec.pipeline] = error
    return RunSummary(tuple(entries), failures)


def train_model(project: Project, name: str, context: RunContext, progress: Progress = silent) -> Trained:
    """Train a model, register the version, and make it champion unless the champion does better on the same test rows.

    Nothing is trained when a version from this declaration and this version of the table exists. An older champion may
    have learned from rows that are test rows today, so a tie goes to the new version.
    """
    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake, registry = open_lake(project), ModelRegistry.of(project)
    ledger, table_version = Ledger(lake.root), lake.version(spec.table)
    champion = registry.champion(spec.model)
    if (known := registry.trained(spec, table_version)) is not None:
        message = f"{spec.table} version {table_version} has been trained on: version {known} of {spec.model}"
        entry = RunEntry(name, spec.table, "nothing_new", started_at, message)
        ledger.record(context, entry)
        return Trained(entry, known, promoted=False)
    frame = lake.read(spec.table, table_version)
    try:
        result = train(spec, frame, lambda done, total, text: progress(f"{name}: fit {done} of {total}, {text}"))
        previous = None
        if champion is not None:
            progress(f"{name}: comparing with version {champion.version}")
            previous = evaluate(registry.load(champion), test_rows(spec, frame), spec)
        progress(f"{name}: registering")
        version = registry.register(result, context, table_version)
    except LakeloopError as error:
        ledger.record(context, RunEntry(name, spec.table, "failed", started_at, str(error)))
        raise
    promoted = previous is None or _is_as_good(result.test, previous, spec.select_by)
    if promoted:
        registry.promote(spec.model, version)
    message = f"version {version} of {spec.model}, {result.winner.point}" + ("" if promoted else ", not promoted")
    entry = RunEntry(
        name, spec.table, "succeeded", started_at, message, counts=_all_good(result.rows_train + result.rows_test)
    )
    ledger.record(context, entry)
    return Trained(entry, version, promoted, result, previous)


def score_table(project: Project, name: str, context: RunContext, progress: Progress = silent) -> RunEntry:
    """Replace the table of scores by the champion's answers, unless champion and table are those of the last scoring.

    Raises ModelError when the model has no champion yet.
    """
    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake, registry = open_lake(project), ModelRegistry.of(project)
    ledger, champion = Ledger(lake.root), registry.champion(spec.model)
    if champion is None:
        raise ModelError(f"{spec.model} has no champion; run `lakeloop train {name}` first")
    details = {"table_version": lake.version(spec.table), "model_version": champion.version}
    stream = f"score_{name}"
    before = ledger.batches(stream)
    if before and before[-1][1] == "succeeded" and before[-1][0].plan.details == details:
        entry = RunEntry(stream, spec.scores, "nothing_new", started_at, "the same champion and the same rows")
        ledger.record(context, entry)
        return entry
    progress(f"{name}: scoring with version {champion.version}")
    plan = Plan(details, f"{spec.table} version {details['table_version']} by version {champion.version}")
    batch = ledger.plan(stream, plan, context, before)
    rows = lake.read(spec.table, details["table_version"])
    scores = score_rows(registry.load(champion), rows, spec, champion, context)
    lake.write(spec.scores, scores, mode="overwrite", commit=batch.commit)
    counts = _all_good(lake.read(spec.scores).count())
    entry = RunEntry(stream, spec.scores, "succeeded", started_at, plan.summary, batch.batch_id, counts)
    ledger.record(context, entry)
    return entry


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")


def _is_as_good(new: BinaryMetrics, old: BinaryMetrics, metric: Metric) -> bool:
    gain = new.figures()[metric] - old.figures()[metric]
    return gain <= 0 if metric in LOWER_IS_BETTER else gain >= 0


def _all_good(rows: int) -> RowCounts:
    return RowCounts(read=rows, good=rows)
