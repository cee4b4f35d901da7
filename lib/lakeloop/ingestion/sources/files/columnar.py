"""Files with columns of their own types: Parquet, ORC and Avro."""

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.files.numbering import number_records, origin_of_file, with_split
from lakeloop.ingestion.sources.headers import match_names
from lakeloop.ingestion.sources.line_parsers import MALFORMED, MISSING
from lakeloop.ingestion.sources.protocol import AS_JSON, ORIGINAL, POSITION, RESCUED
from lakeloop.lake.storage import literal_path
from lakeloop.quality.row_rules.columns import value_of


def read_columns(
    spark: SparkSession,
    kind: str,
    paths: Sequence[str],
    declared: Sequence[str],
    aliases: Mapping[str, Sequence[str]] | None = None,
) -> DataFrame:
    """Rows of files that share a schema, each with its place in its file from 1.

    Fields keep the type that they have in the file. Columns are matched by name; one that is not declared goes to
    `_rescued`, those declared ones that are absent stand in `_missing`.
    """
    scanned = spark.read.format(kind).load([literal_path(path) for path in paths])
    columns = [name for name in scanned.columns if name]
    names = match_names(columns, declared, aliases)
    absent = [name for name in declared if name not in names]
    extra = [name for name in columns if name not in names.values()]
    none = F.lit(None).cast("string")
    own: dict[str, Column] = {
        ORIGINAL: F.struct(*(value_of(name) for name in columns)),
        RESCUED: F.to_json(F.struct(*(value_of(name) for name in extra))) if extra else none,
        MALFORMED: none,
        MISSING: F.lit(",".join(absent)) if absent else none,
    }
    fields = [(value_of(names[name]) if name in names else F.lit(None).cast("string")).alias(name) for name in declared]
    if kind == "parquet":
        place = F.struct(origin_of_file().alias("origin"), (F.col("_metadata.row_index") + 1).alias("record"))
        return scanned.select(*fields, *(column.alias(name) for name, column in own.items()), place.alias(POSITION))
    numbered = number_records(with_split(scanned), {path: path for path in paths})
    return numbered.select(*fields, *(column.alias(name) for name, column in own.items()), POSITION)


def union_by_name(frames: Sequence[DataFrame], declared: Sequence[str]) -> DataFrame:
    """One frame of all. A field whose type is not the same everywhere becomes text, and so does `_original`."""
    if len(frames) == 1:
        return frames[0]
    texts = [
        name
        for name in (*declared, ORIGINAL)
        if len({frame.schema[name].dataType.simpleString() for frame in frames}) > 1
    ]
    return reduce(DataFrame.unionByName, [frame.withColumns(_as_texts(frame, texts)) for frame in frames])


def _as_texts(frame: DataFrame, names: Sequence[str]) -> dict[str, Column]:
    nested = {name for name, type_ in frame.dtypes if type_.startswith(("struct", "array", "map"))}
    return {
        name: F.to_json(value_of(name), AS_JSON if name == ORIGINAL else {})
        if name in nested
        else value_of(name).cast("string")
        for name in names
    }
