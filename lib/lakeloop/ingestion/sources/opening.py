"""From a declared source to the reader that carries it out."""

from lakeloop.core import secrets
from lakeloop.core.config import FilesConnection, JdbcConnection, Project, RestConnection
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.jdbc import JdbcReader
from lakeloop.ingestion.sources.protocol import Source
from lakeloop.ingestion.sources.query import QueryReader
from lakeloop.ingestion.sources.rest import RestReader
from lakeloop.ingestion.spec import FilesSource, JdbcSource, PipelineSpec, RestSource
from lakeloop.lake.tables import Lake


def open_source(project: Project, spec: PipelineSpec, lake: Lake) -> Source:
    """The reader of a pipeline's source, with its connection and secrets resolved.

    Raises ConfigError for a connection that is missing or of another kind, SecretMissingError for a missing secret.
    """
    declared, wanted_by = spec.source, f"pipeline {spec.pipeline}"
    if isinstance(declared, FilesSource):
        folder = project.connection(declared.files, FilesConnection, wanted_by)
        return FilesReader(lake.spark, folder.path, declared)
    if isinstance(declared, JdbcSource):
        database = project.connection(declared.jdbc, JdbcConnection, wanted_by)
        password = secrets.resolve(database.password, project.secrets_folder)
        return JdbcReader(lake.spark, database, password, declared)
    if isinstance(declared, RestSource):
        api = project.connection(declared.rest, RestConnection, wanted_by)
        token = secrets.resolve(api.bearer_token, project.secrets_folder)
        return RestReader(lake.spark, api, token, declared, f"{lake.root}/_landing/{spec.pipeline}")
    return QueryReader(lake, declared, spec.model_dump_json())
