"""Records of an API as rows of the declared columns, on the executors, with all digits of their numbers."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs.files import Limits
from lakeloop.ingestion.sources.files.json_documents import DECODER, json_text, unusable
from lakeloop.ingestion.sources.files.text_records import Record
from lakeloop.ingestion.sources.files.unpack import FRAME, Row, Unpacker, batched
from lakeloop.ingestion.sources.line_parsers import TEXT
from lakeloop.ingestion.sources.protocol import POSITION
from lakeloop.ingestion.sources.rest.flattening import flatten


@dataclass(frozen=True)
class RecordParser:
    """Makes rows of records; travels to the executors. `paths`, `aliases` and `lacks` as where they come from."""

    fields: tuple[str, ...]
    paths: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    def rows(self, records: Iterable[tuple[str | None, int | None, str]]) -> Iterator[Row]:
        """A row for each (origin, place, text)."""
        unpacker = Unpacker({}, self.fields, Limits(), self.aliases, self.lacks)
        known: dict[tuple[str, ...], dict[str, str]] = {}
        for origin, place, text in records:
            *values, _origin, _place, original, rescued, error, missing = unpacker.row("", self.record(text), known)
            yield (*values, origin, place, original, rescued, error, missing)

    def record(self, text: str) -> Record:
        """The one record that a text is; with an error where it is none."""
        try:
            value = DECODER.decode(text)
        except (json.JSONDecodeError, RecursionError):
            value = None
        error = unusable(value, text)
        flat = {} if error else flatten(value, self.paths)
        return Record(0, text, {name: json_text(item) for name, item in flat.items()}, error, header=False)


def parse_records(lines: DataFrame, parser: RecordParser) -> DataFrame:
    """Rows of `_text` and `_position` in the form that the line parsers give."""
    texts = [pa.field(name, pa.string()) for name in parser.fields]
    own = [pa.field(name, pa.int64() if name == "_record" else pa.string()) for name in FRAME]
    schema = pa.schema([*texts, *own])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            records = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            yield from batched(parser.rows(records), schema)

    given = lines.select(F.col(POSITION)["origin"].alias("_origin"), F.col(POSITION)["record"].alias("_record"), TEXT)
    types = [f"`{name}` STRING" for name in parser.fields]
    types += [f"{name} {'BIGINT' if name == '_record' else 'STRING'}" for name in FRAME]
    place = F.struct(F.col("_origin").alias("origin"), F.col("_record").alias("record"))
    return given.mapInArrow(read, ", ".join(types)).withColumn(POSITION, place).drop("_origin", "_record")
