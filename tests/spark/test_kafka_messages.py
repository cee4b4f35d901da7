"""Originals of messages: whatever bytes came, they come back."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs import KafkaSource
from lakeloop.ingestion.sources.kafka.messages import MessageParser
from lakeloop.ingestion.sources.line_parsers import TEXT
from lakeloop.ingestion.sources.protocol import AS_JSON, ORIGINAL, POSITION

VALUES = st.none() | st.binary(max_size=120) | st.text(max_size=40).map(lambda text: text.encode())
AROUND: dict[str, Any] = {"key": "k", "headers": "h", "timestamp": "at"}


def parser_of(kind: str, message: dict[str, Any]) -> MessageParser:
    source = {"kafka": "events", "topics": ["t"], "format": {kind: {}}, "message": message}
    return MessageParser(KafkaSource.model_validate(source | ({"fields": ["a"]} if kind == "json" else {})), {})


@pytest.mark.parametrize("kind", ["json", "raw", "text"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([b"", b"base64:", b"base64:eA==", b"\xff" * 200, b"\xed\xa0\x80", "\ufffd".encode(), None, b'{"a":"\xff"}'])
@given(st.lists(VALUES, min_size=40, max_size=80))
def test_every_byte_comes_back(spark: SparkSession, kind: str, values: list[bytes | None]) -> None:
    parser = parser_of(kind, {})
    rows = [(None if value is None else bytearray(value), ("t/0", place)) for place, value in enumerate(values)]
    extract = parser.parse(spark.createDataFrame(rows, parser.schema).coalesce(1))
    originals = extract.frame.select(F.col(ORIGINAL).alias(TEXT), POSITION)
    again = parser.of_originals(originals).orderBy(F.col(POSITION)["record"]).collect()
    assert [None if row["_value"] is None else bytes(row["_value"]) for row in again] == values


def test_what_stands_beside_a_value_comes_back_with_it(spark: SparkSession) -> None:
    parser = parser_of("text", AROUND)
    frame = spark.createDataFrame([(1,)], "a int").selectExpr(
        "X'ff' AS _value", "struct('t/0' AS origin, 7L AS record) AS _position", "X'00fe' AS _key",
        "array(named_struct('key', 'h', 'value', X'ff'), named_struct('key', 'h', 'value', CAST(NULL AS BINARY))) "
        "AS _headers",
        "TIMESTAMP '2026-02-28 10:00:00.123' AS _timestamp",
    )  # fmt: skip
    originals = parser.parse(frame).frame.select(F.to_json(ORIGINAL, AS_JSON).alias(TEXT), POSITION)
    assert parser.of_originals(originals).collect() == frame.collect()
    assert originals.first()[TEXT].startswith('{"value":"base64:/w==","key":"AP4="')  # type: ignore[index]
