"""What may be declared of a Kafka cluster and of topics, and how a connection becomes settings."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.core.connections import KafkaConnection
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs import KafkaSource
from lakeloop.ingestion.sources.kafka.broker import Broker

USER = {"user": "clerk", "password": "${secret:kafka}"}
SERVER = {"bootstrap_servers": "a:9092,b:9092"}
TOPIC = {"kafka": "events", "topics": ["orders"]}
JSON = {"format": {"json": {}}, "fields": ["id"]}


def test_an_open_listener_needs_no_more_than_its_address() -> None:
    connection = KafkaConnection.model_validate(SERVER)
    assert connection.spark_options(None) == {
        "kafka.bootstrap.servers": "a:9092,b:9092", "kafka.security.protocol": "PLAINTEXT",
    }  # fmt: skip
    assert "sasl.mechanism" not in connection.client_settings(None)
    assert connection.secrets == []


@pytest.mark.parametrize(
    ("mechanism", "module"),
    [
        (None, "scram.ScramLoginModule"),
        ("SCRAM-SHA-256", "scram.ScramLoginModule"),
        ("PLAIN", "plain.PlainLoginModule"),
    ],
)
def test_a_user_and_a_certificate_reach_both_clients(tmp_path: Path, mechanism: str | None, module: str) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    declared = SERVER | USER | {"protocol": "SASL_SSL", "ca_certificate": str(tmp_path / "ca.pem")}
    connection = KafkaConnection.model_validate(declared | ({"mechanism": mechanism} if mechanism else {}))
    options, settings = connection.spark_options('p"w\\'), connection.client_settings('p"w\\')
    assert options["kafka.sasl.jaas.config"] == (
        f"org.apache.kafka.common.security.{module} required "
        r'username="clerk" password="p\"w\\";'
    )
    assert options["kafka.ssl.truststore.certificates"] == settings["ssl.ca.pem"] == "-----BEGIN CERTIFICATE-----\n"
    assert options["kafka.sasl.mechanism"] == settings["sasl.mechanism"] == (mechanism or "SCRAM-SHA-512")
    assert (settings["sasl.username"], settings["sasl.password"]) == ("clerk", 'p"w\\')


def test_a_certificate_that_is_not_there_is_named() -> None:
    connection = KafkaConnection.model_validate(SERVER | {"protocol": "SSL", "ca_certificate": "/nowhere/ca.pem"})
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem cannot be read"):
        connection.client_settings(None)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"bootstrap_servers": "a"}, "bootstrap_servers"),
        (SERVER | {"protocol": "SASL_SSL"}, "these need both"),
        (SERVER | USER, "belong to protocol SASL_SSL"),
        (SERVER | {"protocol": "SASL_SSL", "user": "clerk"}, "these need both"),
        (SERVER | {"mechanism": "PLAIN"}, "mechanism belongs"),
        (SERVER | {"ca_certificate": "ca.pem"}, "ca_certificate belongs"),
        (SERVER | USER | {"protocol": "SASL_SSL", "password": "letmein"}, "by reference"),
        (SERVER | {"protocl": "SSL"}, "did you mean 'protocol'"),
    ],
)
def test_a_connection_that_cannot_work_is_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KafkaConnection.model_validate(declared)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (JSON | {"kafka": "events"}, "either topics or a topic_pattern"),
        (TOPIC | JSON | {"topic_pattern": "o.*"}, "either topics or a topic_pattern"),
        (JSON | {"kafka": "events", "topic_pattern": "("}, "not a regular expression"),
        (JSON | {"kafka": "events", "topics": ["a b"]}, "topics"),
        (JSON | {"kafka": "events", "topics": ["a", "a"]}, "a topic stands twice"),
        (TOPIC | {"format": {"json": {}}}, "fields belong to json and avro"),
        (TOPIC | {"format": {"text": {}}, "fields": ["a"]}, "fields belong to json and avro"),
        (TOPIC | {"format": {}}, "exactly one of the keys"),
        (TOPIC | {"format": {"json": {}, "raw": {}}, "fields": ["a"]}, "exactly one of the keys"),
        (TOPIC | {"format": {"avro": {}}, "fields": ["a"]}, "either a schema_file or a registry"),
        (TOPIC | {"format": {"avro": {"registry": {}}}, "fields": ["a"]}, "a `rest` connection"),
        (TOPIC | JSON | {"message": {"key": "ID"}}, "id: a column stands twice"),
        (TOPIC | JSON | {"start": {"time": "2026-01-01T00:00:00"}}, "timezone"),
        (TOPIC | JSON | {"max_messages": 0}, "greater than 0"),
        (TOPIC | JSON | {"on_dataloss": "note"}, "did you mean 'on_data_loss'"),
    ],
)
def test_a_source_that_cannot_work_is_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KafkaSource.model_validate(declared)


def test_the_columns_of_a_message_follow_from_its_format() -> None:
    assert KafkaSource.model_validate(TOPIC | JSON).columns == ("id",)
    assert KafkaSource.model_validate(TOPIC | {"format": {"text": {}}}).columns == ("text",)
    assert KafkaSource.model_validate(TOPIC | {"format": {"raw": {"field": "body"}}}).columns == ("body",)
    start = KafkaSource.model_validate(TOPIC | JSON | {"start": {"time": "1970-01-01T01:00:01.5+01:00"}}).start
    assert not isinstance(start, str)
    assert start.milliseconds == 1500


WAITED = "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node. Call: x"
GONE = "org.apache.kafka.common.errors.DisconnectException: gone."
FETCHED = "java.util.concurrent.TimeoutException: Cannot fetch record for offset 7 in 8000 milliseconds"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"Job aborted\nCaused by: {WAITED}\n\tat java.base",
            "failed: Timed out waiting for a node. Call: x; check boot",
        ),
        (FETCHED, "failed: Cannot fetch record for offset 7 in 8000 milliseconds; check bootstrap_servers"),
        (f"{WAITED}\nCaused by: {GONE}", "failed: gone; check bootstrap_servers"),
        ("org.apache.kafka.common.errors.GroupAuthorizationException: Not authorized to access group: lakeloop", None),
        ("java.util.concurrent.TimeoutException: Futures timed out after [100 seconds]", None),
    ],
)
def test_what_spark_says_of_kafka_is_a_sentence(said: str, told: str | None) -> None:
    broker = Broker("events", KafkaConnection.model_validate(SERVER))
    error = broker.explained(said)
    if told is None:
        assert error is None
    else:
        assert told in str(error)
        assert str(error).startswith("events: reading from Kafka at a:9092,b:9092 failed: ")
        assert str(error).endswith("the next run reads the same offsets")
