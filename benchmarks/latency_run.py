"""A reader of messages that runs until it is asked to end: `lakeloop watch`, or a stream written by hand."""

import datetime as dt
import os
import signal
import sys
from pathlib import Path
from threading import Event
from types import FrameType

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.kafka_data import SCHEMA
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext

INTERVAL = "1 second"
stop = Event()


def main(way: str, conf: Path, bootstrap: str, topic: str, root: str) -> None:
    """Say `ready` once Spark has started, then read until SIGTERM."""
    os.environ |= {"ORDERS_TOPIC": topic, "LAKELOOP_LAKE": root}
    project = Project(conf)
    spark = verbs.open_lake(project).spark

    def leave(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    print("ready", flush=True)
    if way == "lakeloop":
        verbs.watch(project, [], dt.timedelta(seconds=1), stop, told)
    else:
        stream(spark, bootstrap, topic, root)


def told(_: RunContext, summary: verbs.RunSummary) -> None:
    """End where a pipeline failed: its rows would come late."""
    for error in summary.failures.values():
        raise SystemExit(str(error))


def stream(spark: SparkSession, bootstrap: str, topic: str, root: str) -> None:
    """The plainest stream: read, parse by a schema, append to a Delta table."""
    options = {"kafka.bootstrap.servers": bootstrap, "subscribe": topic, "startingOffsets": "earliest"}
    messages = spark.readStream.format("kafka").options(**options).load()
    parsed = F.from_json(F.col("value").cast("string"), f"{SCHEMA}, sent_at DOUBLE").alias("order")
    writer = messages.select(parsed).select("order.*").writeStream.format("delta")
    query = writer.trigger(processingTime=INTERVAL).option("checkpointLocation", f"{root}/checkpoint")
    started = query.start(f"{root}/plain")
    stop.wait()
    started.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
