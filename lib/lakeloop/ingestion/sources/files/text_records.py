"""Streams of text into records, in Python: packed files, other encodings, records over several lines, rarer formats.

Runs on executors, a file at a time and a record at a time, so it imports nothing of Spark and holds no file in memory.
"""

import codecs
import csv as csv_module
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import BinaryIO

from lakeloop.ingestion.source_specs.files import CsvFormat, FixedWidthFormat, PlainTextFormat
from lakeloop.ingestion.sources.headers import find_header, sniff_delimiter

LINES_OF_A_RECORD = 1_000  # a quote that is open for longer was torn
# No text holds this code point, so it marks bytes that are not of the encoding.
UNREADABLE = "\ufdd0"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return UNREADABLE, error.end
    raise error


codecs.register_error("unreadable", _mark)


@dataclass(frozen=True)
class Record:
    """One record: where it begins (a line, or its place from 1), its text, its fields, and what is wrong with its form.

    `header` says that the fields are columns of the whole file, so that one that is declared and absent is missing.
    """

    place: int
    original: str
    values: dict[str, str | None]
    error: str | None = None
    header: bool = True


Line = tuple[int, str, str | None]


def lines_of(stream: BinaryIO, encoding: str, longest: int) -> Iterator[Line]:
    """Lines with their number from 1 and what is wrong with one, without their end; blank ones are left out.

    A byte that is not of the encoding shows as U+FFFD; a line beyond `longest` characters is cut there.
    """
    text = TextIOWrapper(stream, encoding, errors="unreadable", newline=None)
    number = 0
    while line := text.readline(longest):
        number += 1
        error = None
        if len(line) == longest and not line.endswith("\n"):
            error = f"the line is longer than {longest:,} characters"
            while (rest := text.readline(longest)) and not rest.endswith("\n"):
                pass
        elif UNREADABLE in line:
            error = f"the text is not valid {encoding.upper()}"
        line = line.rstrip("\n").replace(UNREADABLE, "\ufffd")
        if line.strip(" "):
            yield number, line, error


def csv_records(stream: BinaryIO, csv: CsvFormat, encoding: str, longest: int) -> Iterator[Record]:
    """Records of delimited text below its header; one that spans lines stands at its first."""
    csv_module.field_size_limit(longest)
    numbered = lines_of(stream, encoding, longest)
    first = next(numbered, None)
    if first is None:
        return
    if first[2]:
        yield Record(first[0], first[1], {}, f"the header: {first[2]}")
    delimiter = sniff_delimiter(first[1], csv.quote) if csv.delimiter == "auto" else csv.delimiter
    header = find_header(first[1], delimiter, csv.quote)
    begins = re.compile(rf"(^|{re.escape(delimiter)}){re.escape(csv.quote)}")
    for number, text, broken in _joined(numbered, csv.quote, longest) if csv.multiline else numbered:
        cells, error = [], broken
        if error is None and text.count(csv.quote) % 2 and begins.search(text):
            error = "a quote is not closed" + ("" if csv.multiline else " on the line")
        if error is None:
            cells = next(
                csv_module.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, quotechar=csv.quote), []
            )
            if len(cells) != len(header):
                error = f"the line does not have the {len(header)} cells of the header"
        yield Record(number, text, {name: cell or None for name, cell in zip(header, cells, strict=False)}, error)


def fixed_width_records(stream: BinaryIO, fixed: FixedWidthFormat, encoding: str, longest: int) -> Iterator[Record]:
    """Lines cut at the declared widths; one that ends before its last field, or goes on after it, is malformed."""
    places, total = {}, 0
    for name, width in fixed.widths.items():
        places[name] = (total, total + width)
        total += width
    last = total - width
    for number, text, broken in lines_of(stream, encoding, longest):
        if number <= fixed.skip_lines:
            continue
        error = broken
        if error is None and not last < len(text) <= total:
            error = f"the line has {len(text)} characters, expected {last + 1} to {total}"
        yield Record(number, text, {name: text[a:b].strip() or None for name, (a, b) in places.items()}, error)


def plain_records(stream: BinaryIO, text: PlainTextFormat, encoding: str, longest: int) -> Iterator[Record]:
    """Lines as they are."""
    for number, line, error in lines_of(stream, encoding, longest):
        yield Record(number, line, {text.field: line}, error)


def _joined(lines: Iterator[Line], quote: str, longest: int) -> Iterator[Line]:
    """Lines joined while a quote is open, to `longest` characters at most.

    Where it stays open the first line stands alone and is malformed.
    """
    pending: list[Line] = []
    while line := pending.pop(0) if pending else next(lines, None):
        number, text, error = line
        parts, taken = [text], 0
        is_open, size = text.count(quote) % 2 == 1, len(text)
        while error is None and is_open and len(parts) < LINES_OF_A_RECORD and size < longest:
            if taken == len(pending):
                following = next(lines, None)
                if following is None:
                    break
                pending.append(following)
            parts.append(pending[taken][1])
            taken += 1
            is_open, size = is_open != (parts[-1].count(quote) % 2 == 1), size + len(parts[-1])
        if not is_open:
            del pending[:taken]
            yield number, "\n".join(parts), error
        else:
            yield number, text, error
