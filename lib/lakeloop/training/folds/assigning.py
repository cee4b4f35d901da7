"""Test rows and folds that depend on keys and a seed only, not on the order or the partitioning of the rows.

Rows are ranked by a hash of seed and key, and test set and folds are read off the rank, so their sizes are exact. A
plain window over all rows, or over a class, would sort them in one task. Here they are ranked within 1,024 buckets of
the hash in parallel and shifted by what the buckets before hold, a table of at most 1,024 rows per class.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

BUCKETS = 1024


def split_train_test(
    df: DataFrame, key: str, test: float, seed: int, *, stratify_by: str | None = None
) -> tuple[DataFrame, DataFrame]:
    """Split into (train, test); of `n` rows exactly `n * test` are test rows, rounded half up.

    With `stratify_by` that holds of each of its values; NULL is one of them. `key` identifies a row: rows that share it
    are put in an arbitrary order.
    """
    ranked = _ranked(df, key, _stratum(stratify_by), seed)
    is_test = F.col("_rank") < F.round(F.col("_stratum_rows") * F.lit(test))
    return _plain(ranked.where(~is_test)), _plain(ranked.where(is_test))


def split_by_group(df: DataFrame, group: str, test: float, seed: int) -> tuple[DataFrame, DataFrame]:
    """Split into (train, test) so that rows with one value of `group`, or NULL in it, are on one side.

    Groups are taken for the test in an order by chance until `n * test` rows are reached, so that there are at most the
    rows of one group too many.
    """
    groups = df.groupBy(F.col(group).alias("_group")).agg(F.count("*").alias("_rows"))
    ranked = _ranked(groups, "_group", F.lit(0), seed, weight="_rows")
    is_test = ranked.select(
        "_group", (F.col("_rank") < F.round(F.col("_stratum_rows") * F.lit(test))).alias("_is_test")
    )
    placed = df.join(is_test, F.col(group).eqNullSafe(F.col("_group"))).drop("_group")
    return placed.where(~F.col("_is_test")).drop("_is_test"), placed.where("_is_test").drop("_is_test")


def assign_folds(
    df: DataFrame, key: str, count: int, seed: int, *, stratify_by: str | None = None, fold_col: str = "fold"
) -> DataFrame:
    """Add `fold_col` (int, 0 to `count` - 1); rows are dealt out in turn, so that sizes differ by at most 1.

    With `stratify_by` that holds of the rows of each of its values; NULL is one of them. `key` identifies a row: rows
    that share it are put in an arbitrary order.
    """
    ranked = _ranked(df, key, _stratum(stratify_by), seed)
    return _plain(ranked.withColumn(fold_col, (F.col("_rank") % count).cast("int")))


def assign_group_folds(df: DataFrame, group: str, count: int, seed: int, *, fold_col: str = "fold") -> DataFrame:
    """Add `fold_col` (int, 0 to `count` - 1), the same for all rows with one value of `group`, or NULL in it.

    Groups are dealt out from the largest to the smallest, those of one size in an order by chance, there and back
    (0, 1, 2, 2, 1, 0). The rows of two folds then differ by less than the largest group.
    """
    groups = df.groupBy(F.col(group).alias("_group")).agg(F.count("*").alias("_rows"))
    ranked = _ranked(groups, "_group", F.col("_rows"), seed)
    sizes = ranked.groupBy(F.col("_rows").alias("_size")).agg(F.count("*").alias("_groups"))
    larger = Window.orderBy(F.desc("_size"))  # in one task: a thousand sizes need half a million rows at least
    before = sizes.select("_size", (F.sum("_groups").over(larger) - F.col("_groups")).alias("_before"))
    turn = F.pmod(F.col("_before") + F.col("_rank"), F.lit(2 * count))
    fold = F.when(turn < count, turn).otherwise(2 * count - 1 - turn)
    folds = ranked.join(F.broadcast(before), F.col("_rows") == F.col("_size")).select(
        "_group", fold.cast("int").alias(fold_col)
    )
    return df.join(folds, F.col(group).eqNullSafe(F.col("_group"))).drop("_group")


def _stratum(column: str | None) -> Column:
    return F.lit(0) if column is None else F.col(column)


def _plain(ranked: DataFrame) -> DataFrame:
    return ranked.drop("_rank", "_stratum_rows")


def _ranked(df: DataFrame, key: str, stratum: Column, seed: int, weight: str | None = None) -> DataFrame:
    """Add `_rank`, from 0 within the stratum, and `_stratum_rows`; rows count `weight` each in both."""
    each = F.lit(1) if weight is None else F.col(weight)
    hashed = df.withColumns(
        {
            "_hash": F.xxhash64(F.lit(seed), F.col(key).cast("string")),
            "_stratum": stratum,
        }
    ).withColumn("_bucket", F.pmod(F.col("_hash"), F.lit(BUCKETS)))
    buckets = hashed.groupBy(F.col("_stratum").alias("_in"), F.col("_bucket").alias("_of")).agg(
        F.sum(each).alias("_rows_of")
    )
    in_stratum = Window.partitionBy("_in")
    shifts = buckets.select(
        "_in",
        "_of",
        (F.sum("_rows_of").over(in_stratum.orderBy("_of")) - F.col("_rows_of")).alias("_shift"),
        F.sum("_rows_of").over(in_stratum).alias("_stratum_rows"),
    )
    in_bucket = Window.partitionBy("_stratum", "_bucket").orderBy("_hash", key)
    before = F.sum(each).over(in_bucket.rowsBetween(Window.unboundedPreceding, Window.currentRow)) - each
    same_bucket: Column = F.col("_stratum").eqNullSafe(F.col("_in")) & (F.col("_bucket") == F.col("_of"))
    return (
        hashed.withColumn("_in_bucket", before)
        .join(F.broadcast(shifts), same_bucket)
        .withColumn("_rank", F.col("_in_bucket") + F.col("_shift"))
        .drop("_hash", "_bucket", "_of", "_stratum", "_in", "_in_bucket", "_shift")
    )
