"""What learning costs a batch, how much it keeps, and how long a look at 100,000 rule results takes; without Spark."""

import datetime as dt
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from benchmarks.measuring import spread
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.batch_profile import profile_batch
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.batch_profiles import past_batches
from lakeloop.lake.ledger import RUN_SCHEMA, RUNS, Batch, Plan
from lakeloop.lake.ops_tables import append_rows
from lakeloop.lake.rule_results import RULE_RESULT_SCHEMA, RULE_RESULTS
from lakeloop.lake.table_profiles import append_numbers
from lakeloop.lake.tables import Commit

FOUR = "{means: [n0, n1], shares: [s0, s1]}"
COLUMNS, KEPT, TRIES = 20, 500, 15
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
PIPELINE = """
pipeline: {name}
description: Made up
source: {{files: drop, formats: {{csv: {{}}}}, fields: [a]}}
sink: {{table: silver.{name}}}
watch_over: {watched}
"""


def costs() -> dict[str, Any]:
    """Milliseconds per batch by rows of the batch and what is watched, rows kept, and milliseconds of a look."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {
            f"batch of {rows:,} rows, {what}, {past} past batches": _per_batch(Path(folder) / f"{rows}{past}{what}",
                                                                               rows, past, watched)
            for rows, past in ((1_000, 0), (1_000, KEPT), (1_000_000, KEPT))
            for what, watched in (("nothing read", "{}"), ("two means and two shares", FOUR))
        }  # fmt: skip
        return {"milliseconds_per_batch": found, "look": _look(Path(folder) / "look")}


def _per_batch(folder: Path, rows: int, past: int, watched: str) -> dict[str, Any]:
    project = _project(folder, {"p": watched})
    spec, dice = load_pipeline(project, "p"), random.Random(1)
    batch = Batch(Commit("p-0123456789ab", past, "r"), Plan({}, "made up"))
    columns: dict[str, Any] = {f"n{i}": [float(dice.randrange(100)) for _ in range(1000)] for i in range(COLUMNS - 2)}
    columns |= {f"s{i}": [dice.choice("abcde") for _ in range(1000)] for i in range(2)}
    table = pa.table(columns)
    table = pa.concat_tables([table] * (rows // 1000)).append_column("_verdict", pa.array(["good"] * rows))
    write_deltalake(
        f"{project.lake_root}/bronze/p", table, partition_by=["_verdict"],
        commit_properties=CommitProperties(custom_metadata={"userMetadata": batch.commit.metadata}),
    )  # fmt: skip
    kept: list[tuple[Any, ...]] = []
    for number in range(past):
        where = ("silver.p", "p", number, None, NOW - dt.timedelta(hours=past - number))
        judged = {(None, "rows", None): 1e3, (None, "rows_read", None): 1e3, (None, "wait_seconds", None): 3600.0}
        if "means" in watched:
            judged |= {(f"n{i}", "mean", None): 50.0 for i in range(2)}
            judged |= {(f"s{i}", "share", value): 0.2 for i in range(2) for value in "abcde"}
        for (column, metric, category), value in judged.items():
            found = value * (1 + dice.random() / 50)
            kept += [(*where, column, metric + end, category, found * of) for end, of in
                     (("", 1), ("_low", 0.8), ("_high", 1.2))]  # fmt: skip
        kept += [(*where, f"n{i}", "null_share", None, 0.0) for i in range(COLUMNS - 2)]
    append_numbers(project.lake_root, kept)
    counts = RowCounts(rows, rows, 0, 0)
    times = _timed(lambda: profile_batch(project.lake_root, spec, batch, counts))
    newest = past_batches(project.lake_root, ["p"], only=[past])["p"]
    return {**times, "numbers_of_a_batch": len(newest.values), "rows_kept": len(kept)}


def _look(folder: Path, pipelines: int = 10, batches: int = 500, rules: int = 20) -> dict[str, Any]:
    """The rule results of 500 batches of ten pipelines with twenty rules: all tables, then one of them."""
    project = _project(folder, {f"p{number}": "{}" for number in range(pipelines)})
    dice, runs, results = random.Random(1), list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    for batch in range(batches):
        at = NOW - dt.timedelta(hours=batches - batch)
        for name in (f"p{number}" for number in range(pipelines)):
            run = (
                f"r{batch}",
                "run",
                name,
                f"silver.{name}",
                batch,
                "succeeded",
                100,
                99,
                1,
                0,
                at,
                at,
                "",
                "local",
                "a",
            )
            runs.append(run)
            for rule in range(rules):
                said = {"run_id": f"r{batch}", "pipeline": name, "batch_id": batch, "rules_version": "v",
                        "rule": f"rule_{rule}", "severity": "error", "violations": dice.randrange(2)}  # fmt: skip
                results.append(tuple(said.get(field.name) for field in RULE_RESULT_SCHEMA))
    append_rows(project.lake_root, RUNS, runs, RUN_SCHEMA)
    append_rows(project.lake_root, RULE_RESULTS, results, RULE_RESULT_SCHEMA)
    return {
        "rule_results": len(results),
        "milliseconds_all_tables": _timed(lambda: [table.rules for table in verbs.quality(project)]),
        "milliseconds_one_table": _timed(lambda: [table.rules for table in verbs.quality(project, ["p3"])]),
        "milliseconds_page_of_all": _timed(lambda: verbs.report_quality(project)),
    }


def _project(folder: Path, pipelines: dict[str, str]) -> Project:
    for part in ("conf/base/pipelines", "conf/local"):
        (folder / part).mkdir(parents=True)
    (folder / "conf/base/platform.yml").write_text(f"lake: {folder}/lake\n")
    (folder / "conf/base/connections.yml").write_text(f"drop: {{files: {{path: {folder}/drop}}}}\n")
    for name, watched in pipelines.items():
        (folder / f"conf/base/pipelines/{name}.yml").write_text(PIPELINE.format(name=name, watched=watched))
    return Project(folder / "conf", "local")


def _timed(work: Callable[[], object]) -> dict[str, dict[str, float]]:
    """Milliseconds of the clock and of the CPU, which other programs on the machine change less."""
    times = [_milliseconds(work) for _ in range(TRIES)]
    wall, cpu = zip(*times, strict=True)
    spreads = {"wall": spread(wall), "cpu": spread(cpu)}
    return {name: {key: round(value, 1) for key, value in of.items()} for name, of in spreads.items()}


def _milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    began, spent = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - began) * 1000, (time.process_time() - spent) * 1000
