"""A line that swallows every byte and stays open holds no run for ever: each system is given up in a sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.connections import JdbcConnection, KafkaConnection
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import KafkaSource
from lakeloop.ingestion.sources.cdc.server import connected
from lakeloop.ingestion.sources.jdbc import Database
from lakeloop.ingestion.sources.kafka.broker import Broker
from tests.crm import PASSWORD, running_postgres
from tools.kafka import KafkaBroker
from tools.proxy import Cut, TcpProxy


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def proxy(postgres: EmbeddedPostgres) -> Iterator[TcpProxy]:
    with TcpProxy(postgres.port) as proxy:
        yield proxy


def by_line(postgres: EmbeddedPostgres, proxy: TcpProxy) -> JdbcConnection:
    url = postgres.jdbc_url.replace(f":{postgres.port}/", f":{proxy.port}/")
    bounds = {"connect_timeout_seconds": 2, "read_timeout_seconds": 2}
    return JdbcConnection.model_validate({"url": url, "user": "lakeloop", "password": "${secret:p}"} | bounds)


def ask(postgres: EmbeddedPostgres, proxy: TcpProxy, statement: str, cut: Cut | None = None) -> list[Any]:
    """The rows of a statement by a connection for changes, whose line is cut once it is in a transaction."""
    with connected(by_line(postgres, proxy), PASSWORD, "bank") as opened, opened.transaction():
        opened.execute("SELECT 1")
        if cut is not None:
            proxy.cut(cut)
        return opened.execute(statement.encode()).fetchall()


def test_a_connection_for_changes_gives_up(postgres: EmbeddedPostgres, proxy: TcpProxy) -> None:
    with pytest.raises(SourceError, match=r"bank: .* says: no answer for 2 s \(read_timeout_seconds\); check that"):
        ask(postgres, proxy, "SELECT 2", "silent")
    with pytest.raises(SourceError, match=r"bank: .* says: .*time ?out"):
        ask(postgres, proxy, "SELECT 3")
    proxy.mend()
    # Each piece is waited for by itself, so that all of them together may take longer.
    rows = ask(postgres, proxy, "SELECT repeat('x', 20000), pg_sleep(0.7)::text FROM generate_series(1, 5)")
    assert len(rows) == 5
    with pytest.raises(SourceError, match="no answer for 2 s"):
        ask(postgres, proxy, "SELECT pg_sleep(30)")


def test_a_line_that_is_reset_is_said_at_once(postgres: EmbeddedPostgres, proxy: TcpProxy) -> None:
    with pytest.raises(SourceError, match=r"bank: .*; check that the server runs; the next run goes on"):
        ask(postgres, proxy, "SELECT 2", "refused")


@pytest.mark.slow
def test_a_reading_by_jdbc_gives_up(spark: SparkSession, postgres: EmbeddedPostgres, proxy: TcpProxy) -> None:
    database = Database(spark, by_line(postgres, proxy), PASSWORD, "bank", "t")
    assert database.ask("SELECT 1 AS one", {"one": "INT"}) == [{"one": 1}]
    with pytest.raises(SourceError, match=r"bank: reading t from .* failed: .*; check that the server runs"):
        database.ask("SELECT 1 AS one FROM pg_sleep(30)", {"one": "INT"})
    proxy.cut("silent")
    with pytest.raises(SourceError, match=r"bank: reading t from .* failed: "):
        database.ask("SELECT 1 AS one", {"one": "INT"})
    proxy.mend()
    assert database.ask("SELECT 1 AS one", {"one": "INT"}) == [{"one": 1}]


@pytest.mark.slow
def test_a_look_at_topics_gives_up(tmp_path: Path) -> None:
    with TcpProxy() as proxy, KafkaBroker(proxy.port) as kafka:
        proxy.target_port = kafka.behind_port
        kafka.create_topic("t")
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        producer.produce("t", b"{}")
        producer.flush(30)
        declared = {"bootstrap_servers": f"127.0.0.1:{proxy.port}", "timeout_seconds": 2}
        broker = Broker("events", KafkaConnection.model_validate(declared))
        spec = KafkaSource.model_validate(
            {"kafka": "events", "topics": ["t"], "format": {"json": {}}, "fields": ["id"]}
        )
        assert broker.look(spec).held["t", 0].end == 1
        assert proxy.lines
        proxy.cut("silent")
        with pytest.raises(SourceError, match=r"events: Kafka at 127\.0\.0\.1:\d+: .*; check bootstrap_servers"):
            broker.look(spec)
        proxy.mend()
        assert broker.look(spec).held["t", 0].end == 1
