"""Good rows as events: each at least once, with what tells a repeated one."""

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from pyspark.sql import SparkSession

from lakeloop.core.config import Project
from lakeloop.core.errors import EngineError
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.events import open_events
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import Ledger
from lakeloop.verbs import validate
from tests.services.events import declare, ids, lake_of, new_topic, orders, run, send
from tools.kafka import KafkaBroker


def received(broker: KafkaBroker, topic: str) -> list[tuple[bytes | None, Any, dict[str, bytes]]]:
    """Everything that a topic of one partition has: key, value and headers."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while len(found) < end:
        for message in consumer.consume(end - len(found), timeout=10):
            assert message.error() is None
            found.append((message.key(), json.loads(message.value() or b"null"), dict(message.headers() or [])))
    consumer.close()
    return found


def test_good_rows_are_sent_with_their_batch_and_place(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic, out = new_topic(kafka), new_topic(kafka)
    send(kafka, topic, [*orders(1), b"bad", b'{"id":"x"}'])
    sink = {"table": "silver.events", "events": {"kafka": "events", "topic": out, "key": "id"}}
    project = declare(tmp_path, kafka, {"topics": [topic]}, sink=sink)
    assert validate(project) == []
    run(project)
    events = sorted(received(kafka, out))
    assert [(key, value) for key, value, _ in events] == [
        (b"o1", {"id": "o1", "amount": "1"}), (b"x", {"id": "x", "amount": None}),
    ]  # fmt: skip
    writer = Ledger(project.lake_root).history("events").last
    assert writer is not None
    batch = f"{writer.commit.writer}/0".encode()
    assert [headers for _, _, headers in events] == [
        {"lakeloop-batch": batch, "lakeloop-row": f"{topic}/0:{offset}".encode()} for offset in (0, 2)
    ]
    (sender,) = open_events(project, load_pipeline(project, "events"))
    sender.send(lake_of(spark, project), load_pipeline(project, "events"), writer)  # as a run does that was killed here
    repeated = [tuple(sorted(headers.items())) for _, _, headers in received(kafka, out)]
    assert (len(repeated), len(set(repeated))) == (4, 2)


def test_a_topic_that_takes_nothing_leaves_the_batch_to_the_next_run(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic, narrow, wide = new_topic(kafka), new_topic(kafka, max_message_bytes="100"), new_topic(kafka)
    send(kafka, topic, [b'{"id":"' + b"x" * 200 + b'"}'])

    def declared(out: str) -> Project:
        sink = {"table": "silver.events", "events": {"kafka": "events", "topic": out}}
        return declare(tmp_path, kafka, {"topics": [topic]}, sink=sink)

    said = rf"silver.events has the rows of batch 0, but Kafka did not take all .* for {narrow}: .*RecordTooLarge"
    with pytest.raises(EngineError, match=said):
        run(declared(narrow))
    assert [entry.batch_id for entry in run(declared(wide))] == [0]
    assert [value["id"] for _, value, _ in received(kafka, wide)] == ["x" * 200]


def test_topics_go_to_their_tables_and_events_are_those_of_a_route(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    orders_in, refunds_in, out = new_topic(kafka), new_topic(kafka), new_topic(kafka)
    send(kafka, orders_in, [*orders(1, 2), b'{"id": null, "amount": 3}'])
    send(kafka, refunds_in, orders(1))
    events = {"kafka": "events", "topic": out, "key": "id"}
    merged = {"mode": "merge", "keys": ["id"], "columns": ["id", "amount"], "events": events}
    routes = [
        {"where": f"topic = '{orders_in}'", "table": "silver.orders"} | merged,
        {"where": f"topic = '{refunds_in}'", "table": "silver.refunds"},
    ]
    source = {"topics": [orders_in, refunds_in], "message": {"topic": "topic"}}
    project = declare(tmp_path, kafka, source, sink={"routes": routes})
    assert validate(project) == []
    (entry,) = run(project)
    assert entry.by_table == {"silver.orders": 2, "silver.refunds": 1}
    assert entry.counts == RowCounts(read=4, good=3, quarantined=1)
    assert entry.message.endswith("; 2 to silver.orders, 1 to silver.refunds")
    assert ids(spark, project, "silver.orders") == ["o1", "o2"]
    assert ids(spark, project, "silver.refunds") == ["o1"]
    assert sorted((key, value) for key, value, _ in received(kafka, out)) == [
        (b"o1", {"id": "o1", "amount": "1"}), (b"o2", {"id": "o2", "amount": "2"}),
    ]  # fmt: skip
