"""Topics of a Kafka cluster: offsets are planned in the ledger, then exactly these are read by Spark.

`offsets.py` decides what a batch reads, `broker.py` asks the cluster, `messages.py` and `avro.py` make rows of bytes,
`schemas.py` finds the schemas of Avro, `reader.py` joins them.
"""

from pyspark.sql import SparkSession

from lakeloop.core import secrets
from lakeloop.core.config import Project
from lakeloop.core.connections import KafkaConnection, RestConnection
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.source_specs.kafka import AvroMessages, KafkaSource
from lakeloop.ingestion.sources.kafka.broker import Broker
from lakeloop.ingestion.sources.kafka.reader import KafkaReader
from lakeloop.ingestion.sources.kafka.schemas import Registry, Schemas, load_schemas


def require_kafka(project: Project, spec: KafkaSource, wanted_by: str) -> None:
    """Raise ConfigError for a registry that is no REST connection, and for a schema file that is missing or none."""
    _registry(project, spec, wanted_by)
    load_schemas(project, spec)


def open_kafka(project: Project, spec: KafkaSource, cluster: KafkaConnection, spark: SparkSession) -> KafkaReader:
    """The reader of declared topics. Raises SecretMissingError for a missing secret, else what `require_kafka` does."""
    password = None if cluster.password is None else secrets.resolve(cluster.password, project.secrets_folder)
    found = _registry(project, spec, f"the source {spec.kafka}")
    registry = None
    if found is not None:
        name, connection = found
        registry = Registry(Service.of(name, connection, project.secrets_folder))
    broker = Broker(spec.kafka, cluster, password)
    return KafkaReader(spark, broker, spec, Schemas(load_schemas(project, spec), registry))


def _registry(project: Project, spec: KafkaSource, wanted_by: str) -> tuple[str, RestConnection] | None:
    kind = spec.format.kind
    if not isinstance(kind, AvroMessages) or kind.registry is None or kind.registry.rest is None:
        return None
    return kind.registry.rest, project.connection(kind.registry.rest, RestConnection, f"{wanted_by}, registry")


__all__ = ["KafkaReader", "open_kafka", "require_kafka"]
