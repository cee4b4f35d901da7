"""Lines of text files with the number that an editor would show, however Spark splits the files."""

import re
from collections.abc import Mapping
from itertools import groupby
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.protocol import POSITION
from lakeloop.ingestion.sources.records import TEXT

GLOB_CHARACTERS = re.compile(r"([\[\]{}*?\\])")


def literal_path(path: str) -> str:
    """A path that Spark does not take for a pattern."""
    return GLOB_CHARACTERS.sub(r"\\\1", path)


def read_lines(spark: SparkSession, files: Mapping[str, str]) -> DataFrame:
    """All lines that are not blank, as `_text` and `_position`. `files` maps a path to the origin to show for it.

    Row ids grow by one within a split of a file, so the first id and the count of each split, taken in a pass that
    parses nothing, turn an id into a line number without a shuffle. The driver holds one row per split.
    """
    scanned = spark.read.text([literal_path(path) for path in files]).select(
        F.col("value").alias(TEXT),
        F.col("_metadata.file_path").alias("_file"),
        F.col("_metadata.file_block_start").alias("_split"),
        F.monotonically_increasing_id().alias("_id"),
    )
    splits = scanned.groupBy("_file", "_split").agg(F.min("_id").alias("first"), F.count("*").alias("lines")).collect()
    shifts = []
    for uri, of_file in groupby(sorted(splits), key=lambda split: split["_file"]):
        line = 1
        for split in of_file:
            shifts.append((uri, split["_split"], line - split["first"], files[_plain(uri)]))
            line += split["lines"]
    known = spark.createDataFrame(shifts, "_file string, _split bigint, _shift bigint, origin string")
    return (
        scanned.join(F.broadcast(known), ["_file", "_split"])
        .where(F.trim(TEXT) != "")
        .select(TEXT, F.struct("origin", (F.col("_id") + F.col("_shift")).alias("record")).alias(POSITION))
    )


def _plain(uri: str) -> str:
    """The path that was given to Spark, from the encoded URI that it reports."""
    return re.sub(r"^file:/+", "/", unquote(uri))
