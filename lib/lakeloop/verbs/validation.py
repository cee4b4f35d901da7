"""Check every declaration without starting Spark."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Secret

from lakeloop.core.config import Project
from lakeloop.core.connections import Connection
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError, SecretMissingError
from lakeloop.core.secrets import resolve
from lakeloop.core.session import load_properties
from lakeloop.ingestion.enrichment.service import find_services
from lakeloop.ingestion.join_rules import join_problems
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.monitoring.spec import load_alerts
from lakeloop.serving.access_spec import load_access, load_keys, masking_secret
from lakeloop.serving.policies import access_problems
from lakeloop.verbs.pipelines import in_order
from lakeloop.verbs.rule_columns import rule_column_problems

if TYPE_CHECKING:
    from lakeloop.training.spec.model import ModelSpec

Check = Callable[[], object]


def validate(project: Project, *, secrets: bool = True) -> list[str]:
    """Every problem of a configuration; `secrets`: whether all of them must have values, too."""
    problems: list[str] = []

    def passes(check: Check) -> None:
        try:
            check()
        except (ConfigError, SecretMissingError) as error:
            problems.extend(str(error).splitlines())

    for check in _checks(project):
        passes(check)
    for check in _secret_checks(project) if secrets else ():
        passes(check)
    if not problems:  # what follows looks at several declarations at once
        passes(lambda: in_order(project, project.names("pipelines")))
        passes(lambda: problems.extend(join_problems(project)))
        passes(lambda: problems.extend(rule_column_problems(project)))
        passes(lambda: problems.extend(access_problems(project, load_access(project))))
    return list(dict.fromkeys(problems))


def _checks(project: Project) -> Iterator[Check]:
    """One check for each declaration, each of which raises."""
    yield lambda: load_properties(project.spark_properties)
    yield lambda: project.platform
    yield project.connection_names
    for name in _connections(project):
        yield partial(project.connections.parse, Connection, at=(name,))
    for name in project.names("pipelines"):
        yield partial(_check_pipeline, project, name)
    for name in project.names("models"):
        yield partial(_check_model, project, name)
    yield partial(load_alerts, project)
    yield partial(load_access, project)


def _check_pipeline(project: Project, name: str) -> None:
    from lakeloop.ingestion.events import find_event_connections
    from lakeloop.ingestion.sources.opening import find_connection

    spec = load_pipeline(project, name)
    find_connection(project, spec)
    find_event_connections(project, spec)
    find_services(project, spec)
    _check_models_asked(project, spec)


def _check_models_asked(project: Project, spec: PipelineSpec) -> None:
    asked = [each.score.model for each in spec.enrich if each.score]
    known = [_check_model(project, name).model for name in project.names("models")] if asked else []
    for name in asked:
        if name not in known:
            raise ConfigError(
                f"pipeline {spec.pipeline}, enrich: no model '{name}' is declared; {propose(name, known)}"
            )


def _check_model(project: Project, name: str) -> "ModelSpec":
    # Brings Spark's machine learning: a second that other commands should not wait for.
    from lakeloop.training.spec.model import ModelSpec

    return project.document("models", name).parse(ModelSpec)


def _secret_checks(project: Project) -> Iterator[Check]:
    """One check for each secret; what a declaration that does not parse refers to is not known."""
    for name in _connections(project):
        for secret in _of(lambda name=name: project.connections.parse(Connection, at=(name,)).secrets):  # type: ignore[misc]
            yield partial(_resolve, project, secret)
    for secret in [*_of(lambda: project.platform.secrets), *_of(lambda: load_alerts(project).secrets)]:
        yield partial(_resolve, project, secret)
    yield lambda: load_keys(project, load_access(project))
    yield lambda: masking_secret(project, load_access(project))


def _resolve(project: Project, secret: Secret[str]) -> None:
    resolve(secret, project.secrets_folder)


def _connections(project: Project) -> list[str]:
    try:
        return project.connection_names()
    except ConfigError:
        return []


def _of(secrets: Callable[[], list[Secret[str]]]) -> list[Secret[str]]:
    try:
        return secrets()
    except (ConfigError, SecretMissingError):
        return []
