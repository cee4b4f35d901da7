"""The session as users get it: what `conf/base` declares holds in a running Spark."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.core.session import build_session


def test_a_delta_table_is_written_and_read(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(3).write.format("delta").save(str(tmp_path / "three"))
    assert spark.read.format("delta").load(str(tmp_path / "three")).count() == 3


def test_declared_settings_hold(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"


def test_a_running_session_is_taken_with_only_what_it_lets_change(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    master = spark.sparkContext.master
    try:
        taken = build_session(
            {
                "spark.sql.shuffle.partitions": "3",
                "spark.master": "local[7]",
                "spark.driver.memory": "64g",
                "spark.sql.extensions": "no.such.Extension",
                "spark.sql.catalog.spark_catalog": "no.such.Catalog",
            }
        )
        assert taken is spark
        assert taken.conf.get("spark.sql.shuffle.partitions") == "3"
        assert taken.sparkContext.master == master
        assert taken.sql("SHOW TABLES").count() == 0
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", partitions or "2")


def test_a_function_is_looked_up_in_java_once(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    F.hex(F.col("id"))
    client, sent = spark.sparkContext._gateway._gateway_client, []
    send = client.send_command
    monkeypatch.setattr(client, "send_command", lambda command, *rest: sent.append(command) or send(command, *rest))
    found = F.hex(F.col("id"))
    assert [command[0] for command in sent] == ["c", "c"]  # two calls, no reflection
    assert spark.range(1).select(found).first() == ("0",)


@pytest.mark.parametrize("attempt", [1, 2])
def test_views_do_not_outlive_a_test(spark: SparkSession, attempt: int) -> None:
    assert not spark.catalog.tableExists("left_behind")
    spark.range(1).createTempView("left_behind")
