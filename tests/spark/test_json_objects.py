"""JSON objects read the fast way are what they are when they are taken apart key by key; only plain ones are fast."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.json_objects import PLAIN, Objects
from lakeloop.ingestion.sources.line_parsers import MALFORMED, TEXT, parse_json
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED

NAMES = ("a", "b", "at:x")
OBJECT = "the text is not one JSON object"
TWICE = "a key stands twice in the object"
LARGE = "a number is too large for a double"
HALF = "the text holds half a surrogate pair, which is no character"
NOT_UTF8 = "the text is not valid UTF-8"

# text, is plain, a, b, rescued, malformed
CASES: list[tuple[str | None, bool, str | None, str | None, str | None, str | None]] = [
    ('{"a":"x","b":"y"}', True, "x", "y", None, None),
    ('{"a": 1, "b": 2.50}', True, "1", "2.5", None, None),
    ('{"b":true,"a":{"c":[1,{"d":"e:f}"}]}} ', True, '{"c":[1,{"d":"e:f}"}]}', "true", None, None),
    ('{"a":"10:30","b":"}"}', True, "10:30", "}", None, None),
    ("{}", True, None, None, None, None),
    ('{"b":"y"}', True, None, "y", None, None),
    ('{"a":null,"b":"y"}', True, None, "y", None, None),
    ('{"a" : null,"b":null}', True, None, None, None, None),
    ('{"a":"ü","b":"\\u00e9\\n\\""}', True, "ü", 'é\n"', None, None),
    ('{"at:x":"1","b":"y"}', True, None, "y", None, None),
    ('{"a":"x","z":"y"}', False, "x", None, '{"z":"y"}', None),
    ('{"a":"b","z":null}', False, "b", None, '{"z":null}', None),
    ('{"a":{"b":null},"z":2}', False, '{"b":null}', None, '{"z":"2"}', None),
    ('{"a":"x","a":"y"}', False, None, None, None, TWICE),
    ('{"a":null,"a":"y"}', False, None, None, None, TWICE),
    ('{"a":"x","\\u0061":"y:z"}', False, None, None, None, TWICE),
    ('{"a":"x\\u003a","z":1}', False, "x:", None, '{"z":"1"}', None),
    ('{"a":"x"} {"a":"y"}', False, None, None, None, OBJECT),
    ('{"a":"x"} trash', False, None, None, None, OBJECT),
    ('{"a":"x"} trash}', False, None, None, None, OBJECT),
    ('{"a":"x"}}', False, None, None, None, OBJECT),
    ('null {}', False, None, None, None, OBJECT),
    ('[{"a":"x"}]', False, None, None, None, OBJECT),
    ('{"a":"x",', False, None, None, None, OBJECT),
    ("{'a':'x'}", False, None, None, None, OBJECT),
    ('{"a":NaN}', False, None, None, None, OBJECT),
    ("", False, None, None, None, OBJECT),
    (None, False, None, None, None, OBJECT),
    ('{"a":1e999}', False, '"Infinity"', None, None, LARGE),
    ('{"a":"Infinity"}', False, "Infinity", None, None, None),
    ('{"a":"\\ud83d"}', False, "?", None, None, HALF),
    ('{"a":"\\ud83d\\ude00"}', False, "😀", None, None, None),
    ('{"a":"x"}\t\r\n', True, "x", None, None, None),
    ('{"a":"x"}\v', False, None, None, None, OBJECT),
    (' {"a":"x"}', False, "x", None, None, None),
    ('{"a":"\ufffd"}', False, "\ufffd", None, None, None),
    ('{"A":"x"}', False, None, None, '{"A":"x"}', None),
]  # fmt: skip


def rows_of(
    spark: SparkSession, texts: Sequence[bytes | None], aliases: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Any]]:
    values = [(None if text is None else bytearray(text), number) for number, text in enumerate(texts)]
    frame = spark.createDataFrame(values, "value binary, number bigint").coalesce(1)
    place = F.struct(F.lit("o").alias("origin"), F.col("number").alias("record")).alias(POSITION)
    lines = frame.select(F.col("value").cast("string").alias(TEXT), place)
    parsed = parse_json(lines, NAMES, aliases, keep=[PLAIN])
    found = parsed.orderBy(F.col(POSITION)["record"]).collect()
    return [row.asDict() for row in found]


def test_every_kind_of_text(spark: SparkSession) -> None:
    found = rows_of(spark, [None if case[0] is None else case[0].encode() for case in CASES])
    for row, (text, plain, a, b, rescued, malformed) in zip(found, CASES, strict=True):
        assert (row[PLAIN], row[MALFORMED], row[ORIGINAL]) == (plain, malformed, text), text
        if malformed not in (TWICE, OBJECT):
            assert (row["a"], row["b"]) == (a, b), text
            assert (row[RESCUED] and json.loads(row[RESCUED])) == (rescued and json.loads(rescued)), text


@pytest.mark.parametrize("text", [b'{"a":"\xff"}', b'{"\xff":"a"}', b'{"a":"x"}\xff', b"\xff\xfe"])
def test_bytes_that_are_no_text(spark: SparkSession, text: bytes) -> None:
    (row,) = rows_of(spark, [text])
    assert (row[PLAIN], row[MALFORMED]) == (False, NOT_UTF8)


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
    assert [row[PLAIN] for row in found] == [True, True, False, False, False, True]


KEYS = st.sampled_from(["a", "b", "at:x", "z", "B", "", "a:", "é"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.sampled_from([1.5, 0.1, 1e22]),
    st.text(st.sampled_from(list('ab":{}[],\\/ é😀\n\u0001null')), max_size=8),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2))
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=4)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Objects with repeated and unknown keys, in several spellings, some of them cut or followed by something."""
    dump = draw(st.sampled_from([json.dumps, lambda value: json.dumps(value, ensure_ascii=False)]))
    colon, comma = draw(st.sampled_from([":", " : ", ": "])), draw(st.sampled_from([",", ", "]))
    inside = comma.join(f"{dump(key)}{colon}{dump(value)}" for key, value in draw(PAIRS))
    text = "{" + inside + "}" + draw(st.sampled_from(["", "", "", " ", "}", "{}", " x", "null", ",}"]))
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts(), min_size=60, max_size=120))
def test_a_plain_object_is_read_as_if_it_were_taken_apart(spark: SparkSession, drawn: list[str]) -> None:
    frame = spark.createDataFrame([(text,) for text in drawn], f"{TEXT} string").coalesce(1)
    objects = Objects(NAMES)
    apart = objects._taken_apart(F.col(TEXT)).alias("apart")
    read = objects.read(frame, TEXT)
    columns = [value.alias(f"value_{place}") for place, value in enumerate(objects.values.values())]
    for row in read.select(TEXT, PLAIN, F.struct(*columns).alias("fast"), apart).collect():
        if row[PLAIN]:
            assert row["apart"].asDict() == row["fast"].asDict() | {"rescued": None, "malformed": None}, row[TEXT]
