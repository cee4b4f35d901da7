"""Records of files with the number that a person would count, however Spark splits the files."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.line_parsers import TEXT
from lakeloop.ingestion.sources.protocol import POSITION
from lakeloop.lake.storage import literal_path

WHOLE = 4 << 20  # the text of a larger file weighs on the garbage collector, and Spark may split it
OWN = ("_file", "_split", "_id")


def read_whole(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    r"""The same as `read_lines` of files that end lines by \n or \r\n and are small enough to be a row each.

    Numbers come with the lines then, so the files are read once.
    """
    texts = spark.read.text([literal_path(path) for path in paths], wholetext=True)
    # A projection of its own, or it would be computed for each line.
    files = texts.select("value", origin_of_file().alias("origin"))
    lines = files.select("origin", F.posexplode(F.split("value", "\n")).alias("place", TEXT))
    place = F.struct("origin", (F.col("place") + 1).cast("bigint").alias("record"))
    text = F.expr(f"trim(TRAILING '\r' FROM {TEXT})")
    return lines.select(text.alias(TEXT), place.alias(POSITION)).where(F.trim(TEXT) != "")


def origin_of_file() -> Column:
    """The path that was given to Spark, in a frame of a file source, from the encoded URI that it reports."""
    uri = F.col("_metadata.file_path")
    is_plain = ~F.contains(uri, F.lit("%")) & ~F.contains(uri, F.lit("+")) & F.startswith(uri, F.lit("file:///"))
    decoded = F.regexp_replace(F.url_decode(F.replace(uri, F.lit("+"), F.lit("%2B"))), "^file:/+", "/")
    return F.when(is_plain, F.expr("substring(_metadata.file_path, 8)")).otherwise(decoded)


def read_lines(spark: SparkSession, files: Mapping[str, str]) -> DataFrame:
    """All lines that are not blank, as `_text` and `_position`. `files` maps a path to the origin to show for it."""
    scanned = spark.read.text([literal_path(path) for path in files]).withColumnRenamed("value", TEXT)
    return number_records(with_split(scanned), files).where(F.trim(TEXT) != "")


def with_split(scanned: DataFrame) -> DataFrame:
    """A frame of a file source with the columns that `number_records` needs."""
    return scanned.withColumns({
        "_file": F.col("_metadata.file_path"),
        "_split": F.col("_metadata.file_block_start"),
        "_id": F.monotonically_increasing_id(),
    })  # fmt: skip


def number_records(scanned: DataFrame, files: Mapping[str, str]) -> DataFrame:
    """Add `_position` by `_file`, `_split` and `_id`, which go.

    Row ids grow by one within a split of a file, so the first id and the count of each split, taken in a pass that
    parses nothing, turn an id into a number without a shuffle. The driver holds one row per split.
    """
    splits = scanned.groupBy("_file", "_split").agg(F.min("_id").alias("first"), F.count("*").alias("lines")).collect()
    shifts = []
    for uri, of_file in groupby(sorted(splits), key=lambda split: split["_file"]):
        number = 1
        for split in of_file:
            shifts.append((uri, split["_split"], number - split["first"], files[plain_path(uri)]))
            number += split["lines"]
    known = scanned.sparkSession.createDataFrame(shifts, "_file string, _split bigint, _shift bigint, origin string")
    place = F.struct("origin", (F.col("_id") + F.col("_shift")).alias("record"))
    return (
        scanned.join(F.broadcast(known), ["_file", "_split"])
        .withColumn(POSITION, place)
        .drop(*OWN, "_shift", "origin")
    )  # fmt: skip


def plain_path(uri: str) -> str:
    """The path that was given to Spark, from the encoded URI that it reports."""
    return re.sub(r"^file:/+", "/", unquote(uri))
