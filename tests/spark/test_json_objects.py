"""What texts come to as JSON objects: fields, other keys, and what is wrong with them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.line_parsers import MALFORMED, TEXT, parse_json
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED

NAMES = ("a", "b", "at:x")
OBJECT = "the text is not one JSON object"
TWICE = "a key stands twice in the object"
LARGE = "a number is too large for a double"
HALF = "the text holds half a surrogate pair, which is no character"
NOT_UTF8 = "the text is not valid UTF-8"

# text, a, b, rescued, malformed
CASES: list[tuple[str | None, str | None, str | None, str | None, str | None]] = [
    ('{"a":"x","b":"y"}', "x", "y", None, None),
    ('{"a": 1, "b": 2.50}', "1", "2.5", None, None),
    ('{"b":true,"a":{"c":[1,{"d":"e:f}"}]}} ', '{"c":[1,{"d":"e:f}"}]}', "true", None, None),
    ('{"a":"10:30","b":"}"}', "10:30", "}", None, None),
    ("{}", None, None, None, None),
    ('{"b":"y"}', None, "y", None, None),
    ('{"a":null,"b":"y"}', None, "y", None, None),
    ('{"a" : null,"b":null}', None, None, None, None),
    ('{"a":"ü","b":"\\u00e9\\n\\""}', "ü", 'é\n"', None, None),
    ('{"at:x":"1","b":"y"}', None, "y", None, None),
    ('{"a":"x","z":"y"}', "x", None, '{"z":"y"}', None),
    ('{"a":"b","z":null}', "b", None, '{"z":null}', None),
    ('{"a":{"b":null},"z":2}', '{"b":null}', None, '{"z":"2"}', None),
    ('{"a":"x","a":"y"}', None, None, None, TWICE),
    ('{"a":null,"a":"y"}', None, None, None, TWICE),
    ('{"a":"x","\\u0061":"y:z"}', None, None, None, TWICE),
    ('{"a":"x\\u003a","z":1}', "x:", None, '{"z":"1"}', None),
    ('{"a":"x"} {"a":"y"}', None, None, None, OBJECT),
    ('{"a":"x"} trash', None, None, None, OBJECT),
    ('{"a":"x"} trash}', None, None, None, OBJECT),
    ('{"a":"x"}}', None, None, None, OBJECT),
    ('null {}', None, None, None, OBJECT),
    ('[{"a":"x"}]', None, None, None, OBJECT),
    ('{"a":"x",', None, None, None, OBJECT),
    ("{'a':'x'}", None, None, None, OBJECT),
    ('{"a":NaN}', None, None, None, OBJECT),
    ("", None, None, None, OBJECT),
    (None, None, None, None, OBJECT),
    ('{"a":1e999}', '"Infinity"', None, None, LARGE),
    ('{"a":"Infinity"}', "Infinity", None, None, None),
    ('{"a":"\\ud83d"}', "?", None, None, HALF),
    ('{"a":"\\ud83d\\ude00"}', "😀", None, None, None),
    ('{"a":"x"}\t\r\n', "x", None, None, None),
    ('{"a":"x"}\v', None, None, None, OBJECT),
    (' {"a":"x"}', "x", None, None, None),
    ('{"a":"\ufffd"}', "\ufffd", None, None, None),
    ('{"A":"x"}', None, None, '{"A":"x"}', None),
]  # fmt: skip


def rows_of(
    spark: SparkSession, texts: Sequence[bytes | None], aliases: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Any]]:
    values = [(None if text is None else bytearray(text), number) for number, text in enumerate(texts)]
    frame = spark.createDataFrame(values, "value binary, number bigint").coalesce(1)
    place = F.struct(F.lit("o").alias("origin"), F.col("number").alias("record")).alias(POSITION)
    lines = frame.select(F.col("value").cast("string").alias(TEXT), place)
    parsed = parse_json(lines, NAMES, aliases)
    found = parsed.orderBy(F.col(POSITION)["record"]).collect()
    return [row.asDict() for row in found]


def test_every_kind_of_text(spark: SparkSession) -> None:
    found = rows_of(spark, [None if case[0] is None else case[0].encode() for case in CASES])
    for row, (text, a, b, rescued, malformed) in zip(found, CASES, strict=True):
        assert (row[MALFORMED], row[ORIGINAL]) == (malformed, text), text
        if malformed not in (TWICE, OBJECT):
            assert (row["a"], row["b"]) == (a, b), text
            assert (row[RESCUED] and json.loads(row[RESCUED])) == (rescued and json.loads(rescued)), text


@pytest.mark.parametrize("text", [b'{"a":"\xff"}', b'{"\xff":"a"}', b'{"a":"x"}\xff', b"\xff\xfe"])
def test_bytes_that_are_no_text(spark: SparkSession, text: bytes) -> None:
    (row,) = rows_of(spark, [text])
    assert row[MALFORMED] == NOT_UTF8


def test_another_name_of_a_field_counts_where_the_field_is_absent(spark: SparkSession) -> None:
    texts = [
        b'{"a":"x"}',
        b'{"other":"x"}',
        b'{"A":"x"}',
        b'{"a":null,"other":"x"}',
        b'{"a":"x","other":"y"}',
        b'{"b":"y"}',
    ]
    found = rows_of(spark, texts, {"a": ("other", "A")})
    assert [(row["a"], row[RESCUED], row[MALFORMED]) for row in found] == [
        ("x", None, None), ("x", None, None), ("x", None, None), (None, '{"other":"x"}', None),
        ("x", '{"other":"y"}', None), (None, None, None),
    ]  # fmt: skip
