"""Rows that are read again and were taken already: recognised by their fingerprint, of which bronze keeps the latest.

The fingerprint is made of all columns as the database gave them, so a row that differs in any value is another row;
neither a column that is added and NULL nor a wider type changes one. Rows that are equal in everything are counted:
where three are there and two were taken, one is new. Bronze, and no second place, knows what was taken; a batch that is
read again compares with the same earlier batches, as its plan numbers them, and the driver holds none of the rows.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType

from lakeloop.ingestion.sources.protocol import FINGERPRINT
from lakeloop.lake.tables import Lake
from lakeloop.quality.row_rules.columns import value_of

NTH, TAKEN = "_nth", "_taken"
IS_NEW = f"{NTH} > coalesce({TAKEN}, 0)"
BYTES = 16  # of SHA-256: two of 10^15 rows are alike by chance once in 10^8 times


def fingerprint(rows: DataFrame, columns: Sequence[str]) -> Column:
    """16 bytes that stand for a row; names count and NULLs do not, so (1, NULL) and (NULL, 1) differ.

    A value counts by its text, so that one is the same after its column has become wider, or a text.
    """
    is_binary = {name: isinstance(rows.schema[name].dataType, BinaryType) for name in columns}
    texts = (value_of(name) if is_binary[name] else value_of(name).cast("string").alias(name) for name in columns)
    text = F.to_json(F.struct(*texts), {"ignoreNullFields": "true"})
    return F.substring(F.unhex(F.sha2(text, 256)), 1, BYTES)


def taken_rows(lake: Lake, table: str, behind: int, upto: int) -> DataFrame | None:
    """The fingerprints in the batches (behind, upto] of a record table, whatever became of the rows; None: none yet."""
    if not lake.exists(table):
        return None
    record = lake.read(table)
    if FINGERPRINT not in record.columns:
        return None
    number = F.col("_batch_id")
    return record.where((number > behind) & (number <= upto) & F.col(FINGERPRINT).isNotNull()).select(FINGERPRINT)


def untaken(rows: DataFrame, taken: DataFrame | None) -> DataFrame:
    """The rows that are there more often than they were taken; which of equal rows is left makes no difference."""
    if taken is None:
        return rows
    return _counted(rows, taken).where(IS_NEW).select(*(value_of(name) for name in rows.columns))


def new_ones_marked(rows: DataFrame, taken: DataFrame | None) -> DataFrame:
    """All rows, and of these only the ones that were not taken keep their fingerprint.

    So the rows of a backfill that a batch has already are not counted a second time as taken, and an equal row that
    comes later is still found to be one more.
    """
    if taken is None:
        return rows
    mark = F.when(F.expr(IS_NEW), F.col(FINGERPRINT)).alias(FINGERPRINT)
    return _counted(rows, taken).select(*(mark if name == FINGERPRINT else value_of(name) for name in rows.columns))


def _counted(rows: DataFrame, taken: DataFrame) -> DataFrame:
    counts = taken.groupBy(FINGERPRINT).agg(F.count(F.lit(1)).alias(TAKEN))
    nth = F.row_number().over(Window.partitionBy(FINGERPRINT).orderBy(F.lit(1)))
    return rows.withColumn(NTH, nth).join(counts, FINGERPRINT, "left")
