"""A million rows of a Delta table scored by Spark: by the pipeline that it fitted, and by the archive, in turns.

`python -m benchmarks.scorer_over_spark` prints a table.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks.churn_data import KINDS
from benchmarks.cpu_time import cpu_seconds
from benchmarks.measuring import ROOT
from benchmarks.scorer_in_process import CANDIDATES, ROWS_LEARNED, SEED, declared, fitted, frame_of
from lakeloop.core.run_record import RunContext
from lakeloop.core.session import build_session, load_properties
from lakeloop.registry.scoring import score_rows, score_rows_by_archive
from lakeloop.scoring.archive import write_archive
from lakeloop.scoring.compiling.compiler import compile_pipeline

MILLION, DRAWN, TURNS = 1_000_000, 50_000, 2
RUN = RunContext("bench", "local")


def main() -> None:
    """Print what `measured` finds."""
    table = Table("model", "Spark, s", "CPU s", "archive, s", "CPU s", box=None)
    for name, found in measured().items():
        table.add_row(name, *(f"{found[key]:.3g}" for key in ("spark", "spark_cpu", "archive", "archive_cpu")))
    Console().print(table)


def measured(rows: int = MILLION, turns: int = TURNS) -> dict[str, dict[str, float]]:
    """Median seconds and CPU seconds by model and way, from a Delta table to a Delta table; 50,000 rows warm up."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        folder = Path(temporary)
        spark = build_session(
            load_properties([ROOT / "conf/base/spark.properties", ROOT / "conf/local/spark.properties"])
        )
        spark.sparkContext.setLogLevel("ERROR")
        drawn = frame_of(spark, DRAWN, SEED + 1).drop("_label")
        many = spark.range(rows // DRAWN).crossJoin(drawn).drop("id").repartition(4)
        many.write.format("delta").save(str(folder / "customers"))
        learned = frame_of(spark, ROWS_LEARNED, SEED)
        found = {}
        for name, candidate in CANDIDATES.items():
            found[name] = _of_model(spark, folder, name, candidate, learned, turns)
            print(name, found[name], flush=True)
        spark.stop()
        return found


def _of_model(
    spark: SparkSession, folder: Path, name: str, candidate: dict[str, Any], learned: DataFrame, turns: int
) -> dict[str, float]:
    spec = declared(candidate)
    model = fitted(spec, learned)
    model.save(str(folder / name))
    write_archive(compile_pipeline(folder / name, KINDS, spec.task), folder / f"{name}.zip")
    archive = (folder / f"{name}.zip").read_bytes()
    rows = spark.read.format("delta").load(str(folder / "customers"))
    ways: dict[str, Callable[[DataFrame], DataFrame]] = {
        "spark": lambda given: score_rows(model, given, spec, 1, RUN),
        "archive": lambda given: score_rows_by_archive(archive, given, spec, 1, RUN),
    }
    took: dict[str, list[float]] = {f"{way}{part}": [] for way in ways for part in ("", "_cpu")}
    for turn in range(turns + 1):
        for way, scores in ways.items():
            began, cpu = time.perf_counter(), cpu_seconds()
            scores(rows if turn else rows.limit(DRAWN)).write.format("delta").mode("overwrite").save(
                str(folder / "scores")
            )
            if turn:
                took[way].append(time.perf_counter() - began)
                took[f"{way}_cpu"].append(cpu_seconds() - cpu)
    return {way: statistics.median(each) for way, each in took.items()}


if __name__ == "__main__":
    main()
