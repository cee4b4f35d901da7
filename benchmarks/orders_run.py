"""One way of bringing orders in, in a process of its own: prints seconds, Spark jobs and live memory as JSON."""

import json
import sys
import time
from pathlib import Path

from benchmarks import handwritten_orders
from benchmarks.cpu_time import cpu_seconds
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext


def main(way: str, conf: Path, drop: str) -> None:
    """Run `ours` or `handwritten`; the session is started and warmed before the clock."""
    project = Project(conf)
    lake = verbs.open_lake(project)
    spark = lake.spark
    spark.range(1000).selectExpr("sum(id)").collect()
    spark.sparkContext.setJobGroup("timed", way)
    started, cpu = time.monotonic(), cpu_seconds()
    if way == "ours":
        summary = verbs.run(project, [], RunContext("bench", "local"))
        counts = {"good": summary.entries[0].counts.good, "bad": summary.entries[0].counts.quarantined}
    else:
        counts = handwritten_orders.run(spark, drop, lake.root)
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
    jobs = len(spark.sparkContext.statusTracker().getJobIdsForGroup("timed"))
    runtime = spark._jvm.java.lang.Runtime.getRuntime()
    spark._jvm.System.gc()
    time.sleep(1)
    spark._jvm.System.gc()
    live = (runtime.totalMemory() - runtime.freeMemory()) / 2**20
    # Not `ru_maxrss`, which a child takes over from the process that started it.
    python = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "jobs": jobs, "live_heap_mib": live,
                      "python_peak_mib": python, **counts}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
