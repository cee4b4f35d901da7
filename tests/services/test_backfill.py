"""A part that is read again beside a live watcher: the tables are as if it had been read so in the first place."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.durations import parse_duration
from lakeloop.core.errors import StreamError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.lake.tables import Lake

MERGE = {"table": "silver.t", "mode": "merge", "keys": ["id"], "sequence_by": "at"}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (id INTEGER, at INTEGER, name TEXT)")
    yield connection
    connection.close()


def declare(folder: Path, data: Path, **declared: Any) -> Project:
    """A project whose pipeline `t` reads the table t of a file of SQLite in `data`, by its column at."""
    base = folder / "conf/base"
    (base / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "conf/local").mkdir(exist_ok=True)
    urls = {"shop": {"jdbc": {"url": f"jdbc:sqlite:{data}/shop.db"}}, "drop": {"files": {"path": f"{data}/drop"}}}
    (base / "platform.yml").write_text(f"lake: {folder}/lake\n")
    (base / "connections.yml").write_text(yaml.safe_dump(urls))
    usual = {
        "pipeline": "t", "description": "T", "sink": MERGE,
        "source": {"jdbc": "shop", "table": "t", "incremental": {"cursor": "at", "overlap": 5}},
    }  # fmt: skip
    (base / "pipelines/t.yml").write_text(yaml.safe_dump(usual | declared, sort_keys=False))
    return Project(folder / "conf")


def run(project: Project) -> list[RunEntry]:
    summary = verbs.run(project, ["t"], RunContext("run", "local"))
    for error in summary.failures.values():
        raise error
    return list(summary.entries)


def again(project: Project, first: str, until: str | None = None, *, dry_run: bool = False) -> list[RunEntry]:
    context = RunContext("backfill", "local")
    return list(verbs.backfill(project, "t", verbs.Asked(first, until), context, dry_run=dry_run))


def rows(spark: SparkSession, project: Project, table: str = "silver.t") -> list[tuple[Any, ...]]:
    """The rows of users, sorted."""
    found = Lake(spark, project.lake_root).read(table)
    names = sorted(name for name in found.columns if name[0] != "_")
    return sorted((tuple(row) for row in found.select(*names).collect()), key=str)


@contextmanager
def watching(project: Project) -> Iterator[list[RunEntry]]:
    """A watcher in a thread of its own, whose entries are given as they come."""
    stop, seen = threading.Event(), list[RunEntry]()

    def told(_: RunContext, summary: verbs.RunSummary) -> None:
        seen.extend(summary.entries)
        assert not summary.failures, summary.failures

    thread = threading.Thread(target=verbs.watch, args=(project, ["t"], parse_duration("1s"), stop, told))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(120)


def wait_until_read(project: Project, upto: str) -> None:
    while True:
        finished = Ledger(project.lake_root).history("t").finished
        if finished is not None and finished.details["span"]["upto"] == upto:
            return
        assert threading.active_count() > 1
        time.sleep(0.2)


@pytest.mark.slow
def test_a_part_is_read_again_beside_a_watcher(spark: SparkSession, db: sqlite3.Connection, tmp_path: Path) -> None:
    project = declare(tmp_path, tmp_path)
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(n, n, "old") for n in range(1, 21)])
    run(project)
    # The source was mended without a trace in its cursor, and rows were lost.
    db.execute("UPDATE t SET name = 'mended' WHERE at BETWEEN 5 AND 18")
    Lake(spark, project.lake_root).handle("silver.t").delete("id IN (6, 7)")
    [planned] = again(project, "5", "21", dry_run=True)
    assert planned.message == "would read again from 5 to 21: 16 rows; nothing was written"
    with watching(project) as seen:
        db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(n, n, "new") for n in range(21, 24)])
        [entry] = again(project, "5", "21")
        assert (entry.counts.read, entry.message) == (16, "read again from 5 to 21, batch 1: 16 rows")
        db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(20, 20, "old"), (24, 24, None)])  # one has a twin now
        wait_until_read(project, "24")
    assert seen
    assert [entry.outcome for entry in run(project)] == ["nothing_new"]
    twins = Lake(spark, project.lake_root).read("bronze.t").where("id = 20")
    assert (twins.count(), twins.where("_fingerprint IS NOT NULL").count()) == (3, 2)  # read, read again, and come late
    db.execute("DELETE FROM t WHERE rowid = 20")  # in one batch the twins would be two rows of a key
    other = declare(tmp_path / "other", tmp_path)
    run(other)
    assert rows(spark, project) == rows(spark, other)
    ends = [(row["verb"], row["outcome"]) for row in Ledger(project.lake_root).runs(20) if row["rows_read"]]
    assert set(ends) == {("run", "succeeded"), ("backfill", "succeeded"), ("watch", "succeeded")}


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


def test_a_killed_backfill_is_finished_by_whoever_comes_and_goes_on_when_it_is_asked_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {
        "files": "drop",
        "formats": {"csv": {}},
        "fields": ["id", "at", "name"],
        "files_per_batch": 2,
        "settle": "0s",
    }
    strict = {"source": source, "trigger": "available_now", "rules": [{"is_in": {"column": "name", "values": ["a"]}}]}
    project = declare(tmp_path, tmp_path, **strict)
    (tmp_path / "drop").mkdir()
    for number in range(5):
        (tmp_path / f"drop/{number}.csv").write_text(f"id,at,name\n{number},1,a\nx{number},1,b\n,1,a\n")
    run(project)
    assert len(rows(spark, project)) == 5
    declare(tmp_path, tmp_path, **{**strict, "rules": []})
    [planned] = again(project, "1.csv", dry_run=True)
    assert planned.message == "would read again from 1.csv: 2 files, and 2 more in further batches; nothing was written"
    entries = verbs.backfill(project, "t", verbs.Asked("1.csv"), RunContext("backfill", "local"))
    assert next(entries).message == "read again from 1.csv, batch 1: 2 files, 2 left"

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "_publish", die)
        with pytest.raises(KilledError):
            next(entries)
    (tmp_path / "drop/0.csv").write_text("id,at,name\n0,2,b\n0,2,b\n")  # a newer file, and twins are in quarantine
    (tmp_path / "drop/9.csv").write_text("id,at,name\n9,2,c\n")
    assert [(entry.message, entry.counts.read) for entry in run(project)] == [
        ("read again from 1.csv, batch 2: 2 files", 6), ("2 new files", 3),
    ]  # fmt: skip
    assert [id_ for _, id_, _ in rows(spark, project)] == ["0", "1", "2", "3", "4", "x1", "x2", "x3", "x4", "9"]
    [entry] = again(project, "9.csv")
    assert (entry.message, entry.counts.good) == ("read again from 9.csv, batch 1: 1 file", 1)
    [entry] = again(project, "A")
    assert entry.message == "nothing that was read before is there from A"
    assert len(rows(spark, project)) == 10


def test_versions_that_come_late_stand_where_they_would_have_stood(
    spark: SparkSession, db: sqlite3.Connection, tmp_path: Path
) -> None:
    history = MERGE | {"history": "scd2"}
    project = declare(
        tmp_path, tmp_path, sink=history, source={"jdbc": "shop", "table": "t", "incremental": {"cursor": "at"}}
    )
    db.executemany("INSERT INTO t VALUES (1, ?, ?)", [(1, "a")])
    run(project)
    db.execute("INSERT INTO t VALUES (1, 9, 'a')")  # like the one before it, so it opens no interval
    run(project)
    db.execute("INSERT INTO t VALUES (1, 5, 'b'), (2, 5, NULL), (3, 5, 'x'), (3, 5, 'y')")  # much later than its time
    assert [entry.outcome for entry in run(project)] == ["nothing_new"]
    [entry] = again(project, "2")
    assert (entry.counts.good, entry.counts.quarantined) == (3, 2)
    found = Lake(spark, project.lake_root).read("silver.t").orderBy("effective_time")
    versions = found.where("id = 1").select("name", "effective_time", "end_time", "is_current").collect()
    assert [tuple(row) for row in versions] == [("a", 1, 5, False), ("b", 5, 9, False), ("a", 9, None, True)]
    declare(tmp_path, tmp_path, sink=MERGE | {"table": "silver.latest"})
    Lake(spark, project.lake_root).write(
        "silver.latest", spark.sql("SELECT 2L AS id, 9L AS at, 'z' AS name"), mode="append"
    )
    again(project, "2")
    assert rows(spark, project, "silver.latest") == [(9, 1, "a"), (9, 2, "z")]


@pytest.mark.usefixtures("spark")
def test_what_was_not_read_yet_or_is_paused_is_not_read_again(db: sqlite3.Connection, tmp_path: Path) -> None:
    project = declare(tmp_path, tmp_path)
    verbs.pause_stream(project, "t", "the shop moves", RunContext("stream", "local"))
    with pytest.raises(
        StreamError, match=r"t is paused by .*: the shop moves, and takes nothing in; `lakeloop stream re"
    ):
        again(project, "1")
    verbs.resume_stream(project, "t", "", RunContext("stream", "local"))
    with pytest.raises(StreamError, match="t has read nothing of its source yet"):
        again(project, "1")
