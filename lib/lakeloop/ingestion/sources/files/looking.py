"""A look at what columns new files have, and of what types, on the driver: a header, a footer, or the first records."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyarrow import orc, parquet

from lakeloop.ingestion.schemas.columns import NESTED, Found
from lakeloop.ingestion.schemas.inference import infer_type
from lakeloop.ingestion.source_specs.files import (
    AnyFormat,
    AvroFormat,
    CsvFormat,
    FilesSource,
    FixedWidthFormat,
    JsonArrayFormat,
    JsonLinesFormat,
    OrcFormat,
    ParquetFormat,
    PlainTextFormat,
    XmlFormat,
)
from lakeloop.ingestion.sources.files.inspection import THREADS, Inspected
from lakeloop.ingestion.sources.files.packing import BREAKS, BombError
from lakeloop.ingestion.sources.files.unpack import Unpacker
from lakeloop.lake.storage import filesystem

RECORDS = 10_000
BYTES = 1 << 20
BATCH_BYTES = 256 << 20  # of all files of a batch together
LEAST_BYTES = 16 << 10
DOCUMENTS = JsonLinesFormat | JsonArrayFormat | XmlFormat
COLUMNAR = ParquetFormat | OrcFormat | AvroFormat
OPENERS = {"{": "}", "[": "]", "<": ">"}


@dataclass(frozen=True)
class Looker:
    """Looks at the files of a batch; with `values` at the records too, without which packed files show no names."""

    spec: FilesSource
    values: bool

    def look(self, files: Sequence[Inspected]) -> list[Found]:
        """What the files have; left out is a file without a name in it, or one that shows its names only row by row."""
        most_bytes = min(BYTES, max(LEAST_BYTES, BATCH_BYTES // max(len(files), 1)))
        readable = [file for file in files if file.refused is None and file.size > 0]
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(partial(self._look, most_bytes=most_bytes), readable)
            return [each for each in found if each.names]

    def _look(self, file: Inspected, most_bytes: int) -> Found:
        declared = self.spec.formats.by_extension.get(file.extension)
        if isinstance(declared, COLUMNAR) and not file.packing:
            return columns_of(file, declared)
        names = () if file.packing == "zip" else _header(file, declared)
        if not self.values and (names or not isinstance(declared, DOCUMENTS)):
            return Found(file.path, names)
        return self._sampled(file, names, most_bytes, nests=isinstance(declared, DOCUMENTS))

    def _sampled(self, file: Inspected, header: tuple[str, ...], most_bytes: int, *, nests: bool) -> Found:
        texts: dict[str, list[str | None]] = defaultdict(list)
        names, is_whole, for_all_rows = dict.fromkeys(header), True, True
        unpacker = Unpacker(self.spec.formats.by_extension, (), self.spec.limits)
        records = unpacker.sample(file.path, file.packing, file.encoding, file.extension, most_bytes)
        try:
            for number, record in enumerate(records):
                if record is None or number == RECORDS:
                    is_whole = bool(header)
                    break
                if record.error is None:
                    for_all_rows = for_all_rows and record.header
                    names |= dict.fromkeys(filter(_is_text, record.values))
                    for name, text in record.values.items() if self.values else ():
                        texts[name].append(text)
        except (*BREAKS, BombError):
            is_whole = False  # reading the file will say where it breaks
        types = {name: _type_of(column, nests=nests) for name, column in texts.items() if any(column)}
        return Found(file.path, tuple(names), types, for_all_rows, is_whole or (for_all_rows and bool(names)))


def columns_of(file: Inspected, declared: AnyFormat) -> Found:
    """The columns of a file that has types of its own; the type is empty where no declaration can name it."""
    system, path = filesystem(file.path)
    if isinstance(declared, AvroFormat):
        fields = json.loads(file.schema).get("fields", []) if file.schema else []
        names = tuple(field["name"] for field in fields)
        return Found(file.path, names, {field["name"]: _avro_type(field["type"]) for field in fields}, is_typed=True)
    with system.open_input_file(path) as stream:
        schema = parquet.read_schema(stream) if isinstance(declared, ParquetFormat) else orc.ORCFile(stream).schema
    types = {field.name: _arrow_type(field.type) for field in schema}
    return Found(file.path, tuple(schema.names), types, is_typed=True)


def _header(file: Inspected, declared: AnyFormat | None) -> tuple[str, ...]:
    match declared:
        case CsvFormat():
            return file.header
        case FixedWidthFormat():
            return tuple(declared.widths)
        case PlainTextFormat():
            return (declared.field,)
        case _:
            return ()


def _is_text(name: str) -> bool:
    """Whether a key can be a name: half a surrogate pair makes its record malformed, and is in no table."""
    return name.isascii() or not re.search("[\ud800-\udfff]", name)


def _type_of(texts: Sequence[str | None], *, nests: bool) -> str:
    values = [text for text in texts if text]
    if nests and any(text[0] in OPENERS and text.rstrip().endswith(OPENERS[text[0]]) for text in values):
        return NESTED
    return infer_type(values)


def _arrow_type(type_: pa.DataType) -> str:
    if pa.types.is_dictionary(type_):
        return _arrow_type(type_.value_type)
    if pa.types.is_nested(type_):
        return NESTED
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    if pa.types.is_timestamp(type_):
        return "timestamp" if type_.tz else ""
    names = {
        "bool": "boolean", "int8": "int", "int16": "int", "int32": "int", "int64": "bigint", "float": "float",
        "double": "double", "string": "string", "large_string": "string", "date32[day]": "date",
    }  # fmt: skip
    return names.get(str(type_), "")


def _avro_type(type_: object) -> str:
    if isinstance(type_, list):  # a union, of null and one type as a rule
        others = [other for other in type_ if other != "null"]
        return _avro_type(others[0]) if len(others) == 1 else ""
    if isinstance(type_, dict):
        logical = type_.get("logicalType")
        if logical == "decimal":
            return f"decimal({type_['precision']},{type_.get('scale', 0)})"
        if logical in ("date", "timestamp-millis", "timestamp-micros"):
            return "date" if logical == "date" else "timestamp"
        return NESTED if type_.get("type") in ("record", "array", "map") else _avro_type(type_.get("type"))
    simple = {"boolean": "boolean", "int": "int", "long": "bigint", "float": "float", "double": "double"}
    return {**simple, "string": "string"}.get(str(type_), "")
