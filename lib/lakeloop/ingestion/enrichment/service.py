"""The HTTP services that a pipeline's enrichments name."""

from lakeloop.core.config import Project
from lakeloop.core.connections import RestConnection
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.spec import PipelineSpec


def find_services(project: Project, spec: PipelineSpec) -> dict[str, RestConnection]:
    """The connections of a pipeline's HTTP enrichments.

    Raises ConfigError for one that is missing, of another kind, or without a rate limit: a look-up asks once per key.
    """
    found = {
        each.http.rest: project.connection(each.http.rest, RestConnection, f"pipeline {spec.pipeline}, enrich")
        for each in spec.enrich
        if each.http
    }
    for name, connection in found.items():
        if connection.rate_limit is None:
            raise ConfigError(
                f"{project.connections.place((name, 'rest'))}: pipeline {spec.pipeline} looks up each new key in "
                f"{name}, which has no rate_limit; declare how often it may be asked, as rate_limit: 20/s"
            )
    return found


def open_services(project: Project, spec: PipelineSpec) -> dict[str, Service]:
    """The same with their secrets; SecretMissingError for one that has no value."""
    return {
        name: Service.of(name, connection, project.secrets_folder)
        for name, connection in find_services(project, spec).items()
    }


__all__ = ["Service", "find_services", "open_services"]
