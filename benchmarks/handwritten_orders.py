"""The same work as the pipeline `orders`, as a good engineer writes it in one file of plain Spark."""

import time

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

FIELDS = "order_id STRING, customer_id STRING, ordered_at STRING, channel STRING, quantity STRING, price STRING"


def run(spark: SparkSession, drop: str, lake: str) -> dict[str, int]:
    """Bronze as read, silver with good rows, quarantine with reasons; returns the counts that it logs."""
    raw = (
        spark.read.schema(FIELDS + ", _corrupt STRING")
        .option("header", True)
        .option("enforceSchema", False)
        .option("columnNameOfCorruptRecord", "_corrupt")
        .csv(drop)
        .withColumn("_file", F.col("_metadata.file_path"))
        .withColumn("_ingested_at", F.lit(time.time()))
    )
    raw.write.format("delta").mode("append").save(f"{lake}/bronze")
    bronze = spark.read.format("delta").load(f"{lake}/bronze")

    typed = (
        bronze.withColumn("customer_id", F.trim("customer_id"))
        .withColumn("channel", F.trim("channel"))
        .withColumn("ordered_at_t", F.expr("try_cast(ordered_at AS timestamp)"))
        .withColumn("quantity_t", F.expr("try_cast(quantity AS int)"))
        .withColumn("price_t", F.expr("try_cast(price AS double)"))
    )
    reasons = F.array_compact(
        F.array(
            F.when(F.col("_corrupt").isNotNull(), F.lit("malformed")),
            F.when(F.col("order_id").isNull(), F.lit("order_id_is_not_null")),
            F.when(F.col("customer_id").isNull(), F.lit("customer_id_is_not_null")),
            F.when(F.col("ordered_at").isNotNull() & F.col("ordered_at_t").isNull(), F.lit("ordered_at_is_castable")),
            F.when(F.col("quantity").isNotNull() & F.col("quantity_t").isNull(), F.lit("quantity_is_castable")),
            F.when(F.col("price").isNotNull() & F.col("price_t").isNull(), F.lit("price_is_castable")),
            F.when((F.col("quantity_t") < 1) | (F.col("quantity_t") > 1000), F.lit("quantity_is_in_range")),
            F.when((F.col("price_t") < 0) | (F.col("price_t") > 10000), F.lit("price_is_in_range")),
            F.when(~F.col("channel").isin("web", "shop", "phone"), F.lit("channel_is_in")),
        )
    )
    checked = typed.withColumn("_reasons", reasons).persist()
    good = checked.where(F.size("_reasons") == 0).select(
        "order_id",
        "customer_id",
        F.col("ordered_at_t").alias("ordered_at"),
        "channel",
        F.col("quantity_t").alias("quantity"),
        F.col("price_t").alias("price"),
    )
    good.write.format("delta").mode("append").save(f"{lake}/silver")
    bad = checked.where(F.size("_reasons") > 0).drop("ordered_at_t", "quantity_t", "price_t")
    bad.write.format("delta").mode("append").save(f"{lake}/quarantine")
    counts = {
        "good": checked.where(F.size("_reasons") == 0).count(),
        "bad": checked.where(F.size("_reasons") > 0).count(),
    }
    checked.unpersist()
    version = DeltaTable.forPath(spark, f"{lake}/silver").history(1).select("version").first()
    spark.createDataFrame(
        [(int(version[0]), counts["good"], counts["bad"])], "v int, good long, bad long"
    ).write.format("delta").mode("append").save(f"{lake}/runs")
    return counts
