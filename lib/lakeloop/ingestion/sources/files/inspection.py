"""A look into each file before it is read: its hash, its header, its encoding, and whether it is what its name says."""

import codecs
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import pyarrow as pa
from pyarrow import orc, parquet

from lakeloop.ingestion.source_specs.files import (
    AnyFormat,
    AvroFormat,
    CsvFormat,
    ExcelFormat,
    FilesSource,
    OrcFormat,
    ParquetFormat,
    TextFormat,
)
from lakeloop.ingestion.sources import headers
from lakeloop.ingestion.sources.files.encryption import COMPOUND, LOCKED, is_encrypted
from lakeloop.ingestion.sources.files.listing import Listed, leads_out, said_by_store, split_extension
from lakeloop.lake.storage import filesystem

LOOKED_AT = 64 << 10
LONG_LINE = 1 << 20  # Spark's parsers hold a line a dozen times, and two to a character
THREADS = 8
MAX_COLUMNS = 1_000  # a plan of more columns takes Spark longer than the rows take Python
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
BEGINNINGS = {"gz": b"\x1f\x8b", "bz2": b"BZh", "zip": b"PK", "parquet": b"PAR1", "orc": b"ORC", "avro": b"Obj\x01"}


@dataclass(frozen=True)
class Inspected:
    """What a plan says of a file. `refused` tells why it cannot be read as a whole; the header is that of a CSV.

    `unwieldy` has lines too long or columns too many for Spark. `tidy` is UTF-8 from start to end, and no line of it
    ends by a carriage return alone. Only a CSV with `quotes` may have a quote in it.
    """

    path: str
    size: int
    modified: int
    sha256: str = ""
    extension: str = ""
    packing: str = ""
    encoding: str = ""
    header: tuple[str, ...] = ()
    header_line: int = 0
    delimiter: str = ""
    schema: str = ""
    unwieldy: bool = False
    tidy: bool = False
    quotes: bool = True
    refused: str | None = None

    @property
    def listed(self) -> Listed:
        """The file as it was listed."""
        return Listed(self.path, self.size, self.modified)


def inspect_files(
    files: Sequence[Listed], spec: FilesSource, progress: Callable[[str], None], folder: str
) -> list[Inspected]:
    """Look into files below a folder, several at a time, in their order. Each is read once from start to end."""
    inspected: list[Inspected] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for number, file in enumerate(pool.map(partial(inspect, spec=spec, folder=folder), files), start=1):
            inspected.append(file)
            if number % 500 == 0:
                progress(f"looked into {number:,} of {len(files):,} new files")
    return inspected


def inspect(file: Listed, spec: FilesSource, folder: str) -> Inspected:
    """Look into one file."""
    extension, packing = split_extension(file.path)
    known = Inspected(file.path, file.size, file.modified, extension=extension, packing=packing)
    declared = spec.formats.by_extension.get(extension)
    if leads_out(file.path, folder):
        return replace(known, refused="it is a link that leads out of the folder; drop a copy of the file")
    try:
        system, path = filesystem(file.path)
        with system.open_input_stream(path, compression=None) as stream:
            is_text = isinstance(declared, TextFormat) and not packing
            quote = declared.quote if isinstance(declared, CsvFormat) else ""
            skimmed = _skim(stream, min(LONG_LINE, spec.limits.record_bytes), is_text=is_text, quote=quote.encode())
        first, unwieldy = skimmed.first, skimmed.longest > min(LONG_LINE, spec.limits.record_bytes)
        known = replace(known, sha256=skimmed.sha256, unwieldy=unwieldy, tidy=skimmed.tidy, quotes=skimmed.quotes)
        refused = _refusal(file, first, extension, packing)
        if refused is None and isinstance(declared, ExcelFormat) and not packing:
            with system.open_input_stream(path, compression=None) as stream:
                refused = LOCKED if first.startswith(COMPOUND) and is_encrypted(stream) else None
        if refused is None and not packing:
            schema, refused = _look_at_schema(file, declared)
            known = replace(known, schema=schema)
    except OSError as error:
        return replace(known, refused=f"it cannot be read: {said_by_store(error)}")
    if refused:
        return replace(known, refused=refused)
    if not isinstance(declared, TextFormat) or packing:
        return replace(known, encoding=declared.encoding if isinstance(declared, TextFormat) else "")
    encoding = find_encoding(first, declared.encoding)
    if not isinstance(declared, CsvFormat):
        return replace(known, encoding=encoding)
    text = first.decode("utf-8-sig" if encoding in ("utf-8", "utf-8-sig") else encoding, "replace")
    line, number = _first_line(text)
    delimiter = headers.sniff_delimiter(line, declared.quote) if declared.delimiter == "auto" else declared.delimiter
    header = headers.find_header(line, delimiter, declared.quote)
    lines = text[:-1].count("\n") + text[:-1].count("\r")
    fields = list(spec.fields or ())
    is_alone = lines < number and file.size <= LOOKED_AT
    if header and fields and is_alone and not headers.match_names(header, fields):
        said = f"its one line names none of {', '.join(fields)}; check its encoding and delimiter"
        return replace(known, refused=said)
    unwieldy = known.unwieldy or len(header) > MAX_COLUMNS or (lines < number and file.size > LOOKED_AT)
    return replace(known, encoding=encoding, header=header, header_line=number, delimiter=delimiter, unwieldy=unwieldy)


def find_encoding(first: bytes, declared: str) -> str:
    """The declared encoding, unless a byte order mark says otherwise; for `auto` the likeliest for the first bytes."""
    for mark, encoding in MARKS:
        if first.startswith(mark):
            return encoding
    if declared != "auto":
        return declared
    try:
        first[: first.rfind(b"\n") + 1 or len(first)].decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(first).best()
        return best.encoding if best else "utf-8"


@dataclass(frozen=True)
class Skimmed:
    """What one pass over a file tells: its first bytes, its hash, its longest line, whether it is `tidy`, its `quotes`.

    The length of the line is exact where it is beyond the bytes that are read at once.
    """

    first: bytes
    sha256: str
    longest: int
    tidy: bool
    quotes: bool


def _skim(stream: BinaryIO, at_once: int, *, is_text: bool, quote: bytes) -> Skimmed:
    digest, first, longest, line, quotes = hashlib.sha256(), b"", 0, 0, len(quote) > 1
    tidy, decoder, returns, last = is_text, codecs.getincrementaldecoder("utf-8")(), 0, b""
    while chunk := stream.read(at_once):
        if len(first) < LOOKED_AT:
            first += bytes(chunk[: LOOKED_AT - len(first)])
        digest.update(chunk)
        ends = [place for place in (chunk.find(b"\n"), chunk.find(b"\r")) if place >= 0]
        longest = max(longest, line + (min(ends) if ends else len(chunk)))
        line = len(chunk) - max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) - 1 if ends else line + len(chunk)
        tidy = tidy and _decodes(decoder, chunk)
        returns += chunk.count(b"\r") - chunk.count(b"\r\n") - (last == b"\r" and chunk[:1] == b"\n")
        last = bytes(chunk[-1:])
        quotes = quotes or (quote != b"" and quote in chunk)
    tidy = tidy and returns == 0 and _decodes(decoder, b"", final=True)
    return Skimmed(first, digest.hexdigest(), longest, tidy, quotes or not tidy)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _refusal(file: Listed, first: bytes, extension: str, packing: str) -> str | None:
    if "://" not in file.path and ":" in file.path and not packing:
        return "Spark cannot read a local file with ':' in its path; rename it"
    name = packing or extension
    wanted = BEGINNINGS.get(name)
    if wanted and not first.startswith(wanted):
        return f"it is named .{name}, but does not begin like one" if first else f"it is an empty .{name}"
    if wanted is None and extension not in ("xlsx", "xlsm", "xlsb", "ods"):
        for other, beginning in BEGINNINGS.items():
            if first.startswith(beginning) and other not in ("orc", "bz2"):
                return f"it is named .{extension}, but begins like a .{other}"
    return None


def _look_at_schema(file: Listed, declared: AnyFormat | None) -> tuple[str, str | None]:
    """The schema of a columnar file, as text that is equal for equal schemas, and what is wrong with the file."""
    system, path = filesystem(file.path)
    try:
        if isinstance(declared, ParquetFormat):
            with system.open_input_file(path) as stream:
                return str(parquet.read_schema(stream).remove_metadata()), None
        if isinstance(declared, OrcFormat):
            with system.open_input_file(path) as stream:
                return str(orc.ORCFile(stream).schema), None
        if isinstance(declared, AvroFormat):
            return _look_into_avro(file)
    except (pa.ArrowInvalid, OSError) as error:
        return "", f"it is damaged: {str(error).splitlines()[0]}"
    return "", None


def _look_into_avro(file: Listed) -> tuple[str, str | None]:
    import fastavro

    system, path = filesystem(file.path)
    try:
        with system.open_input_file(path) as stream:
            blocks = fastavro.block_reader(stream)
            for _ in blocks:  # a block ends with the file's own mark, so a cut is noticed
                pass
            return json.dumps(blocks.writer_schema, sort_keys=True, default=str), None
    except (ValueError, EOFError, IndexError, KeyError) as error:
        return "", f"it is damaged: {error or type(error).__name__}"


def _first_line(text: str) -> tuple[str, int]:
    """The first line that is not blank, and its number."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return next(((line, n) for n, line in enumerate(lines, start=1) if line.strip(" ")), ("", 0))
