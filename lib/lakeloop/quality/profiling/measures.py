"""What is measured of a column in the one pass: Spark aggregates, one JSON text a column.

Every aggregate keeps a state of bounded size, so no rows are shuffled. What is approximate, and by how much:

- `distinct`: HyperLogLog++ with a relative standard deviation of 2% (Heule, Nunkesser and Hall 2013, as
  `approx_count_distinct` has it), told as ± 4%, which holds in 95 of 100 cases.
- quantiles: Greenwald and Khanna's summary (2001, as `percentile_approx` has it): the rank of what is told is off by at
  most rows / 2000.
"""

from collections.abc import Iterator

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakeloop.quality.profiling.text_formats import FORMATS
from lakeloop.quality.row_rules.columns import value_of

DISTINCT_ERROR = 0.02
RANK_ACCURACY = 2000
STEPS = 200  # quantiles that are asked for: 0, 0.005, … 1
DECIMALS = 4
KINDS = {"number", "text", "time", "boolean", "other"}


def kind_of(data_type: T.DataType) -> str:
    """How a column is measured: number, text, time, boolean or other."""
    if isinstance(data_type, T.NumericType):
        return "number"
    if isinstance(data_type, T.StringType | T.VarcharType | T.CharType):
        return "text"
    if isinstance(data_type, T.DateType | T.TimestampType | T.TimestampNTZType):
        return "time"
    return "boolean" if isinstance(data_type, T.BooleanType) else "other"


def measures_of(field: T.StructField) -> Column:
    """One JSON object with what is measured of a column; what is NULL is left out of it."""
    named = dict(_measures(field))
    return F.to_json(F.struct(*(measured.alias(name) for name, measured in named.items())))


def text_of(field: T.StructField) -> Column:
    """A value as rules compare it, for counting how often each occurs; NULL for what has no text of its own.

    Longer texts than 100 characters are cut there, and binary, nested and half-structured values are not counted.
    """
    kind = kind_of(field.dataType)
    if kind == "other":
        return F.lit(None).cast("string")
    text = value_of(field.name).cast("string")
    return F.substring(text, 1, 100) if kind == "text" else text


def _measures(field: T.StructField) -> Iterator[tuple[str, Column]]:
    value, kind = value_of(field.name), kind_of(field.dataType)
    yield "nulls", F.count_if(value.isNull())
    if kind == "number":
        yield from _of_number(value, field.dataType)
    elif kind == "text":
        yield from _of_text(value)
    elif kind == "time":
        yield from _of_time(value)
    elif isinstance(field.dataType, T.ArrayType | T.MapType):
        size = F.when(value.isNotNull(), F.size(value))
        yield "empty", F.count_if(size == 0)
        yield "length_min", F.min(size)
        yield "length_max", F.max(size)
    if kind != "other":
        yield "distinct", F.approx_count_distinct(value, DISTINCT_ERROR)


def _of_number(value: Column, data_type: T.DataType) -> Iterator[tuple[str, Column]]:
    number = value.cast("double")
    if isinstance(data_type, T.FloatType | T.DoubleType):
        yield "nan", F.count_if(F.isnan(value))
        infinite = F.abs(number) == F.lit(float("inf"))
        yield "infinite", F.count_if(infinite & ~F.isnan(value))
        number = F.when(~F.isnan(number) & ~infinite, number)
        for places in range(DECIMALS + 1):
            yield f"decimals_{places}", F.count_if(F.round(number, places) == number)
    yield "min", F.min(number)
    yield "max", F.max(number)
    yield "mean", F.avg(number)
    yield "stddev", F.stddev_samp(number)
    yield "zeros", F.count_if(number == 0)
    yield "negative", F.count_if(number < 0)
    yield "quantiles", F.percentile_approx(number, [step / STEPS for step in range(STEPS + 1)], RANK_ACCURACY)


def _of_text(value: Column) -> Iterator[tuple[str, Column]]:
    length = F.char_length(value)
    yield "empty", F.count_if(value == "")
    yield "blank", F.count_if((value != "") & ~value.rlike(r"(?U)\S"))
    yield "padded", F.count_if(value.rlike(r"(?U)\A\s+\S|\S\s+\z"))
    yield "length_min", F.min(length)
    yield "length_max", F.max(length)
    yield "length_mean", F.avg(length)
    for name, is_like in FORMATS.items():
        yield f"like_{name}", F.count_if(is_like(value))
    number = F.when(FORMATS["number"](value), value.cast("double"))
    yield "min", F.min(number)
    yield "max", F.max(number)


def _of_time(value: Column) -> Iterator[tuple[str, Column]]:
    seconds = F.unix_micros(value.cast("timestamp")) / F.lit(1e6)
    yield "min", F.min(seconds)
    yield "max", F.max(seconds)
    yield "ahead", F.count_if(value.cast("timestamp") > F.current_timestamp())
    yield "midnights", F.count_if(seconds % F.lit(86_400) == 0)
    yield "quantiles", F.percentile_approx(seconds, [step / STEPS for step in range(STEPS + 1)], RANK_ACCURACY)
