"""Every file of the corpus in one batch with the others: each has its outcome, and the rest lands."""

import os
import re
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.files_spec import FilesSource
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.tables import Lake
from tests.corpus.cases import CANARY, Case, Surroundings, Values
from tests.corpus.make_corpus import LOTS, cases, write


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
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(1000).decode("latin-1"))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def ingest(spark: SparkSession, folder: Path, lot: str) -> Batch:
    """Write the lot, run its pipeline once, and collect what became of each file."""
    canary = folder / "canary.txt"
    canary.write_text(CANARY)
    with listener() as (address, heard):
        write(cases(lot), folder / "drop", Surroundings(canary, address))
        source = {"files": "drop", "fields": ["a", "b"], "settle": "0s", **LOTS[lot]}
        spec = PipelineSpec.model_validate(
            {"pipeline": lot, "description": "Hostile", "source": source, "sink": {"table": f"silver.{lot}"}}
        )
        assert isinstance(spec.source, FilesSource)
        lake = Lake(spark, str(folder / "lake"))
        catalog = FileCatalog(lake.root, lot, None)
        reader = FilesReader(spark, str(folder / "drop"), spec.source, catalog)
        entry = Pipeline(spec, reader, lake).run(RunContext("run", "test"), lambda text: None)
    files: dict[str, Found] = defaultdict(Found)
    catalogued = catalog.rows()
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


@pytest.fixture(scope="module", params=list(LOTS))
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
