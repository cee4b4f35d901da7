"""One way of checking rows in a process of its own: warmed on few rows, then measured on all; prints a line of JSON.

Runs in the environments of rivals too, so it imports nothing but PySpark, psutil and what it is to measure.
"""

import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from benchmarks.cpu_time import cpu_seconds

WARM_UPS = 2


@dataclass(frozen=True)
class Tables:
    """Where the rows are, the table that they refer to, and where the way writes."""

    lines: str
    customers: str
    out: str

    def read(self, spark: SparkSession) -> DataFrame:
        """The rows."""
        return spark.read.parquet(self.lines)

    def referred(self, spark: SparkSession) -> DataFrame:
        """The table that they refer to."""
        return spark.read.parquet(self.customers)


def main(way: str, argument: str, small: str, lines: str, customers: str, out: str) -> None:
    """Run `module:function` with the tables and, if it is not empty, an argument; an argument is a whole number."""
    name, _, function = way.partition(":")
    module = importlib.import_module(name)
    settings = json.loads(os.environ["SPARK_SETTINGS"]) | getattr(module, "SETTINGS", {})
    spark = SparkSession.builder.appName(way).config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    given = (int(argument),) if argument else ()
    for _ in range(WARM_UPS):
        getattr(module, function)(spark, Tables(small, customers, out), *given)
        shutil.rmtree(out, ignore_errors=True)
    jobs, known = progress(spark)
    started, cpu = time.monotonic(), cpu_seconds()
    said = getattr(module, function)(spark, Tables(lines, customers, out), *given)
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
    jobs_after, stages = progress(spark)
    rows = spark.read.parquet(lines).count()
    found = {"seconds": seconds, "cpu_seconds": cpu, "jobs": jobs_after - jobs,
             "scans": scans(known, stages, rows), "rows": rows, "said": said}  # fmt: skip
    print(json.dumps(found, default=str), flush=True)
    os._exit(0)  # some rivals leave threads behind that would wait for ever


def progress(spark: SparkSession) -> tuple[int, dict[int, int]]:
    """Spark jobs so far, and the rows that each stage read from files or from a cache."""
    context: Any = spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()
    store = context._jsc.sc().statusStore()
    none = context._jvm.java.util.ArrayList()
    quantiles = context._gateway.new_array(context._jvm.double, 0)
    stages = store.stageList(none, False, False, quantiles, none)
    found = (stages.apply(index) for index in range(stages.size()))
    return store.jobsList(none).size(), {stage.stageId(): stage.inputRecords() for stage in found}


def scans(before: Mapping[int, int], after: Mapping[int, int], rows: int) -> int:
    """How often so many rows were read by the stages that are new; small tables beside them round to nothing."""
    return sum(round(read / rows) for stage, read in after.items() if stage not in before)


if __name__ == "__main__":
    main(*sys.argv[1:])
