"""From a declared source to the reader that carries it out."""

from lakeloop.core import secrets
from lakeloop.core.config import Project
from lakeloop.core.connections import AnyConnection, FilesConnection, JdbcConnection, KafkaConnection, RestConnection
from lakeloop.ingestion.changes import source_columns
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.landings import landing_folder
from lakeloop.ingestion.source_specs import (
    CdcSource,
    JdbcSource,
    JoinSource,
    KafkaSource,
    QuerySource,
    RestSource,
    TablesSource,
)
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.cdc import CdcReader
from lakeloop.ingestion.sources.cdc.server import libpq_address
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.sources.jdbc import Database, JdbcReader
from lakeloop.ingestion.sources.joins import JoinReader
from lakeloop.ingestion.sources.kafka import open_kafka, require_kafka
from lakeloop.ingestion.sources.protocol import System
from lakeloop.ingestion.sources.query import QueryReader
from lakeloop.ingestion.sources.replay import ReplayReader, WithReplays
from lakeloop.ingestion.sources.rest import RestReader
from lakeloop.ingestion.sources.tables import TablesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import read_as_text
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.lake.storage import absolute
from lakeloop.lake.tables import Lake


def find_connection(project: Project, spec: PipelineSpec) -> AnyConnection | None:
    """The connection that a pipeline's source names, None for what reads tables of the lake.

    Raises ConfigError for one that is missing or of another kind.
    """
    declared, wanted_by = spec.source, f"pipeline {spec.pipeline}"
    if isinstance(declared, FilesSource):
        return project.connection(declared.files, FilesConnection, wanted_by)
    if isinstance(declared, CdcSource):
        database = project.connection(declared.cdc, JdbcConnection, wanted_by)
        libpq_address(database.url, wanted_by)
        return database
    if isinstance(declared, JdbcSource):
        return project.connection(declared.jdbc, JdbcConnection, wanted_by)
    if isinstance(declared, KafkaSource):
        require_kafka(project, declared, wanted_by)
        return project.connection(declared.kafka, KafkaConnection, wanted_by)
    if isinstance(declared, RestSource):
        return project.connection(declared.rest, RestConnection, wanted_by)
    if isinstance(declared, TablesSource) and declared.folder is not None:
        return project.connection(declared.folder, FilesConnection, wanted_by)
    return None


def open_source(project: Project, spec: PipelineSpec, lake: Lake) -> WithReplays:
    """The reader of a pipeline's source, with its connection and secrets resolved, and beside it that of its replays.

    Raises ConfigError as `find_connection` does, SecretMissingError for a missing secret.
    """
    usual = open_system(project, spec, lake)
    return WithReplays(usual, ReplayReader(lake, spec, usual=usual))


def open_system(project: Project, spec: PipelineSpec, lake: Lake) -> System:
    """The reader of a pipeline's source alone; raises as `open_source` does."""
    match spec.source, find_connection(project, spec):
        case FilesSource() as declared, FilesConnection() as folder:
            catalog = FileCatalog(lake.root, spec.pipeline, spec.owner)
            return FilesReader(lake.spark, absolute(folder.path), declared, catalog, read_as_text(spec.transforms))
        case CdcSource() as declared, JdbcConnection() as database:
            password = _password(project, database)
            keys = source_columns(spec.targets[0].keys, spec.transforms)
            texts = read_as_text(spec.transforms)
            return CdcReader(lake.spark, database, password, declared, lake.root, spec.pipeline, keys, texts)
        case JdbcSource() as declared, JdbcConnection() as database:
            password = _password(project, database)
            asked = Database(lake.spark, database, password, declared.jdbc, declared.what)
            return JdbcReader(lake, spec.pipeline, asked, declared)
        case RestSource() as declared, RestConnection() as api:
            service = Service.of(declared.rest, api, project.secrets_folder)
            landing, versions = landing_folder(lake.root, spec.pipeline), SchemaVersions(lake.root, spec.pipeline)
            texts, at_once = read_as_text(spec.transforms), spec.sink.is_replaced
            return RestReader(lake.spark, service, declared, landing, versions, texts, at_once)
        case KafkaSource() as declared, KafkaConnection() as cluster:
            return open_kafka(project, declared, cluster, lake.spark)
        case TablesSource() as declared, folder:
            path = absolute(folder.path) if isinstance(folder, FilesConnection) else None
            keys = source_columns(spec.targets[0].keys, spec.transforms)
            texts = read_as_text(spec.transforms)
            return TablesReader(lake, declared, spec.pipeline, spec.tables[0], keys, texts, path)
        case QuerySource() as declared, _:
            return QueryReader(lake, declared, spec.model_dump_json(exclude={"columns", "keep"}))
        case JoinSource() as declared, _:
            return JoinReader(lake, declared, spec.pipeline)
    raise AssertionError(f"find_connection gave the wrong kind for {spec.pipeline}")


def _password(project: Project, database: JdbcConnection) -> str | None:
    return None if database.password is None else secrets.resolve(database.password, project.secrets_folder)
