"""One way of bringing messages in, in a process of its own: warmed by a few, then timed; prints a line of JSON."""

import json
import os
import sys
import time
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.cpu_time import cpu_seconds
from benchmarks.files_run import ours
from benchmarks.kafka_data import SCHEMA
from lakeloop import verbs
from lakeloop.core.config import Project


def main(way: str, conf: Path, bootstrap: str, small: str, topic: str) -> None:
    """Run one way over the topic `small` twice untimed, then over `topic`, each into a lake of its own."""
    lake_root = os.environ["LAKELOOP_LAKE"]
    os.environ["ORDERS_TOPIC"] = small
    spark = verbs.open_lake(Project(conf)).spark
    for number, name in enumerate((small, small, topic)):
        root = f"{lake_root}/{number}"
        os.environ |= {"ORDERS_TOPIC": name, "LAKELOOP_LAKE": root}
        started, cpu = time.monotonic(), cpu_seconds()
        rows = ours(conf) if way == "lakeloop" else plain(spark, bootstrap, name, root)
        seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "rows": rows}))


def plain(spark: SparkSession, bootstrap: str, topic: str, root: str) -> int:
    """The plainest job: read, parse by a schema, append to a Delta table; no rule, no place, no record of offsets."""
    messages = spark.read.format("kafka").options(**{"kafka.bootstrap.servers": bootstrap, "subscribe": topic}).load()
    rows = messages.select(F.from_json(F.col("value").cast("string"), SCHEMA).alias("order")).select("order.*")
    rows.write.format("delta").mode("append").save(f"{root}/plain")
    written = DeltaTable.forPath(spark, f"{root}/plain").history(1).select("operationMetrics.numOutputRows").first()
    return int(written[0]) if written else 0


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
