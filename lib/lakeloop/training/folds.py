"""Stratified splits that depend on the key and the seed only, not on the order or partitioning of the rows.

Rows of each class are ranked by a hash of seed and key; test set and folds are read off the rank, so their sizes are
exact. A plain window per class would sort each class in one task. Here rows are ranked within 1,024 hash buckets per
class in parallel and shifted by the counts of the buckets before, a table of at most 1,024 rows per class.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

BUCKETS = 1024


def split_train_test(df: DataFrame, key: str, label: str, test: float, seed: int) -> tuple[DataFrame, DataFrame]:
    """Split into (train, test); of `n` rows of a class exactly `n * test` are test rows, rounded half up.

    `key` identifies a row: rows that share it are put in an arbitrary order. NULL in `label` is a class of its own.
    """
    ranked = _ranked(df, key, label, seed)
    is_test = F.col("_rank") < F.round(F.col("_class_rows") * F.lit(test))
    train_rows, test_rows = ranked.where(~is_test), ranked.where(is_test)
    return train_rows.drop("_rank", "_class_rows"), test_rows.drop("_rank", "_class_rows")


def assign_folds(df: DataFrame, key: str, label: str, count: int, seed: int, fold_col: str = "fold") -> DataFrame:
    """Add `fold_col` (int, 0 to `count` - 1); the rows of a class are dealt out in turn, so sizes differ by at most 1.

    `key` identifies a row: rows that share it are put in an arbitrary order. NULL in `label` is a class of its own.
    """
    ranked = _ranked(df, key, label, seed)
    return ranked.withColumn(fold_col, (F.col("_rank") % count).cast("int")).drop("_rank", "_class_rows")


def _ranked(df: DataFrame, key: str, label: str, seed: int) -> DataFrame:
    """Add `_rank` (0-based within the class) and `_class_rows`."""
    hashed = df.withColumn("_hash", F.xxhash64(F.lit(seed), F.col(key).cast("string")))
    hashed = hashed.withColumn("_bucket", F.pmod(F.col("_hash"), F.lit(BUCKETS)))
    bucket_sizes = hashed.groupBy(F.col(label).alias("_class"), F.col("_bucket").alias("_of")).count()
    in_class = Window.partitionBy("_class")
    shifts = bucket_sizes.select(
        "_class",
        "_of",
        (F.sum("count").over(in_class.orderBy("_of")) - F.col("count")).alias("_shift"),
        F.sum("count").over(in_class).alias("_class_rows"),
    )
    in_bucket = F.row_number().over(Window.partitionBy(label, "_bucket").orderBy("_hash", key)) - 1
    same_bucket: Column = F.col(label).eqNullSafe(F.col("_class")) & (F.col("_bucket") == F.col("_of"))
    return (
        hashed.withColumn("_in_bucket", in_bucket)
        .join(F.broadcast(shifts), same_bucket)
        .withColumn("_rank", F.col("_in_bucket") + F.col("_shift"))
        .drop("_hash", "_bucket", "_of", "_class", "_in_bucket", "_shift")
    )
