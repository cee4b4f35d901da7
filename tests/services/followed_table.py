"""A table of a real PostgreSQL that a pipeline follows: the server, the pipeline and its runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.connections import JdbcConnection
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.changes import source_columns
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.sources.cdc import CdcReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import read_as_text
from lakeloop.lake.ledger import Plan, RunEntry
from lakeloop.lake.tables import Lake

PASSWORD = "it's \\ a secret"
RUN = RunContext("run", "test")
Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def serving(**settings: str) -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), PASSWORD, {"wal_level": "logical", **settings}) as server:
            yield server


@contextmanager
def connecting(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    """A connection on which every statement is committed; no table, publication or slot is left behind."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        yield connection
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
        connection.execute("DROP PUBLICATION IF EXISTS lakeloop")
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def declared(**changes: Any) -> PipelineSpec:
    source = {"cdc": "crm", "table": "public.t", "slot": "lakeloop_t", "publication": "lakeloop"}
    sink = {"table": "silver.t", "mode": "merge", "keys": ["id"]}
    values = {"pipeline": "t", "description": "T", "source": source | changes.pop("source", {})}
    return PipelineSpec.model_validate(values | {"sink": sink | changes.pop("sink", {}), **changes})


def reader_of(
    root: str, postgres: EmbeddedPostgres, spec: PipelineSpec, spark: SparkSession | None = None, **changes: str
) -> CdcReader:
    """The reader of a pipeline; without Spark it plans."""
    url, user, password = (
        changes.get(key, default)
        for key, default in (("url", postgres.jdbc_url), ("user", "lakeloop"), ("password", PASSWORD))
    )
    connection = JdbcConnection.model_validate({"url": url, "user": user, "password": "${secret:p}"})
    keys, texts = source_columns(spec.sink.keys, spec.transforms), read_as_text(spec.transforms)
    return CdcReader(spark, connection, password, spec.source, root, spec.pipeline, keys, texts)  # type: ignore[arg-type]  # not both are None


def run(lake: Lake, postgres: EmbeddedPostgres, spec: PipelineSpec) -> RunEntry:
    return Pipeline(spec, reader_of(lake.root, postgres, spec, lake.spark), lake).run(RUN, lambda text: None)


def table(lake: Lake, *columns: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in lake.read("silver.t").select(*columns or ("*",)).collect())


def published(crm: Connection, columns: str = "id int PRIMARY KEY, v text") -> None:
    crm.execute(f"CREATE TABLE t ({columns})")
    crm.execute("CREATE PUBLICATION lakeloop FOR TABLE t")


def confirmed(crm: Connection) -> str:
    row = crm.execute("SELECT confirmed_flush_lsn::text FROM pg_replication_slots").fetchone()
    assert row is not None
    return str(row[0])


def planned(reader: CdcReader, last: Plan | None) -> Plan:
    """The next plan that has changes, each look being that of a run of its own."""
    while (plan := replace(reader, _first_look=[]).plan(last, lambda text: None)) is None:
        pass
    return plan
