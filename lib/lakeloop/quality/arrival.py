"""The order in which rows arrived, and the rows of earlier batches beside those that are judged now."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructField, StructType

from lakeloop.quality.row_rules.columns import value_of
from lakeloop.quality.rule import Rule

POSITION, BATCH_ID = "_position", "_batch_id"
ARRIVED, IS_NEW, SOUND = "_arrived", "_is_new", "_sound"  # of the frame alone, while it is judged
NOW = 2**62  # in place of a batch's number: after all batches that there were


def arrival(frame: DataFrame, in_order_of: Sequence[str] = ()) -> Column:
    """What orders rows by their arrival: their batch, then their position, then given columns, then their content."""
    return F.col(ARRIVED) if ARRIVED in frame.columns else _arrival(frame, F.lit(NOW), in_order_of)


def after_earlier(
    frame: DataFrame, declared: Sequence[Rule], earlier: DataFrame | None, in_order_of: Sequence[str] = ()
) -> DataFrame:
    """The rows of a frame and those before them, with `_arrived` and `_is_new`; `_sound` must be there already.

    Of the earlier rows only what rules with a horizon read is taken, in the types of the frame.
    """
    frame = frame.withColumn(ARRIVED, _told_apart(_arrival(frame, F.lit(NOW), in_order_of)))
    frame = frame.withColumn(IS_NEW, F.lit(True))
    if earlier is None:
        return frame
    causal = [rule for rule in declared if rule.is_causal]
    needed = {name.lower() for rule in causal for name in rule.reads}  # SQL finds them in any case
    types = {field.name: field.dataType for field in frame.schema}
    taken = [
        (value_of(name) if name in earlier.columns else F.lit(None)).cast(types[name]).alias(name)
        for name in types
        if name.lower() in needed
    ]
    batch = F.col(BATCH_ID).cast("long") if BATCH_ID in earlier.columns else F.lit(0).cast("long")
    arrived = _told_apart(_arrival(earlier, batch, in_order_of)).alias(ARRIVED)
    theirs = earlier.select(*taken, arrived, F.lit(False).alias(IS_NEW), F.lit(True).alias(SOUND))
    return frame.unionByName(theirs, allowMissingColumns=True)


def _told_apart(arrived: Column) -> Column:
    """An order in which one of two rows that are alike is first; which one is the same to everybody."""
    return arrived.withField("number", F.monotonically_increasing_id())


def _arrival(frame: DataFrame, batch: Column, in_order_of: Sequence[str]) -> Column:
    place = frame.schema[POSITION].dataType if POSITION in frame.columns else None
    names = place.names if isinstance(place, StructType) else []
    origin = F.col(POSITION)["origin"] if "origin" in names else F.lit("")
    record = F.col(POSITION)["record"].cast("long") if "record" in names else F.lit(None).cast("long")
    content = F.xxhash64(*(each for field in frame.schema for each in _content(field)))
    return F.struct(
        batch.alias("batch"),
        origin.alias("origin"),
        record.alias("record"),
        *(value_of(name).alias(f"order_{at}") for at, name in enumerate(in_order_of)),
        content.alias("content"),
    )


def _content(field: StructField) -> list[Column]:
    """What tells a value in a hash, which passes over NULLs and takes no maps."""
    value = value_of(field.name)
    if field.name.startswith("_"):
        return []
    is_nested = isinstance(field.dataType, ArrayType | MapType | StructType)
    return [F.to_json(F.struct(value.alias("it"))) if is_nested else value, value.isNull()]
