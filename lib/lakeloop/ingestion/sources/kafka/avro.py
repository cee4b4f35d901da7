"""Avro messages into rows: each by the schema that wrote it, told from bytes that are no record of it.

Avro's bytes do not say where they end. So a mark is put behind them and read as one more field: where the record takes
fewer or more bytes than there are, the mark is not found, and a message that was cut or that is something else is seen.
"""

import json
import operator
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import ArrayType, MapType, StructType

from lakeloop.ingestion.source_specs.kafka import AvroMessages
from lakeloop.ingestion.sources.headers import match_names
from lakeloop.ingestion.sources.line_parsers import MALFORMED
from lakeloop.ingestion.sources.protocol import POSITION, RESCUED

ID = "_schema_id"
PAYLOAD = "_payload"
HEADER_BYTES = 5
ONLY = -1  # the id under which a schema goes that all messages have
MARK = "4c414b454c4f4f50"  # 8 bytes


def with_schema_id(messages: DataFrame, value: str, kind: AvroMessages) -> DataFrame:
    """The messages with `_schema_id`, NULL where no header says one, and `_payload`, the bytes of the record."""
    if kind.registry is None:
        return messages.withColumns({ID: F.lit(ONLY), PAYLOAD: F.col(value)})
    begins = F.hex(F.substring(value, 1, HEADER_BYTES))
    number = F.conv(F.substring(begins, 3, 8), 16, 10).cast("bigint")
    has_header = F.startswith(begins, F.lit("00")) & (F.octet_length(value) >= HEADER_BYTES)
    payload = F.substring(value, HEADER_BYTES + 1, 2**31 - 1)
    return messages.withColumns({ID: F.when(has_header, number), PAYLOAD: payload})


def parse_avro(
    messages: DataFrame,
    value: str,
    declared: Sequence[str],
    schemas: Mapping[int, str],
    kind: AvroMessages,
    keep: Sequence[str],
) -> DataFrame:
    """Rows of the declared fields, matched by name, in the types of the schemas; where these differ, as text.

    Fields that are not declared go to `_rescued`. A message without a header, of an unknown schema, or that is not
    exactly one record of its schema is malformed.
    """
    rows = with_schema_id(messages, value, kind)
    mark = F.unhex(F.lit(MARK))
    for id_, schema in sorted(schemas.items()):
        marked = from_avro(F.concat(PAYLOAD, mark), _with_mark(schema), {"mode": "PERMISSIVE"})
        rows = rows.withColumn(_column(id_), F.when(F.col(ID) == id_, marked))
    columns = {id_: F.col(_column(id_)) for id_ in sorted(schemas)}
    records = {id_: F.when(whole["end"] == mark, whole["message"]) for id_, whole in columns.items()}
    types = {id_: _record_type(rows, id_) for id_ in records}
    names = {id_: match_names(type_.names, declared) for id_, type_ in types.items()}
    fields = [_field(field, records, types, names).alias(field) for field in declared]
    rescued = [
        F.to_json(F.struct(*(record[name] for name in extra)))
        for id_, record in records.items()
        if (extra := [name for name in types[id_].names if name not in names[id_].values()])
    ]
    own = {RESCUED: F.coalesce(*rescued, F.lit(None).cast("string")), MALFORMED: _malformed(records, kind)}
    return rows.select(*fields, POSITION, *(column.alias(name) for name, column in own.items()), *keep)


def _malformed(records: Mapping[int, Column], kind: AvroMessages) -> Column:
    is_whole = reduce(operator.or_, (record.isNotNull() for record in records.values()), F.lit(False))
    if kind.registry is None:
        return F.when(~is_whole, F.lit("the bytes are not one record of the declared schema"))
    return (
        F.when(F.col(ID).isNull(), F.lit("the message does not begin with a zero byte and the id of a schema"))
        .when(
            ~F.col(ID).isin(list(records)) if records else F.lit(True),
            F.concat(F.lit("no schema has the id "), F.col(ID).cast("string"), F.lit(" in registry or declared files")),
        )
        .when(~is_whole, F.concat(F.lit("the bytes are not one record of schema "), F.col(ID).cast("string")))
    )


def _field(
    field: str,
    records: Mapping[int, Column],
    types: Mapping[int, StructType],
    names: Mapping[int, Mapping[str, str]],
) -> Column:
    found = {id_: names[id_][field] for id_ in records if field in names[id_]}
    if not found:
        return F.lit(None).cast("string")
    kinds = {id_: types[id_][name].dataType for id_, name in found.items()}
    values = {id_: records[id_][name] for id_, name in found.items()}
    if len({kind.simpleString() for kind in kinds.values()}) > 1:
        nested = ArrayType | MapType | StructType
        values = {
            id_: F.to_json(value) if isinstance(kinds[id_], nested) else value.cast("string")
            for id_, value in values.items()
        }
    return F.coalesce(*values.values())


def _column(id_: int) -> str:
    return f"_avro_{id_ if id_ >= 0 else 'only'}"


def _record_type(rows: DataFrame, id_: int) -> StructType:
    outer = rows.schema[_column(id_)].dataType
    assert isinstance(outer, StructType)
    inner = outer["message"].dataType
    assert isinstance(inner, StructType)
    return inner


def _with_mark(schema: str) -> str:
    end = {"type": "fixed", "name": "lakeloop_end", "size": len(MARK) // 2}
    fields = [{"name": "message", "type": json.loads(schema)}, {"name": "end", "type": end}]
    return json.dumps({"type": "record", "name": "lakeloop_message", "fields": fields})
