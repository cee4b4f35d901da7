"""Transactions that commit late and in any order, batches in between, runs that die: every row comes once."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.ingestion import pipeline
from lakeloop.ingestion.sources.jdbc import JdbcReader
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress
from lakeloop.lake.ledger import Plan
from lakeloop.lake.tables import Lake
from tests.crm import Connection, Crm, empty_database, running_postgres

WRITERS, ROUNDS = 4, 8


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


@dataclass(frozen=True)
class Dying:
    """A source whose process ends before it reads, or after bronze has the batch."""

    source: JdbcReader
    at: str

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        return self.source.plan(last, progress)

    def read(self, plan: Plan) -> Extract:
        if self.at == "read":
            raise KilledError
        return self.source.read(plan)

    def finish(self, ended: Ended) -> None:
        raise KilledError

    def release(self, plan: Plan) -> None:
        self.source.release(plan)


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def db(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with empty_database(postgres) as connection:
        yield connection


def insert(writer: Connection, draw: random.Random, cursor: str, first: int, now: int) -> None:
    """A few rows of a transaction that began now; some of one cursor value, some equal to others in everything."""
    for number in range(draw.randint(1, 3)):
        row = [draw.choice([first + number, 0]), now, draw.choice([None, "a"])]
        writer.execute(f"INSERT INTO t VALUES (%s, {cursor}, %s)", row)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "type_", "cursor", "overlap"),
    [
        (1, "timestamptz", "'2026-03-29 00:00Z'::timestamptz + %s * interval '1 minute'", f"{WRITERS * ROUNDS}m"),
        (2, "bigint", "%s", WRITERS * ROUNDS),
        (3, "date", "date '2026-01-01' + %s::int / 10", f"{WRITERS * ROUNDS}d"),
    ],
)
def test_every_row_is_in_bronze_once(
    spark: SparkSession, postgres: EmbeddedPostgres, db: Connection, tmp_path: Path,
    seed: int, type_: str, cursor: str, overlap: Any,
) -> None:  # fmt: skip
    draw = random.Random(seed)
    db.execute(f"CREATE TABLE t (id int, at {type_}, note text)")
    source = {"table": "t", "incremental": {"cursor": "at", "overlap": overlap}}
    crm = Crm(Lake(spark, str(tmp_path / "lake")), postgres.jdbc_url, source)
    outcomes: Counter[str] = Counter()
    with ExitStack() as stack:
        writers = [stack.enter_context(psycopg.connect(postgres.dsn)) for _ in range(WRITERS)]
        for now in range(ROUNDS):
            for number in draw.sample(range(WRITERS), 2):
                insert(writers[number], draw, cursor, 100 * now + 10 * number, now)
            for writer in draw.sample(writers, draw.randint(1, 2)):
                writer.rollback() if draw.random() < 0.2 else writer.commit()
            if draw.random() < 0.3:
                try:
                    crm.run(Dying(crm.reader, draw.choice(["read", "finish"])))
                except KilledError:
                    outcomes["killed"] += 1
            outcomes[crm.run().outcome] += 1
        for writer in writers:
            writer.commit()
    last = [crm.run().outcome for _ in range(2)]
    outcomes.update(last)
    assert last[-1] == "nothing_new"
    assert outcomes["killed"]
    assert outcomes["succeeded"] > 2
    expected = Counter(tuple(row) for row in db.execute("SELECT id, at::text, note FROM t"))
    text = "concat(cast(at AS string), '+00')" if type_ == "timestamptz" else "cast(at AS string)"
    found = Counter(map(tuple, crm.lake.read("bronze.t").selectExpr("id", text, "note").collect()))
    assert found == expected


@pytest.mark.slow
def test_a_batch_that_was_killed_before_it_was_published_is_read_again_where_its_rows_have_changed(
    spark: SparkSession, postgres: EmbeddedPostgres, db: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KilledError

    db.execute("CREATE TABLE t (id int, at int, note text)")
    db.execute("INSERT INTO t VALUES (1, 1, 'a'), (2, 2, NULL), (3, 3, 'c')")
    source = {"table": "t", "incremental": {"cursor": "at"}}
    sink = {"table": "silver.t", "mode": "merge", "keys": ["id"], "sequence_by": "at"}  # keys are looked at twice
    crm = Crm(Lake(spark, str(tmp_path / "lake")), postgres.jdbc_url, source, sink=sink)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "publish", die)
        with pytest.raises(KilledError):
            crm.run()
    db.execute("UPDATE t SET at = 4, note = 'b' WHERE id = 2")
    db.execute("DELETE FROM t WHERE id = 1")
    counts = crm.run().counts
    assert (counts.read, counts.good) == (1, 1)  # of the three, the others are gone or moved on
    assert crm.run().counts.read == 1
    found = sorted(map(tuple, crm.lake.read("silver.t").select("id", "at", "note").collect()))
    assert found == [(2, 4, "b"), (3, 3, "c")]
