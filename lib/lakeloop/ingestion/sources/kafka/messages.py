"""Messages into rows: the bytes of a value by the declared format, and what stands beside it.

A frame of messages has `_value` (its bytes), `_position` (`topic/partition` and the offset) and, as far as they are
declared, `_key`, `_headers` and `_timestamp`. The original of a row is the value as text, or `base64:` and its bytes
where they are not UTF-8 (or a text that begins so), which gives the bytes back exactly. Where key, headers or timestamp
are declared it is JSON of these and the value, so that a row can be made of it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs.kafka import AroundValue, AvroMessages, JsonMessages, KafkaSource, TextMessages
from lakeloop.ingestion.sources.kafka.avro import parse_avro
from lakeloop.ingestion.sources.line_parsers import MALFORMED, TEXT, UTF_8_ERROR, decoded, form_findings, parse_json
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Extract

VALUE = "_value"
BASE64 = "base64:"
TOMBSTONE = "the message has no value (a tombstone)"
AROUND = {
    "key": ("_key", "binary"),
    "headers": ("_headers", "array<struct<key:string,value:binary>>"),
    "timestamp": ("_timestamp", "timestamp"),
}  # by Spark's own names of these columns
PLACE = "struct<origin:string,record:bigint>"


@dataclass(frozen=True)
class MessageParser:
    """Makes rows of messages, as the source declares them. `schemas` are those of Avro, by id."""

    spec: KafkaSource
    schemas: Mapping[int, str]

    def of_kafka(self, read: DataFrame) -> DataFrame:
        """A frame of messages out of what Spark's Kafka source gives."""
        place = F.struct(
            F.concat("topic", F.lit("/"), F.col("partition").cast("string")).alias("origin"),
            F.col("offset").alias("record"),
        )
        around = [F.col(name).alias(own) for name, (own, _) in self._around.items()]
        return read.select(F.col("value").alias(VALUE), place.alias(POSITION), *around)

    def of_originals(self, rows: DataFrame) -> DataFrame:
        """The same out of originals, `_text` and `_position`."""
        if not self._around:
            return rows.select(of_text(F.col(TEXT)).alias(VALUE), POSITION)
        fields = ", ".join(f"{name} {type_}" for name, (_, type_) in self._around.items())
        whole = rows.withColumn("_whole", F.from_json(TEXT, f"value string, {fields}"))
        around = [F.col(f"_whole.{name}").alias(own) for name, (own, _) in self._around.items()]
        return whole.select(of_text(F.col("_whole.value")).alias(VALUE), POSITION, *around)

    @property
    def schema(self) -> str:
        """The columns of a frame of messages."""
        around = "".join(f", {own} {type_}" for own, type_ in self._around.values())
        return f"{VALUE} binary, {POSITION} {PLACE}{around}"

    def parse(self, messages: DataFrame) -> Extract:
        """Rows of the declared columns, and what is wrong with their form."""
        kind, around = self.spec.format.kind, [own for own, _ in self._around.values()]
        value, keep = F.col(VALUE), [VALUE, *around]
        if isinstance(kind, JsonMessages):
            text = value.cast("string")
            parsed = parse_json(messages, self.spec.columns, keep=[TEXT, *around], text=text, rescues_late=True)
            value = F.col(TEXT).cast("binary")
            original = F.when(F.col(MALFORMED).isNull(), F.col(TEXT)).otherwise(as_text(value))
        elif isinstance(kind, AvroMessages):
            parsed = parse_avro(messages, VALUE, self.spec.columns, self.schemas, kind, keep)
            original = as_text(value)
        else:
            parsed, original = self._whole(messages, keep), as_text(value)
        said = F.lit(TOMBSTONE if self.spec.tombstones == "quarantine" else None).cast("string")
        names = [f"`{name}`" for name in self.spec.columns]
        rows = parsed.select(
            *names,
            *self._declared_around(),
            POSITION,
            self._with_around(original).alias(ORIGINAL),
            RESCUED,
            F.when(value.isNull(), said).otherwise(F.col(MALFORMED)).alias(MALFORMED),
        )
        return Extract(rows, form_findings())

    def _whole(self, messages: DataFrame, keep: list[str]) -> DataFrame:
        value, (name,) = F.col(VALUE), self.spec.columns
        nothing = F.lit(None).cast("string")
        malformed = nothing
        if isinstance(self.spec.format.kind, TextMessages):
            text = value.cast("string")
            is_text = decoded(text) == text
            value, malformed = F.when(is_text, text), F.when(~is_text, F.lit(UTF_8_ERROR))
        own = {RESCUED: nothing, MALFORMED: malformed}
        return messages.select(value.alias(name), POSITION, *(c.alias(n) for n, c in own.items()), *keep)

    @property
    def _around(self) -> dict[str, tuple[str, str]]:
        return {name: own for name, own in AROUND.items() if getattr(self.spec.message, name) is not None}

    def _declared_around(self) -> list[Column]:
        declared: AroundValue = self.spec.message
        columns = {
            declared.key: as_text(F.col("_key")),
            declared.headers: F.col("_headers"),
            declared.timestamp: F.col("_timestamp"),
            declared.topic: F.substring_index(F.col(POSITION)["origin"], "/", 1),
        }
        return [column.alias(name) for name, column in columns.items() if name is not None]

    def _with_around(self, original: Column) -> Column:
        if not self._around:
            return original
        around = [F.col(own).alias(name) for name, (own, _) in self._around.items()]
        return F.struct(original.alias("value"), *around)


def as_text(value: Column) -> Column:
    """Bytes as text where they are UTF-8 and do not begin like the other form, else in base64."""
    text = value.cast("string")
    is_text = (decoded(text) == text) & ~F.startswith(text, F.lit(BASE64))
    in_base64 = F.replace(F.base64(value), F.lit("\r\n"), F.lit(""))  # Spark breaks lines as mail does
    return F.when(is_text, text).otherwise(F.concat(F.lit(BASE64), in_base64))


def of_text(text: Column) -> Column:
    """The bytes that `as_text` was given."""
    in_base64 = F.unbase64(text.substr(len(BASE64) + 1, 2**31 - 1))
    return F.when(F.startswith(text, F.lit(BASE64)), in_base64).otherwise(text.cast("binary"))
