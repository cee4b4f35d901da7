"""Files that Spark cannot read line by line: opened on the executors, one task a file, record after record."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BufferedReader, BytesIO

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs.files import (
    AnyFormat,
    CsvFormat,
    ExcelFormat,
    FixedWidthFormat,
    JsonArrayFormat,
    JsonLinesFormat,
    Limits,
    PlainTextFormat,
    TextFormat,
    XmlFormat,
)
from lakeloop.ingestion.sources.files.inspection import LOOKED_AT, find_encoding
from lakeloop.ingestion.sources.files.json_documents import json_line_records, json_records
from lakeloop.ingestion.sources.files.packing import BREAKS, PACKINGS, BombError, Part, parts_of
from lakeloop.ingestion.sources.files.sheets import sheet_records
from lakeloop.ingestion.sources.files.text_records import (
    Record,
    csv_records,
    fixed_width_records,
    plain_records,
)
from lakeloop.ingestion.sources.files.xml_documents import xml_records
from lakeloop.ingestion.sources.headers import match_names
from lakeloop.ingestion.sources.line_parsers import MALFORMED, MISSING
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED
from lakeloop.lake.storage import filesystem

BATCH_BYTES = 4 << 20
TASKS = 200
HEADERS = 1_000  # names of records that are kept; those of a file hardly differ
FRAME = ("_origin", "_record", ORIGINAL, RESCUED, MALFORMED, MISSING)
Row = tuple[str | int | None, ...]


@dataclass(frozen=True)
class Unpacker:
    """Turns files into rows of the declared fields; what a task needs to know, so it travels to the executors.

    `aliases` has further names of fields, `lacks` the fields that records without them are said to lack.
    """

    formats: Mapping[str, AnyFormat]
    declared: tuple[str, ...]
    limits: Limits
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    def rows(self, path: str, packing: str, encoding: str, extension: str) -> Iterator[Row]:
        """All records of a file. Where the file breaks, the records before that are kept and the break is one more.

        What breaks inside a member of an archive leaves the members behind it as they are.
        """
        known: dict[tuple[str, ...], dict[str, str]] = {}
        try:
            system, inner = filesystem(path)
            size = system.get_file_info(inner).size or 0
            with system.open_input_file(inner) as stream:
                for part in parts_of(stream, packing, size, self.limits):
                    place = 0
                    origin = f"{path}!/{part.name}" if part.name else path
                    try:
                        for record in self._records(part, encoding, extension):
                            place = record.place
                            yield self.row(origin, record, known)
                    except BREAKS as error:
                        yield self.row(origin, _break(place + 1, packing, error), known)
        except BREAKS as error:
            yield self.row(path, _break(1, packing, error), known)

    def sample(
        self, path: str, packing: str, encoding: str, extension: str, most_bytes: int
    ) -> Iterator[Record | None]:
        """The records that begin within the first bytes of a file, unpacked; None at the end if there are more.

        A workbook is read as a whole.
        """
        system, inner = filesystem(path)
        size = system.get_file_info(inner).size or 0
        with system.open_input_file(inner) as stream:
            for part in parts_of(stream, packing, size, self.limits):
                inside = part.name.rsplit(".", 1)[-1].lower() if part.name else extension
                if isinstance(self.formats.get(inside), ExcelFormat):
                    yield from self._records(part, encoding, extension)
                    continue
                first = part.stream.read(most_bytes + 1)
                beginning = BytesIO(first[:most_bytes])
                begun = replace(part, stream=BufferedReader(beginning) if packing else beginning)
                last: Record | None = None
                for record in self._records(begun, encoding, extension):
                    if last is not None:
                        yield last
                    last = record
                if len(first) > most_bytes:  # the last record was torn
                    yield None
                    return
                if last is not None:
                    yield last
                most_bytes -= len(first)

    def _records(self, part: Part, encoding: str, extension: str) -> Iterator[Record]:
        if part.refused:
            yield Record(0, "", {}, part.refused)
            return
        inside = part.name.rsplit(".", 1)[-1].lower() if part.name else extension
        declared = self.formats.get(inside)
        longest = self.limits.record_bytes
        if isinstance(declared, TextFormat) and isinstance(part.stream, BufferedReader):  # it was packed
            encoding = find_encoding(part.stream.peek(LOOKED_AT)[:LOOKED_AT], declared.encoding)
        match declared:
            case CsvFormat():
                yield from csv_records(part.stream, declared, encoding, longest)
            case JsonLinesFormat():
                yield from json_line_records(part.stream, encoding, longest)
            case JsonArrayFormat():
                yield from json_records(part.stream, encoding, longest)
            case XmlFormat():
                yield from xml_records(part.stream, declared.row_tag)
            case FixedWidthFormat():
                yield from fixed_width_records(part.stream, declared, encoding, longest)
            case PlainTextFormat():
                yield from plain_records(part.stream, declared, encoding, longest)
            case ExcelFormat():
                yield from sheet_records(part.stream, declared, self.limits)
            case _:
                yield Record(0, "", {}, f"the archive holds a file of a format that is not declared: .{inside}")

    def row(self, origin: str, record: Record, known: dict[tuple[str, ...], dict[str, str]]) -> Row:
        """A record as a row of the declared fields and FRAME; `known` keeps which names matched before."""
        header = tuple(record.values)
        if (names := known.get(header)) is None:
            if len(known) >= HEADERS:
                known.clear()
            names = known[header] = match_names(header, self.declared, self.aliases)
        taken = set(names.values())
        extra = [name for name in header if name not in taken] if len(taken) < len(header) else []
        values = [record.values.get(names[name]) if name in names else None for name in self.declared]
        if record.header:
            absent = [name for name in self.declared if name not in names] if not record.error else []
        else:
            absent = [name for name in self.lacks if record.values.get(names.get(name, "")) is None]
        missing = ",".join(absent) or None
        rescued = json.dumps({name: record.values[name] for name in extra}, ensure_ascii=False) if extra else None
        return (*values, origin, record.place, record.original, rescued, record.error, missing)


def _break(place: int, packing: str, error: Exception) -> Record:
    if isinstance(error, BombError):
        return Record(place, "", {}, f"the file is refused from here on: {error}")
    what = f"the {PACKINGS[packing]} data break here" if packing else "the file breaks here"
    return Record(place, "", {}, f"{what}: {str(error) or type(error).__name__}")


def unpack(spark: SparkSession, files: Sequence[tuple[str, str, str, str]], unpacker: Unpacker) -> DataFrame:
    """Rows of the files, each given as path, packing, encoding and extension, in the form that the parsers give."""
    texts = [pa.field(name, pa.string()) for name in unpacker.declared]
    own = [pa.field(name, pa.int64() if name == "_record" else pa.string()) for name in FRAME]
    schema = pa.schema([*texts, *own])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for file in batch.to_pylist():
                yield from batched(unpacker.rows(**file), schema)

    columns = "path string, packing string, encoding string, extension string"
    paths = spark.createDataFrame(list(files), columns).repartition(min(len(files), TASKS))
    declared = ", ".join(f"`{name}` STRING" for name in unpacker.declared)
    own_types = ", ".join(f"{name} {'BIGINT' if name == '_record' else 'STRING'}" for name in FRAME)
    rows = paths.mapInArrow(read, f"{declared}, {own_types}")
    place = F.struct(F.col("_origin").alias("origin"), F.col("_record").alias("record"))
    return rows.withColumn(POSITION, place).drop("_origin", "_record")


def batched(rows: Iterator[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Record batches of a few megabytes; text that UTF-8 cannot hold is shown and makes its record malformed."""
    waiting: list[Row] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += 64 + sum(len(cell) for cell in row if isinstance(cell, str))
        if size > BATCH_BYTES:
            yield _batch(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield _batch(waiting, schema)


def _batch(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    try:
        return _arrays(rows, schema)
    except UnicodeEncodeError:
        return _arrays([_readable(row, schema) for row in rows], schema)


def _arrays(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _readable(row: Row, schema: pa.Schema) -> Row:
    """A row with a lone surrogate, which no encoding of Unicode has."""
    clean = [cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell for cell in row]
    if clean == list(row):
        return row
    clean[schema.get_field_index(MALFORMED)] = "the text holds half a surrogate pair, which is no character"
    return tuple(clean)
