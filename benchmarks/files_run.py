"""One way of bringing files in, in a process of its own: warmed by a few rows, then timed; prints a line of JSON."""

import json
import os
import sys
import time
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from benchmarks.cpu_time import cpu_seconds
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext

SCHEMA = "order_id STRING, customer_id STRING, ordered_at TIMESTAMP, channel STRING, quantity INT, price DOUBLE"


def main(way: str, kind: str, conf: Path, small: str, *drops: str) -> None:
    """Run `ours` or `plain` over `small` untimed, then over each of `drops`, one after the other into the same lake."""
    lake_root = os.environ["LAKELOOP_LAKE"]
    lake = verbs.open_lake(Project(conf))
    runs = []
    for number, drop in enumerate((small, small, *drops)):
        # The warm-up has lakes of its own, and twice the same work, so that compilers have done most of theirs.
        os.environ |= {
            "ORDERS_DROP": drop,
            "LAKELOOP_LAKE": f"{lake_root}-warm-{os.getpid()}-{number}" if number < 2 else lake_root,
        }
        started, cpu = time.monotonic(), cpu_seconds()
        rows = ours(conf) if way == "ours" else plain(lake.spark, kind, drop, os.environ["LAKELOOP_LAKE"])
        runs.append({"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - cpu, "rows": rows})
    runtime = lake.spark._jvm.java.lang.Runtime.getRuntime()
    lake.spark._jvm.System.gc()
    time.sleep(1)
    lake.spark._jvm.System.gc()
    live = (runtime.totalMemory() - runtime.freeMemory()) / 2**20
    python = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    print(json.dumps({"runs": runs[2:], "live_heap_mib": live, "python_peak_mib": python}))


def ours(conf: Path) -> int:
    """The pipeline with its rules, quarantine, catalog and metrics."""
    summary = verbs.run(Project(conf), [], RunContext("bench", "local"))
    for error in summary.failures.values():
        raise SystemExit(str(error))
    return summary.entries[0].counts.read


def plain(spark: SparkSession, kind: str, drop: str, root: str) -> int:
    """The plainest job: read with a schema, append to a Delta table; no rule, no place of a row, no record of files."""
    reader = spark.read.schema(SCHEMA)
    if kind == "csv":
        rows = reader.option("header", True).csv(drop)
    elif kind == "xml":
        rows = reader.format("com.databricks.spark.xml").option("rowTag", "order").load(drop)
    else:
        rows = reader.format(kind).load(drop)
    rows.write.format("delta").mode("append").save(f"{root}/plain")
    written = DeltaTable.forPath(spark, f"{root}/plain").history(1).select("operationMetrics.numOutputRows").first()
    return int(written[0]) if written else 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
