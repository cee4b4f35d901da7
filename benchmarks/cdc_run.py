"""One way of following a table, in a process of its own: warmed by a small one, then timed; prints a line of JSON."""

import json
import os
import sys
import time
from pathlib import Path

import psycopg
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.cdc_data import ROW, change, create
from benchmarks.cpu_time import cpu_seconds
from benchmarks.sources_run import run
from lakeloop import verbs
from lakeloop.core.config import Project

SMALL, SMALL_CHANGES = 20_000, 10_000
FILES_PER_BATCH = 10


def main(way: str, conf: Path, dsn: str, log: Path) -> None:
    """Bring the accounts up to date, after a table that is made, read and changed twice for that, untimed."""
    asked, warm = dict(os.environ), f"warm_{os.getpid()}"
    os.environ |= {"ACCOUNTS_TABLE": warm, "LAKELOOP_LAKE": f"{asked['LAKELOOP_LAKE']}_{warm}"}
    spark = verbs.open_lake(Project(conf)).spark
    with psycopg.connect(dsn, autocommit=True) as connection:
        create(connection, warm, SMALL)
        for turn in range(3):
            if turn:
                change(connection, warm, SMALL_CHANGES, turn, log.parent / warm)
            bring(way, conf, spark, log.parent / warm)
        if way == "lakeloop":
            connection.execute("SELECT pg_drop_replication_slot(%s)", [warm])
    os.environ |= asked
    started, cpu = time.monotonic(), cpu_seconds()
    bring(way, conf, spark, log)
    print(json.dumps({"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - cpu}))


def bring(way: str, conf: Path, spark: SparkSession, log: Path) -> None:
    """Let the table of the lake be what the one in the server is."""
    if way == "lakeloop":
        run(conf)
    else:
        plain(spark, log, os.environ["LAKELOOP_LAKE"])


def plain(spark: SparkSession, log: Path, root: str) -> None:
    """The plainest job: the last change of each key of a batch by one MERGE; no rule, no record, no history."""
    path = f"{root}/plain"
    if not DeltaTable.isDeltaTable(spark, path):
        options = {
            "url": os.environ["SHOP_URL"],
            "driver": "org.postgresql.Driver",
            "dbtable": os.environ["ACCOUNTS_TABLE"],
            "user": "lakeloop",
            "password": os.environ["LAKELOOP_SECRET_SHOP_PASSWORD"],
        }
        spark.read.format("jdbc").options(**options).load().write.format("delta").save(path)
        return
    columns = [part.split()[0] for part in ROW.split(", ")]
    values: dict[str, str] = {name: f"new.{name}" for name in columns}

    def merge(batch: DataFrame, _: int) -> None:
        newest_first = Window.partitionBy("id").orderBy(F.col("place").desc())
        latest = batch.withColumn("newest", F.row_number().over(newest_first)).where("newest = 1")
        into = DeltaTable.forPath(spark, path).alias("old").merge(latest.alias("new"), "old.id = new.id")
        into = into.whenMatchedDelete("new.op = 'd'").whenMatchedUpdate(set=values)
        into.whenNotMatchedInsert("new.op <> 'd'", values).execute()

    changes = spark.readStream.schema(f"op STRING, place BIGINT, {ROW}").option("maxFilesPerTrigger", FILES_PER_BATCH)
    writer = changes.json(str(log)).writeStream.foreachBatch(merge).trigger(availableNow=True)
    writer.option("checkpointLocation", f"{root}/checkpoint").start().awaitTermination()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
