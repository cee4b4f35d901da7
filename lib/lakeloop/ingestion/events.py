"""Good rows as events: what a batch has published is sent to a topic, at least once."""

from dataclasses import dataclass, field

from pyspark.sql import functions as F

from lakeloop.core import secrets
from lakeloop.core.config import Project
from lakeloop.core.connections import KafkaConnection
from lakeloop.core.errors import EngineError
from lakeloop.core.spark_failures import SPARK_FAILURES, said
from lakeloop.ingestion.event_spec import Events
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.sources.protocol import AS_JSON, POSITION
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Batch
from lakeloop.lake.tables import Lake, data_columns
from lakeloop.lake.views import ROUTE
from lakeloop.quality.judgement import GOOD, VERDICT

BATCH_HEADER, ROW_HEADER = "lakeloop-batch", "lakeloop-row"


@dataclass(frozen=True)
class EventSender:
    """Sends the good rows of batches that go to one table.

    A run that is killed while it sends, sends the whole batch again. Two headers are the same for a repeated event:
    `lakeloop-batch` (writer and number) and `lakeloop-row` (where the row stood in its source).
    """

    target: Target
    spec: Events
    connection: KafkaConnection
    password: str | None = field(default=None, repr=False)

    def send(self, lake: Lake, pipeline: PipelineSpec, batch: Batch) -> None:
        """Send what bronze has of the batch, and wait until the cluster has it (acks=all).

        Raises EngineError where it does not take an event; the rows stay published, and the next run sends them again.
        """
        bronze = lake.read(pipeline.record_table)
        rows = bronze.where((F.col("_batch_id") == batch.batch_id) & (F.col(VERDICT) == GOOD))
        if self.target.route is not None:
            rows = rows.where(F.col(ROUTE) == self.target.route)
        shown = self.target.shown([name.strip("`") for name in data_columns(rows)])
        place = F.concat_ws(":", F.col(POSITION)["origin"], F.col(POSITION)["record"].cast("string"))
        identity = F.lit(f"{batch.commit.writer}/{batch.batch_id}")
        headers = [(BATCH_HEADER, identity), (ROW_HEADER, place)]
        key = F.col(f"`{self.spec.key}`").cast("string") if self.spec.key else F.lit(None).cast("string")
        events = rows.select(
            key.alias("key"),
            F.to_json(F.struct(*(f"`{name}`" for name in shown)), AS_JSON).alias("value"),
            F.array(
                *(F.struct(F.lit(n).alias("key"), v.cast("binary").alias("value")) for n, v in headers)
            ).alias("headers"),
        )  # fmt: skip
        options = self.connection.spark_options(self.password) | {
            "topic": self.spec.topic, "includeHeaders": "true", "kafka.acks": "all",
            "kafka.max.block.ms": str(int(self.connection.timeout_seconds * 1000)),
        }  # fmt: skip
        try:
            events.write.format("kafka").options(**options).save()
        except SPARK_FAILURES as failure:
            raise EngineError(
                f"{pipeline.pipeline}: {self.target.table} has the rows of batch {batch.batch_id}, but Kafka did not "
                f"take all of its events for {self.spec.topic}: {said(failure)}; check that the topic exists, that the "
                "user may WRITE to it and how long its messages may be, then run again: the events are sent again"
            ) from failure


def find_event_connections(project: Project, spec: PipelineSpec) -> list[tuple[Target, Events, KafkaConnection]]:
    """The tables that events are declared for; ConfigError for a connection that is missing or of another kind."""
    wanted_by = f"pipeline {spec.pipeline}, events"
    return [
        (target, target.events, project.connection(target.events.kafka, KafkaConnection, wanted_by))
        for target in spec.targets
        if target.events is not None
    ]


def open_events(project: Project, spec: PipelineSpec) -> tuple[EventSender, ...]:
    """What sends a pipeline's events, one per table with events; SecretMissingError for a missing secret."""
    return tuple(
        EventSender(target, events, connection, _password(project, connection))
        for target, events, connection in find_event_connections(project, spec)
    )


def _password(project: Project, connection: KafkaConnection) -> str | None:
    return None if connection.password is None else secrets.resolve(connection.password, project.secrets_folder)
