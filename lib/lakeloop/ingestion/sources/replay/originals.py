"""Originals into rows again, by the parsers that made the rows: one original is one row, whatever it holds."""

import csv as csv_module
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.source_specs.files import (
    AnyFormat,
    CsvFormat,
    ExcelFormat,
    FilesSource,
    FixedWidthFormat,
    Limits,
    PlainTextFormat,
    XmlFormat,
)
from lakeloop.ingestion.sources.files.json_documents import DECODER, Number, json_text, unusable
from lakeloop.ingestion.sources.files.text_records import Record, csv_records, fixed_width_records, plain_records
from lakeloop.ingestion.sources.files.unpack import FRAME, Row, Unpacker, batched
from lakeloop.ingestion.sources.files.xml_documents import xml_records
from lakeloop.ingestion.sources.line_parsers import TEXT, parse_csv, parse_json
from lakeloop.ingestion.sources.protocol import POSITION
from lakeloop.ingestion.sources.replay.forms import Form
from lakeloop.ingestion.sources.rest.parsing import RecordParser

NOT_ONE = "the original is not one record of its format"
CARRIED = "carried"  # in `_position` while corrected rows are parsed: JSON of what is to be made of them afterwards
WHOLE = 10**18  # beyond it a double no longer tells whole numbers apart
# What a parser says of a record whose text is all there, so that it may be read otherwise today. Any other complaint is
# about text that was cut, replaced or never reached, and a part of a record must not pass for one.
RECORD_DEFECTS = (
    "the line does not have the ",
    "a quote is not closed",
    "the line has ",
    "the text is not one JSON object",
    "a key stands twice in the object",
    NOT_ONE,
)


@dataclass(frozen=True)
class Reparser:
    """Turns originals into rows of the declared fields; travels to the executors."""

    form: Form
    format: AnyFormat | None
    fields: tuple[str, ...]
    limits: Limits
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def rows(self, originals: Iterable[tuple[str | None, int | None, str]]) -> Iterator[Row]:
        """A row for each (origin, record, original)."""
        unpacker = Unpacker({}, self.fields, self.limits, self.aliases)
        known: dict[tuple[str, ...], dict[str, str]] = {}
        for origin, place, original in originals:
            record = self.record(original)
            *values, _origin, _place, _original, rescued, error, missing = unpacker.row("", record, known)
            yield (*values, origin, place, original, rescued, error, missing)

    def record(self, original: str) -> Record:
        """The one record that an original is; with an error where it is none or several."""
        if self.form.way == "columns":
            return _columns(original, has_header=self.format is not None)
        if not isinstance(self.format, CsvFormat | FixedWidthFormat | PlainTextFormat | XmlFormat | ExcelFormat):
            return _object(original, header=False)
        records = list(self._records(original))
        if isinstance(self.format, XmlFormat):
            records = records[-1:]  # an element that holds others of its name ends last
        return records[0] if len(records) == 1 else Record(0, original, {}, NOT_ONE)

    def _records(self, original: str) -> Iterator[Record]:
        stream = io.BytesIO(original.encode("utf-8", "replace"))
        longest = self.limits.record_bytes
        match self.format:
            case CsvFormat():
                csv = self.format.model_copy(update={"delimiter": self.form.delimiter})
                header = io.StringIO()
                csv_module.writer(header, delimiter=csv.delimiter, quotechar=csv.quote).writerow(self.form.header)
                whole = io.BytesIO(header.getvalue().encode() + stream.read())
                yield from csv_records(whole, csv, "utf-8", longest)
            case FixedWidthFormat():
                at_once = self.format.model_copy(update={"skip_lines": 0})
                yield from fixed_width_records(stream, at_once, "utf-8", longest)
            case PlainTextFormat():
                yield from plain_records(stream, self.format, "utf-8", longest)
            case XmlFormat():
                yield from xml_records(stream, self.format.row_tag)
            case ExcelFormat():
                try:
                    cells = json.loads(original)
                except json.JSONDecodeError:
                    cells = None
                if isinstance(cells, list):
                    yield Record(0, original, dict(zip(self.form.header, cells, strict=False)))


def parse_originals(
    rows: DataFrame, form: Form, source: object, fields: Sequence[str], aliases: Mapping[str, Sequence[str]]
) -> DataFrame:
    """Rows of `_text` and `_position` in the form that the line parsers give; `aliases` has further names of fields.

    What `_position` has beside its place stays in it.
    """
    files = source if isinstance(source, FilesSource) else None
    declared = files.formats.by_extension.get(form.extension) if files else None
    if form.way == "csv":
        assert isinstance(declared, CsvFormat)
        csv = declared.model_copy(update={"delimiter": form.delimiter})
        return parse_csv(rows, form.header, fields, csv, aliases)
    if form.way == "jsonl":
        return parse_json(rows, fields, aliases)
    parser: RecordParser | Reparser = (
        RecordParser(tuple(fields), source.paths, aliases)
        if isinstance(source, RestSource)
        else Reparser(form, declared, tuple(fields), files.limits if files else Limits(), aliases)
    )
    texts = [pa.field(name, pa.string()) for name in fields]
    own = [pa.field(name, pa.int64() if name == "_record" else pa.string()) for name in FRAME]
    schema = pa.schema([*texts, *own, pa.field(CARRIED, pa.string())])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            *originals, carried = (column.to_pylist() for column in batch.columns)
            parsed = parser.rows(zip(*originals, strict=True))
            yield from batched(((*row, with_it) for row, with_it in zip(parsed, carried, strict=True)), schema)

    place, has_more = F.col(POSITION), CARRIED in rows.select(f"{POSITION}.*").columns
    carried = place[CARRIED] if has_more else F.lit(None).cast("string")
    given = rows.select(
        place["origin"].alias("_origin"), place["record"].alias("_record"), TEXT, carried.alias(CARRIED)
    )
    types = [f"`{name}` STRING" for name in fields]
    types += [f"{name} {'BIGINT' if name == '_record' else 'STRING'}" for name in (*FRAME, CARRIED)]
    inner = [
        F.col("_origin").alias("origin"),
        F.col("_record").alias("record"),
        *([F.col(CARRIED)] if has_more else []),
    ]
    read_again = given.mapInArrow(read, ", ".join(types)).withColumn(POSITION, F.struct(*inner))
    return read_again.drop("_origin", "_record", CARRIED)


def _columns(original: str, *, has_header: bool) -> Record:
    """Typed columns that were written as JSON; a double that is whole is written as the whole number that it is."""
    record = _object(original, header=has_header)
    return record if record.error else Record(0, original, _plain(original), header=has_header)


def _plain(original: str) -> dict[str, str | None]:
    return {
        name: _whole(value) if isinstance(value, Number) else json_text(value)
        for name, value in DECODER.decode(original).items()
    }


def _whole(number: Number) -> str:
    exact = Decimal(number)
    return str(int(exact)) if exact == exact.to_integral_value() and abs(exact) < WHOLE else str(number)


def _object(original: str, *, header: bool) -> Record:
    try:
        value = DECODER.decode(original)
    except (json.JSONDecodeError, RecursionError):
        value = None
    error = unusable(value, original)
    values = {} if error else {name: json_text(item) for name, item in value.items()}
    return Record(0, original, values, error, header)
