"""Every file of the corpus in one batch with the others: each has its outcome, and the rest lands."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.lake.tables import Lake
from tests.corpus.cases import CANARY, Case, Surroundings, Values
from tests.corpus.columnar_files import PLAIN, damaged
from tests.corpus.make_corpus import GROUPS, LOTS, cases, page, write

ROOT = Path(__file__).parents[2]
SMALL = ("declared", "found")


@dataclass
class Found:
    """What became of one file."""

    catalogued: str = "not listed"
    reason: str = ""
    good: dict[int, Values] = field(default_factory=dict)
    good_rows: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """The one batch of a lot."""

    entry: RunEntry
    lake: Lake
    files: dict[str, Found]
    catalog: list[dict[str, Any]]
    connections: list[str]


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that notes who connects."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                heard.append(str(peer))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def pipeline_of(spark: SparkSession, folder: Path, lot: str) -> Pipeline:
    """The pipeline of a lot, from `drop` to `lake` in the folder."""
    source = {"files": "drop", "fields": ["a", "b"], "settle": "0s", **LOTS[lot]}
    spec = PipelineSpec.model_validate(
        {"pipeline": lot, "description": "Hostile", "source": source, "sink": {"table": f"silver.{lot}"}}
    )
    assert isinstance(spec.source, FilesSource)
    lake = Lake(spark, str(folder / "lake"))
    return Pipeline(
        spec, FilesReader(spark, str(folder / "drop"), spec.source, FileCatalog(lake.root, lot, None)), lake
    )


def ingest(spark: SparkSession, folder: Path, lot: str) -> Batch:
    """Write the lot, run its pipeline once, and collect what became of each file."""
    canary = folder / "canary.txt"
    canary.write_text(CANARY)
    with listener() as (address, heard):
        write(cases(lot), folder / "drop", Surroundings(canary, address))
        pipeline = pipeline_of(spark, folder, lot)
        entry = pipeline.run(RunContext("run", "test"), lambda text: None)
    lake = pipeline.lake
    files: dict[str, Found] = defaultdict(Found)
    catalogued = FileCatalog(lake.root, lot, None).rows()
    for row in catalogued:
        file = files[Path(row["path"]).name]
        file.catalogued, file.reason = row["outcome"], row["reason"] or ""
    rows = lake.read(f"bronze.{lot}").select(
        "_position.*", "a", "b", "_verdict", F.array_join("_reasons.message", "; ").alias("said")
    )
    for row in rows.sort("origin", "record").toLocalIterator():
        file = files[row["origin"].removeprefix(f"{folder}/drop/").split("!/")[0]]
        if row["_verdict"] == "good":
            file.good_rows += 1
            if file.good_rows < 100:
                file.good[row["record"]] = (row["a"], row["b"])
        else:
            file.bad.append((row["record"], row["said"]))
    return Batch(entry, lake, files, catalogued, heard)


@pytest.fixture(scope="module", params=[*SMALL, pytest.param("plain", marks=pytest.mark.slow)])
def lot(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def batch(spark: SparkSession, lot: str, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return ingest(spark, tmp_path_factory.mktemp(lot), lot)


def differences(case: Case, found: Found) -> list[str]:
    """What is not as the case says, in words; nothing where all is."""
    wanted = "not listed" if case.left_alone else "refused" if case.refused else "read"
    wrong = []
    if found.catalogued != wanted or case.refused not in found.reason:
        wrong.append(f"{found.catalogued} {found.reason!r}")
    if found.good_rows != case.good_rows:
        wrong.append(f"{found.good_rows} good")
    if not isinstance(case.good, int) and found.good != case.good:
        wrong.append(f"good {str(found.good)[:300]}")
    if [line for line, _ in case.bad] != [line for line, _ in found.bad] or not all(
        words in said for (_, words), (_, said) in zip(case.bad, found.bad, strict=True)
    ):
        wrong.append(f"quarantined {str(found.bad)[:500]}")
    return wrong


def test_each_file_has_its_outcome(batch: Batch, lot: str) -> None:
    wrong = {}
    for case in cases(lot):
        if problems := differences(case, batch.files.get(os.fsdecode(case.file), Found())):
            wrong[os.fsdecode(case.file).encode("utf-8", "replace").decode()] = (case.outcome, problems)
    assert not wrong, "\n" + "\n".join(
        f"{name!r}: wanted {outcome}; found {', '.join(problems)}" for name, (outcome, problems) in wrong.items()
    )


def test_every_row_is_accounted_for(batch: Batch, lot: str) -> None:
    counts = batch.entry.counts
    assert batch.entry.outcome == "succeeded"
    assert counts == RowCounts(
        read=counts.good + counts.quarantined,
        good=sum(case.good_rows for case in cases(lot)),
        quarantined=sum(len(case.bad) for case in cases(lot)),
    )
    assert batch.lake.read(f"silver.{lot}").count() == counts.good
    assert counts == sum((RowCounts(*counts_of(row)) for row in batch.catalog), RowCounts())


def counts_of(row: dict[str, Any]) -> list[int]:
    return [row[f"rows_{name}"] for name in ("read", "good", "quarantined", "dropped")]


def test_the_catalog_has_each_file_once(batch: Batch, lot: str) -> None:
    listed = {os.fsdecode(case.file) for case in cases(lot) if not case.left_alone}
    assert sorted(Path(row["path"]).name for row in batch.catalog) == sorted(listed)
    assert {row["outcome"] for row in batch.catalog if row["reason"]} <= {"refused"}


def test_nothing_outside_was_reached(batch: Batch, lot: str) -> None:
    assert batch.connections == []
    everything = [path for path in Path(batch.lake.root).rglob("*") if path.is_file()]
    assert everything
    assert [path for path in everything if CANARY.encode() in path.read_bytes()] == []
    rows = batch.lake.read(f"bronze.{lot}").select(F.to_json(F.struct("*")).alias("row"))
    assert rows.where(F.contains("row", F.lit(CANARY))).collect() == []


def test_the_listener_hears() -> None:
    with listener() as (address, heard):
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as connection:
            assert connection.recv(1) == b""
    assert len(heard) == 1


def test_the_page_shows_the_corpus() -> None:
    text = (ROOT / "docs/hostile-files.md").read_text()
    assert text.endswith("\n\n" + page()), (
        "write what tests.corpus.make_corpus.page() gives below the page's introduction"
    )
    everything = [case for group in GROUPS.values() for case in group.CASES]
    assert len(everything) == sum(len(cases(lot)) for lot in LOTS)
    assert len({(case.lot, case.file) for case in everything}) == len(everything)


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends once bronze is written."""

    def write(self, table: str, frame: DataFrame, **options: Any) -> None:
        super().write(table, frame, **options)
        raise KilledError


def test_a_batch_without_its_damaged_file_is_what_the_ledger_holds(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/good.csv").write_text("a,b\n1,x\n")
    (tmp_path / "drop/good.parquet").write_bytes(PLAIN)
    (tmp_path / "drop/damaged.parquet").write_bytes(damaged(PLAIN, 8))
    pipeline = pipeline_of(spark, tmp_path, "plain")
    dying = replace(pipeline, lake=DyingLake(spark, pipeline.lake.root))
    with pytest.raises(KilledError):
        dying.run(RunContext("first", "test"), lambda text: None)
    planned = Ledger(pipeline.lake.root).history("plain")
    assert planned.last is not None
    refused = {Path(file["path"]).name: file["refused"] for file in planned.last.plan.details["files"]}
    assert "Spark cannot read it" in refused.pop("damaged.parquet")
    assert refused == {"good.csv": None, "good.parquet": None}
    entry = pipeline.run(RunContext("second", "test"), lambda text: None)
    assert (entry.batch_id, entry.counts) == (1, RowCounts(read=1_001, good=1_001))
    assert entry.message == "3 new files, 1 refused while they were read"
    runs = [(row["outcome"], row["batch_id"]) for row in Ledger(pipeline.lake.root).runs(9)]
    assert runs == [("withdrawn", 0), ("succeeded", 1)]
    assert pipeline.run(RunContext("third", "test"), lambda text: None).outcome == "nothing_new"


@contextmanager
def unprivileged() -> Iterator[None]:
    """This process as a user whom permissions bind, which they do not bind root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class BoundReader(FilesReader):
    """A reader that lists and looks into files as a user whom permissions bind."""

    def plan(self, *arguments: Any) -> Plan | None:
        with unprivileged():
            return super().plan(*arguments)


def test_a_file_without_permission_is_refused_and_taken_once_it_may_be_read(spark: SparkSession) -> None:
    with TemporaryDirectory(prefix="lakeloop-") as name:  # others than root may enter, unlike the folder of pytest
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "drop").mkdir()
        for file in ("first.csv", "locked.csv"):
            (folder / "drop" / file).write_text("a,b\n1,x\n1,x\n,\n")
        (folder / "drop/locked.csv").chmod(0)
        usual = pipeline_of(spark, folder, "plain")
        assert isinstance(usual.source, FilesReader)
        reader = BoundReader(spark, usual.source.folder, usual.source.spec, usual.source.catalog)
        pipeline = replace(usual, source=reader)
        entry = pipeline.run(RunContext("first", "test"), lambda text: None)
        assert (entry.counts.read, entry.message) == (3, "2 new files, 1 refused")
        refused = [(row["path"], row["reason"]) for row in reader.catalog.refused()]
        assert refused == [(f"{folder}/drop/locked.csv", "it cannot be read: Permission denied")]
        assert pipeline.run(RunContext("second", "test"), lambda text: None).outcome == "nothing_new"
        (folder / "drop/locked.csv").chmod(0o644)
        entry = pipeline.run(RunContext("third", "test"), lambda text: None)
        assert (entry.counts.read, entry.message) == (
            3, "1 new file, 1 with the content of another, 1 that could not be opened before",
        )  # fmt: skip
        assert reader.catalog.refused() == []
        assert pipeline.run(RunContext("fourth", "test"), lambda text: None).outcome == "nothing_new"
        origins = pipeline.lake.read("bronze.plain").groupBy("_position.origin").count().collect()
        assert {Path(row["origin"]).name: row["count"] for row in origins} == {"first.csv": 3, "locked.csv": 3}


@pytest.mark.slow
def test_memory_stays_bounded_whatever_the_size_of_a_line(tmp_path: Path) -> None:
    """Lines, texts, depth and cells of 100 MiB with a heap of 1 GiB; the driver and its JVM together."""
    script = [sys.executable, str(ROOT / "tests/corpus/large_batch.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    ended = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.strip().splitlines()[-1])
    assert found["outcomes"] == {  # good, quarantined
        "line.csv": [2, 1], "line.jsonl": [2, 1], "line.json": [1, 1], "deep.json": [1, 1], "header.csv": [0, 2],
        "text.xml": [1, 1], "siblings.xml": [1, 0], "cells.csv": [25, 0], "cells.jsonl": [25, 0], "cells.json": [25, 0],
    }  # fmt: skip
    assert sum(peak for _, peak in found["peaks"]) < 1536, found["peaks"]
