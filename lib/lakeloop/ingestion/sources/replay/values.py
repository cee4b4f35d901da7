"""What originals hold, column by column, as text: without Spark, so that people and corrections see the same cells."""

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.source_specs.files import FilesSource, Limits
from lakeloop.ingestion.source_specs.kafka import AvroMessages, JsonMessages, KafkaSource, TextMessages
from lakeloop.ingestion.sources.files.json_documents import DECODER, json_text, unusable
from lakeloop.ingestion.sources.headers import match_names
from lakeloop.ingestion.sources.kafka.avro import HEADER_BYTES, ONLY
from lakeloop.ingestion.sources.kafka.messages import BASE64, TOMBSTONE
from lakeloop.ingestion.sources.line_parsers import UTF_8_ERROR
from lakeloop.ingestion.sources.replay.forms import Form
from lakeloop.ingestion.sources.replay.originals import Reparser
from lakeloop.ingestion.sources.rest.parsing import RecordParser
from lakeloop.lake.ledger import Ledger

NO_FORM = "the header of its file is not known any more"
NO_TEXT = "it has no text"


@dataclass(frozen=True)
class Values:
    """The cells of one row by the columns of its source, NULL where nothing stands; `error`: why there are none."""

    cells: Mapping[str, str | None] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class OriginalReader:
    """Reads originals of one source; travels to the executors.

    `fields` are the columns of a source that says them; rows of a database have those that they were written with.
    `schemas` are those of Avro messages, by id.
    """

    source: object
    forms: tuple[Form, ...]
    fields: tuple[str, ...] | None
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    schemas: Mapping[int, str] = field(default_factory=dict)

    def parser(self) -> Callable[[int | None, str | None], Values]:
        """A function from a form's number and an original to values, for one task."""
        of_form: dict[int, Callable[[str], Values]] = {}

        def parse(form: int | None, original: str | None) -> Values:
            if original is None:
                return Values(error=NO_TEXT)
            if form is None:
                return Values(error=NO_FORM)
            if form not in of_form:
                of_form[form] = self._of_form(self.forms[form])
            return of_form[form](original)

        return parse

    def _of_form(self, form: Form) -> Callable[[str], Values]:
        if isinstance(self.source, KafkaSource):
            return MessageValues(self.source, self.schemas).of
        files = self.source if isinstance(self.source, FilesSource) else None
        declared = files.formats.by_extension.get(form.extension) if files else None
        if self.fields is None:
            reparser = Reparser(form, None, (), Limits())

            def of_object(original: str) -> Values:
                record = reparser.record(original)
                return Values(record.values, record.error)

            return of_object
        parser: RecordParser | Reparser = (
            RecordParser(self.fields, self.source.paths, self.aliases)
            if isinstance(self.source, RestSource)
            else Reparser(form, declared, self.fields, files.limits if files else Limits(), self.aliases)
        )

        def of_record(original: str) -> Values:
            longest = csv.field_size_limit()  # which the parser of CSV changes for the whole process
            try:
                (row,) = parser.rows([(None, None, original)])
            finally:
                csv.field_size_limit(longest)
            *cells, _origin, _place, _original, _rescued, error, _missing = row
            texts = (None if cell is None else str(cell) for cell in cells)
            return Values(dict(zip(self.fields or (), texts, strict=True)), None if error is None else str(error))

        return of_record


@dataclass(frozen=True)
class MessageValues:
    """Reads originals of messages, as `sources.kafka.messages` writes them."""

    spec: KafkaSource
    schemas: Mapping[int, str]

    def of(self, original: str) -> Values:
        """The declared columns of the value, and those of key and timestamp."""
        declared, around = self.spec.message, {}
        value: str | None = original
        if declared.key is not None or declared.headers is not None or declared.timestamp is not None:
            try:
                whole = json.loads(original)
                value = whole.get("value")
                if declared.key is not None:
                    key = whole.get("key")
                    around[declared.key] = None if key is None else text_of_bytes(base64.b64decode(key, validate=True))
            except (ValueError, AttributeError, TypeError):
                return Values(error="the original is no JSON object of a message and what stands beside it")
            if declared.timestamp is not None:
                around[declared.timestamp] = whole.get("timestamp")
        if value is None:
            said = TOMBSTONE if self.spec.tombstones == "quarantine" else None
            return Values(dict.fromkeys(self.spec.columns) | around, said)
        found = self._of_value(value)
        return Values({**found.cells, **around}, found.error)

    def _of_value(self, text: str) -> Values:
        kind, columns = self.spec.format.kind, self.spec.columns
        if isinstance(kind, JsonMessages):
            try:
                found = None if text.startswith(BASE64) else DECODER.decode(text)
            except (json.JSONDecodeError, RecursionError):
                found = None
            if (error := unusable(found, text)) is not None or not isinstance(found, dict):
                return Values(error=error or "the text is not one JSON object")
            return Values({name: json_text(found.get(name)) for name in columns})
        if isinstance(kind, AvroMessages):
            return avro_values(bytes_of_text(text), kind, columns, self.schemas)
        if isinstance(kind, TextMessages) and text.startswith(BASE64):
            return Values(error=UTF_8_ERROR)
        return Values({columns[0]: text})


def avro_values(message: bytes, kind: AvroMessages, columns: Sequence[str], schemas: Mapping[int, str]) -> Values:
    """The fields of a message by the schema that wrote it."""
    import fastavro

    id_, payload = ONLY, message
    if kind.registry is not None:
        if len(message) < HEADER_BYTES or message[0]:
            return Values(error="the message does not begin with a zero byte and the id of a schema")
        id_, payload = int.from_bytes(message[1:HEADER_BYTES], "big"), message[HEADER_BYTES:]
    if id_ not in schemas:
        return Values(error=f"no schema of the id {id_} is known")
    stream = io.BytesIO(payload)
    try:
        record = fastavro.schemaless_reader(stream, json.loads(schemas[id_]), None)
    except (EOFError, ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError):
        record = None
    if not isinstance(record, dict) or stream.read(1):
        return Values(error=f"the bytes are not one record of schema {id_}")
    names = match_names(list(record), columns)
    return Values({name: _avro_text(record[names[name]]) if name in names else None for name in columns})


def message_schemas(ledger: Ledger, pipeline: str, batches: Collection[int]) -> dict[int, str]:
    """The schemas of Avro by which the messages of some batches were read."""
    plans = ledger.plans(pipeline, batches)
    return {int(id_): text for _, plan in plans for id_, text in plan.details.get("schemas", {}).items()}


def text_of_bytes(value: bytes) -> str:
    """Bytes as the originals of messages have them."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = BASE64
    return BASE64 + base64.b64encode(value).decode() if text.startswith(BASE64) else text


def bytes_of_text(text: str) -> bytes:
    """The bytes that `text_of_bytes` was given; of what is no base64 after all, its own."""
    if text.startswith(BASE64):
        try:
            return base64.b64decode(text.removeprefix(BASE64), validate=True)
        except binascii.Error:
            pass
    return text.encode()


def _avro_text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return text_of_bytes(value)
        case dict() | list():
            return json.dumps(value, default=_avro_text, ensure_ascii=False)
    return value.isoformat(sep=" ") if hasattr(value, "hour") and hasattr(value, "day") else str(value)
