"""A CRM in a real PostgreSQL, and pipelines that read it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from demo.postgres import EmbeddedPostgres
from lakeloop.core.connections import JdbcConnection
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc import Database, JdbcReader
from lakeloop.ingestion.sources.protocol import Source
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.lake.tables import Lake

PASSWORD = "it's \\ a secret"
Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def running_postgres() -> Iterator[EmbeddedPostgres]:
    """A server for one module of tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), PASSWORD) as server:
            yield server


@contextmanager
def empty_database(server: EmbeddedPostgres) -> Iterator[Connection]:
    """A connection on which every statement is committed; no table is left behind."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        yield connection
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@dataclass(frozen=True)
class Crm:
    """A pipeline `t` over one database: `source` is what it declares beside the connection, which is called crm."""

    lake: Lake
    url: str
    source: dict[str, Any]
    user: str | None = "lakeloop"
    password: str | None = PASSWORD
    sink: Any = None
    transforms: tuple[dict[str, Any], ...] = ()

    def declaring(self, **source: Any) -> "Crm":
        """The same with another source."""
        return replace(self, source=source)

    @property
    def spec(self) -> PipelineSpec:
        """The declaration."""
        return PipelineSpec.model_validate({
            "pipeline": "t", "description": "T", "source": {"jdbc": "crm", **self.source},
            "transforms": list(self.transforms), "sink": self.sink or {"table": "silver.t"},
        })  # fmt: skip

    @property
    def reader(self) -> JdbcReader:
        """The source, opened."""
        secret = None if self.password is None else "${secret:p}"
        connection = JdbcConnection.model_validate({"url": self.url, "user": self.user, "password": secret})
        declared = self.spec.source
        assert isinstance(declared, JdbcSource)
        database = Database(self.lake.spark, connection, self.password, "crm", declared.what)
        return JdbcReader(self.lake, "t", database, declared)

    def plan(self, last: Plan | None = None) -> Plan | None:
        """What the next batch would read."""
        return self.reader.plan(last, lambda _: None)

    def next_plan(self) -> Plan | None:
        """What the next batch would read after those that have ended."""
        return self.plan(Ledger(self.lake.root).history("t").finished)

    def read(self) -> list[dict[str, Any]]:
        """The rows of a first batch, without Lakeloop's columns."""
        planned = self.plan()
        assert planned is not None
        rows = self.reader.read(planned).frame.collect()
        return [{name: value for name, value in row.asDict().items() if name[0] != "_"} for row in rows]

    def run(self, source: Source | None = None) -> RunEntry:
        """One batch to its end."""
        return Pipeline(self.spec, source or self.reader, self.lake).run(RunContext("run", "test"), lambda _: None)

    def quarantined(self) -> list[tuple[str, str]]:
        """Rules and messages of all quarantined rows, sorted."""
        bad = self.lake.read("bronze.t").where("_verdict = 'quarantined'").selectExpr("inline(_reasons)")
        return sorted((row[0], row[1]) for row in bad.collect())
