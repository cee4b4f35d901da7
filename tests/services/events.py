"""Projects whose only pipeline reads topics, and messages for them."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.tables import Lake
from tools.kafka import KafkaBroker

Message = bytes | None | tuple[bytes | None, dict[str, Any]]  # a value, or a value and what else `produce` takes


def new_topic(broker: KafkaBroker, partitions: int = 1, **config: str) -> str:
    """A topic that no other test has."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    broker.create_topic(name, partitions, **config)
    return name


def send(broker: KafkaBroker, topic: str, messages: Sequence[Message]) -> None:
    """Send messages, without more said all to partition 0, and wait until the broker has them."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "message.max.bytes": 2**24})
    failed: list[Any] = []
    for message in messages:
        value, more = message if isinstance(message, tuple) else (message, {})
        producer.produce(
            topic, value, on_delivery=lambda error, _: failed.append(error) if error else None,
            **({"partition": 0} | more),
        )  # fmt: skip
    assert producer.flush(30) == 0
    assert not failed


def orders(*numbers: int) -> list[Message]:
    """Orders as JSON objects, one per number."""
    return [json.dumps({"id": f"o{number}", "amount": number}).encode() for number in numbers]


def declare(folder: Path, broker: KafkaBroker, source: dict[str, Any], *, name: str = "events", **more: Any) -> Project:
    """A project in `folder` with a pipeline that reads by the open listener; `connection` and others by name."""
    base = folder / "conf/base"
    (base / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "conf/local").mkdir(exist_ok=True)
    (folder / "secrets").mkdir(exist_ok=True)
    connection = {"bootstrap_servers": broker.bootstrap} | more.pop("connection", {})
    connections = {"events": {"kafka": connection}} | more.pop("connections", {})
    (base / "platform.yml").write_text(f"lake: {folder}/lake\nsecrets_folder: {folder}/secrets\n")
    (base / "connections.yml").write_text(yaml.safe_dump(connections))
    whole = {"kafka": "events", "format": {"json": {}}, "fields": ["id", "amount"]} | source
    pipeline = {
        "pipeline": name, "description": "Events", "trigger": "available_now",
        "source": {key: value for key, value in whole.items() if value is not None},
        "sink": {"table": f"silver.{name}"},
    } | more  # fmt: skip
    (base / f"pipelines/{name}.yml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return Project(folder / "conf")


def run(project: Project, *names: str) -> list[RunEntry]:
    """Run pipelines (none named: all), and raise what the first that failed raised."""
    summary = verbs.run(project, names, RunContext("run", "local"))
    for error in summary.failures.values():
        raise error
    return list(summary.entries)


def lake_of(spark: SparkSession, project: Project) -> Lake:
    """The project's lake."""
    return Lake(spark, project.lake_root)


def ids(spark: SparkSession, project: Project, table: str = "silver.events") -> list[str]:
    """The ids of a table's rows, sorted."""
    return sorted(row["id"] for row in lake_of(spark, project).read(table).select("id").collect())


def quarantined(spark: SparkSession, project: Project, name: str = "events") -> dict[int, tuple[str, str, str | None]]:
    """By offset of quarantined rows: rule, message and original."""
    rows = lake_of(spark, project).read(f"bronze.{name}").where("_verdict = 'quarantined'")
    found = rows.selectExpr("_position.record AS at", "_reasons[0].rule", "_reasons[0].message", "_original").collect()
    return {row[0]: (row[1], row[2], row[3]) for row in found}
