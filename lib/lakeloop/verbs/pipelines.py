"""Validate the declarations, and run pipelines in the order of their dependencies."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from graphlib import CycleError, TopologicalSorter

from lakeloop.core import logs
from lakeloop.core.config import Connection, Project
from lakeloop.core.errors import ConfigError, LakeloopError, SecretMissingError
from lakeloop.core.run_record import RunContext
from lakeloop.core.secrets import resolve
from lakeloop.core.session import load_properties
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import RunEntry
from lakeloop.serving.access_spec import load_access, load_keys, masking_secret
from lakeloop.serving.policies import access_problems
from lakeloop.verbs.lakes import Progress, open_lake, silent

log = logs.get(__name__)


@dataclass(frozen=True)
class RunSummary:
    """What `run` did: one entry per pipeline that ended, and the errors of those that did not, by pipeline."""

    entries: tuple[RunEntry, ...]
    failures: dict[str, LakeloopError] = field(default_factory=dict)


def validate(project: Project, *, secrets: bool = True) -> list[str]:
    """Every problem of a configuration, without starting Spark; `secrets`: whether all of them have values, too."""
    # The sources bring pandas and models Spark's machine learning: a second that `query` should not wait for.
    from lakeloop.ingestion.sources.opening import find_connection
    from lakeloop.training.spec import ModelSpec

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
    with collected():
        access = load_access(project)
        if secrets:
            load_keys(project, access)
            masking_secret(project, access)
    if not problems:
        with collected():
            in_order(project, project.names("pipelines"))
            problems += access_problems(project, access)
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
    from lakeloop.ingestion.pipeline import Pipeline
    from lakeloop.ingestion.sources.opening import open_source

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


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")
