"""What a real PostgreSQL refuses, and what it cannot give: a sentence each, with the remedy. Starts no JVM."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.postgres import EmbeddedPostgres
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.cdc import slots
from lakeloop.ingestion.sources.protocol import Ended
from tests.services.followed_table import (
    PASSWORD,
    RUN,
    Connection,
    connecting,
    declared,
    planned,
    published,
    reader_of,
    serving,
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with serving(max_replication_slots="4", max_slot_wal_keep_size="64MB") as server:
        yield server


@pytest.fixture
def crm(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with connecting(postgres) as connection:
        yield connection


SETUP = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION lakeloop FOR TABLE t"


@pytest.mark.parametrize(
    ("before", "changes", "said"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY)", {}, "no publication 'lakeloop'; CREATE PUBLICATION lakeloop FOR TABLE"),
        (
            "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION lakeloop", {},
            r"the publication lakeloop does not have public\.t; ALTER PUBLICATION lakeloop ADD TABLE public\.t",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE PUBLICATION lakeloop FOR TABLE t", {},
            r"SET \(publish_via_partition_root = true\)",
        ),
        (
            SETUP + " WITH (publish = 'insert')", {},
            r"leaves out update, delete, truncate, .* SET \(publish = 'insert, update, delete, truncate'\)",
        ),
        (SETUP, {"source": {"table": "public.tt"}}, r"there is no table public\.tt; did you mean 'public\.t'\?"),
        (
            SETUP + "; ALTER TABLE t REPLICA IDENTITY NOTHING", {},
            r"public\.t has REPLICA IDENTITY NOTHING, .* REPLICA IDENTITY DEFAULT",
        ),
        (
            "CREATE TABLE t (id int, v text); CREATE PUBLICATION lakeloop FOR TABLE t", {},
            "has neither a primary key nor a replica identity, .* give it a primary key",
        ),
        (SETUP, {"sink": {"keys": ["v"]}}, r"tell its rows by id, but the sink's keys are v .*keys: \[id\]"),
        (
            "CREATE TABLE t (id int); CREATE PUBLICATION lakeloop FOR TABLE t; ALTER TABLE t REPLICA IDENTITY FULL",
            {"sink": {"keys": ["iid"]}}, "gives no column iid, .* did you mean 'id'",
        ),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_followed_is_refused_with_the_remedy(
    tmp_path: Path, postgres: EmbeddedPostgres, crm: Connection, before: str, changes: dict[str, Any], said: str
) -> None:
    crm.execute(before)  # type: ignore[call-overload]  # a text of this test
    with pytest.raises(SourceError, match=f"crm: .*{said}") as refused:
        reader_of(str(tmp_path), postgres, declared(**changes)).plan(None, lambda text: None)
    assert "\n" not in str(refused.value)
    assert crm.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)


def test_rights_and_addresses(tmp_path: Path, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    crm.execute(
        "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN PASSWORD 'word'; GRANT USAGE ON SCHEMA public TO clerk"
    )
    clerk = {"user": "clerk", "password": "word"}
    expect(
        tmp_path, postgres, clerk, r"permission denied to use replication slots\. .*; give .* ALTER ROLE … REPLICATION"
    )
    crm.execute("ALTER ROLE clerk REPLICATION")
    expect(tmp_path, postgres, clerk, r"permission denied for table t; .*GRANT SELECT")
    expect(tmp_path, postgres, {"password": "wrong"}, "password authentication failed .*; check user and password")
    expect(tmp_path, postgres, {"url": "jdbc:postgresql://127.0.0.1:1/crm"}, "refused.*; check that the server runs")
    nowhere = postgres.jdbc_url.replace("/crm", "/nowhere?password=hidden")
    expect(tmp_path, postgres, {"url": nowhere}, 'database "nowhere" does not exist; the database in the connection')


def expect(tmp_path: Path, postgres: EmbeddedPostgres, changes: dict[str, str], said: str) -> None:
    with pytest.raises(SourceError, match=f"crm: jdbc:postgresql://127.0.0.1:.* says: .*{said}") as refused:
        reader_of(str(tmp_path), postgres, declared(), **changes).plan(None, lambda text: None)
    assert not any(secret in str(refused.value) for secret in (PASSWORD, "wrong", "hidden", "'word'"))
    assert "\n" not in str(refused.value)


def test_a_slot_that_is_gone_used_or_lost(tmp_path: Path, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    reader = reader_of(str(tmp_path), postgres, declared())
    first = reader.plan(None, lambda text: None)
    with streaming(postgres), pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "BUSY_SECONDS", 0.2)
        with pytest.raises(SourceError, match=r"slot lakeloop_t is in use by the server's process \d+; only one"):
            reader.plan(first, lambda text: None)
    for _ in range(8):  # beyond max_slot_wal_keep_size
        crm.execute("CREATE TABLE u AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000); DROP TABLE u")
        crm.execute("SELECT pg_switch_wal()")
    crm.execute("CHECKPOINT")
    with pytest.raises(SourceError, match=r"lakeloop_t was invalidated: .*max_slot_wal_keep_size.* another name"):
        reader.plan(first, lambda text: None)
    crm.execute("SELECT pg_drop_replication_slot('lakeloop_t')")
    with pytest.raises(
        SourceError, match=r"the slot lakeloop_t is gone .* declare another name as the pipeline's slot"
    ):
        reader.plan(first, lambda text: None)
    crm.execute("SELECT pg_create_logical_replication_slot(s, 'pgoutput') FROM unnest(ARRAY['a', 'b', 'c', 'd']) s")
    with pytest.raises(SourceError, match="all replication slots are in use; raise max_replication_slots"):
        reader_of(str(tmp_path), postgres, declared(source={"slot": "lakeloop_t2"})).plan(first, lambda text: None)


@contextmanager
def streaming(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Another process that reads the slot; psycopg's own connection cannot end a stream."""
    other = psycopg.pq.PGconn.connect(f"{postgres.dsn} replication=database".encode())
    options = "proto_version '1', publication_names 'lakeloop'"
    other.exec_(f"START_REPLICATION SLOT lakeloop_t LOGICAL 0/0 ({options})".encode())
    try:
        yield
    finally:
        other.finish()


def test_a_table_made_anew_is_another_table(tmp_path: Path, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    reader = reader_of(str(tmp_path), postgres, declared())
    first = reader.plan(None, lambda text: None)
    crm.execute("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text); ALTER PUBLICATION lakeloop ADD TABLE t")
    with pytest.raises(SourceError, match=r"crm\.public\.t is another table than the one that was read"):
        reader.plan(first, lambda text: None)


def test_a_server_without_logical_decoding_and_one_that_goes_down(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        refused = pytest.raises(SourceError, match=r"wal_level is replica, .* set wal_level = logical")
        with EmbeddedPostgres(Path(folder), PASSWORD) as plain, refused:
            reader_of(str(tmp_path), plain, declared()).plan(None, lambda text: None)
        server = EmbeddedPostgres(Path(folder), PASSWORD, {"wal_level": "logical"})
        with server, psycopg.connect(server.dsn, autocommit=True) as crm:
            published(crm)
            crm.execute("INSERT INTO t VALUES (1, 'a')")
            reader = reader_of(str(tmp_path), server, declared())
            plan = planned(reader, None)

            def die(text: str) -> None:
                others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
                crm.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

            crm.execute("INSERT INTO t SELECT i, 'b' FROM generate_series(2, 20001) i")
            with pytest.raises(
                SourceError, match=r"(terminating connection|closed).*; (the server was shut|check that)"
            ):
                reader.plan(plan, die)
            assert len(list((tmp_path / "_landing/t").iterdir())) == 1
        with pytest.raises(SourceError, match=r"check that the server runs; the next run goes on"):
            reader.finish(Ended(plan, 0, RUN, {}))
