"""The HTTP services that a pipeline's enrichments name, with their tokens."""

from dataclasses import dataclass, field

from lakeloop.core import secrets
from lakeloop.core.config import Project
from lakeloop.core.connections import RestConnection
from lakeloop.ingestion.spec import PipelineSpec


@dataclass(frozen=True)
class Service:
    """A connection and the value of its token, which stands in no log and no error."""

    connection: RestConnection
    token: str = field(repr=False)


def find_services(project: Project, spec: PipelineSpec) -> dict[str, RestConnection]:
    """The connections of a pipeline's HTTP enrichments; ConfigError for one that is missing or of another kind."""
    return {
        each.http.rest: project.connection(each.http.rest, RestConnection, f"pipeline {spec.pipeline}, enrich")
        for each in spec.enrich
        if each.http
    }


def open_services(project: Project, spec: PipelineSpec) -> dict[str, Service]:
    """The same with their tokens; SecretMissingError for one that has no value."""
    return {
        name: Service(connection, secrets.resolve(connection.bearer_token, project.secrets_folder))
        for name, connection in find_services(project, spec).items()
    }
