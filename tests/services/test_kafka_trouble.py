"""What goes wrong with a real broker, in words with the remedy; and messages that are gone before they were read."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from pyspark.sql import SparkSession

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.sources.opening import open_source
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import BATCHES, Ledger
from lakeloop.lake.ops_tables import read_rows
from lakeloop.monitoring.incidents import open_incidents
from tests.services.events import declare, ids, lake_of, new_topic, orders, run, send
from tools.certificates import write_certificates
from tools.kafka import KafkaBroker

PASSWORD = 'a "strange" \\ word'


def guarded(kafka: KafkaBroker, folder: Path, user: str, password: str = PASSWORD, **changes: Any) -> dict[str, Any]:
    """The settings of the guarded listener, with the password where a project looks for it."""
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets/kafka").write_text(password)
    return {
        "bootstrap_servers": kafka.guarded, "protocol": "SASL_SSL", "user": user, "password": "${secret:kafka}",
        "ca_certificate": str(kafka.ca_certificate), "timeout_seconds": 10,
    } | changes  # fmt: skip


@pytest.mark.slow
def test_a_user_with_rights_reads_over_tls(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(1, 2))
    kafka.add_user("reader", PASSWORD)
    kafka.allow("reader", "READ", topic)
    project = declare(tmp_path, kafka, {"topics": [topic]}, connection=guarded(kafka, tmp_path, "reader"))
    assert run(project)[0].counts == RowCounts(read=2, good=2)
    spec = load_pipeline(project, "events")
    source = open_source(project, spec, lake_of(spark, project)).usual
    assert PASSWORD not in repr(source)
    plan = Ledger(project.lake_root).history("events").finished
    assert plan is not None
    frame = source.read(plan).frame
    assert "strange" not in frame._jdf.queryExecution().toString()
    assert "strange" not in str(read_rows(project.lake_root, BATCHES))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong"}, r"user or password were refused; check both"),
        ({"user": "nobody"}, r"user or password were refused; check both"),
        ({"ca_certificate": "other"}, r"certificate verify failed.*name the certificate of the authority"),
        ({"ca_certificate": None}, r"certificate verify failed.*name the certificate of the authority"),
        ({"bootstrap_servers": "127.0.0.1:1"}, r"127\.0\.0\.1:1.*check bootstrap_servers, that the brokers are up"),
        ({"bootstrap_servers": "open"}, r"check that the listener speaks SASL_SSL|check bootstrap_servers"),
        ({"bootstrap_servers": "no.such.host.invalid:9092"}, r"no such host; check bootstrap_servers"),
    ],
)
def test_a_cluster_that_cannot_be_asked(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    kafka.add_user("reader", PASSWORD)
    connection = guarded(kafka, tmp_path, "reader", timeout_seconds=5)
    if changes.get("ca_certificate") == "other":
        write_certificates(tmp_path / "ca.pem", tmp_path / "server.pem", "127.0.0.1")
        changes = {"ca_certificate": str(tmp_path / "ca.pem")}
    if changes.get("bootstrap_servers") == "open":
        changes = {"bootstrap_servers": kafka.bootstrap}
    if "password" in changes:
        (tmp_path / "secrets/kafka").write_text(changes["password"])
        changes = {}
    whole = {key: value for key, value in (connection | changes).items() if value is not None}
    project = declare(tmp_path, kafka, {"topics": ["orders"]}, connection=whole)
    with pytest.raises(SourceError, match=f"^events: Kafka at .*{said}") as refused:
        run(project)
    assert "\n" not in str(refused.value)
    assert not any(word in str(refused.value) for word in ("strange", "wrong"))


def test_a_topic_without_rights_and_one_that_is_not_there(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(1))
    kafka.add_user("guest", PASSWORD)
    project = declare(tmp_path, kafka, {"topics": [topic]}, connection=guarded(kafka, tmp_path, "guest"))
    with pytest.raises(SourceError, match=rf"no topic {topic} on .*, or user guest has no right to DESCRIBE it"):
        run(project)
    kafka.allow("guest", "DESCRIBE", topic)
    grant = rf"--allow-principal User:guest --operation Read --topic {topic}"
    with pytest.raises(SourceError, match=rf"events: user guest may not read the topic {topic}; .*{grant}"):
        run(project)
    kafka.allow("guest", "READ", topic)
    assert run(project)[0].counts == RowCounts(read=1, good=1)
    near = declare(tmp_path, kafka, {"topics": [f"{topic}x"]})
    with pytest.raises(SourceError, match=rf"no topic {topic}x on .*did you mean '{topic}'"):
        run(near)


@pytest.mark.slow
def test_a_message_of_ten_megabytes_comes_in(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka, max_message_bytes="16777216")
    large = b'{"id":"' + b"x" * 10_000_000 + b'"}'
    send(kafka, topic, [large, large[:-1], *orders(1)])
    project = declare(tmp_path, kafka, {"topics": [topic]})
    assert run(project)[0].counts == RowCounts(read=3, good=2, quarantined=1)
    lengths = lake_of(spark, project).read("bronze.events").selectExpr("length(id)", "length(_original)").collect()
    assert {tuple(row) for row in lengths} == {(2, None), (10_000_000, None), (None, 10_000_008)}


def delete_before(kafka: KafkaBroker, topic: str, offset: int) -> None:
    """What retention does."""
    admin = kafka.admin
    wanted = TopicPartition(topic, 0, offset)
    admin.delete_records([wanted])[wanted].result(30)


def test_retention_that_overtakes_the_reader_stops_the_run_until_it_is_accepted(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(0, 1))
    project = declare(tmp_path, kafka, {"topics": [topic]})
    run(project)
    send(kafka, topic, orders(2, 3, 4, 5))
    delete_before(kafka, topic, 5)
    said = rf"events: 3 messages of {topic} partition 0 \(offsets 2 to 4\) had been deleted .*`on_data_loss: note`"
    for _ in range(2):
        with pytest.raises(SourceError, match=said):
            run(project)
    noting = declare(tmp_path, kafka, {"topics": [topic], "on_data_loss": "note"})
    entry = run(noting)[0]
    assert entry.counts == RowCounts(read=1, good=1)
    assert entry.message.startswith(
        f"1 message of {topic}, 0 behind; 3 messages of {topic} partition 0 (offsets 2 to 4)"
    )
    assert ids(spark, noting) == ["o0", "o1", "o5"]
    incidents = {each.last.fingerprint: each.last.message for each in open_incidents(noting.lake_root)}
    assert incidents["events:messages_lost:"].startswith("at least 3 messages were gone before they were read")
    assert run(noting)[0].outcome == "nothing_new"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fail", "note"])
def test_messages_that_expire_between_plan_and_read(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path, mode: str
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(0, 1, 2, 3))
    project = declare(tmp_path, kafka, {"topics": [topic], "on_data_loss": mode})
    spec, lake = load_pipeline(project, "events"), lake_of(spark, project)
    ledger = Ledger(lake.root)
    plan = open_source(project, spec, lake).plan(None, lambda text: None)
    assert plan is not None
    ledger.plan("events", plan, RunContext("run", "local"), ledger.history("events"))  # and killed here
    delete_before(kafka, topic, 3)
    if mode == "fail":
        with pytest.raises(
            SourceError, match=rf"3 messages of {topic} partition 0 \(offsets 0 to 2\) had been deleted"
        ):
            run(project)
        project = declare(tmp_path, kafka, {"topics": [topic], "on_data_loss": "note"})
    (entry,) = run(project)
    assert entry.counts == RowCounts(read=1, good=1)
    assert "3 messages" in entry.message
    assert ids(spark, project) == ["o3"]
    assert ledger.history("events").outcome == "succeeded"
    send(kafka, topic, orders(4))
    assert run(project)[0].counts.read == 1


def test_a_topic_that_was_deleted_and_made_anew(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(0, 1))
    project = declare(tmp_path, kafka, {"topics": [topic]})
    run(project)
    kafka.delete_topic(topic)
    with pytest.raises(SourceError, match=f"no topic {topic} on"):
        run(project)
    kafka.create_topic(topic)
    send(kafka, topic, orders(*range(5, 9)))  # more than were read of the old one, so that offsets alone tell nothing
    with pytest.raises(
        SourceError, match=rf"{topic} partition 0 was deleted and made anew, or cut: offset 2 was to be"
    ):
        run(project)
    noting = declare(tmp_path, kafka, {"topics": [topic], "on_data_loss": "note"})
    assert run(noting)[0].counts.read == 4
    assert run(noting)[0].outcome == "nothing_new"
    assert ids(spark, noting) == ["o0", "o1", "o5", "o6", "o7", "o8"]
