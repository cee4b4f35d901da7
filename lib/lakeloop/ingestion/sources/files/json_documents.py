"""JSON into records, in Python: arrays of objects, one object, objects that follow each other, an object a line."""

import json
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any, BinaryIO

from lakeloop.ingestion.sources.files.text_records import UNREADABLE, Record, lines_of

CHUNK = 1 << 20
BLANK = " \t\r\n"


class Number(str):
    """A number as it is written, with all its digits."""

    __slots__ = ()


class Constant(Number):
    """NaN, Infinity or -Infinity, which JavaScript has and JSON lacks."""

    __slots__ = ()


def json_records(stream: BinaryIO, encoding: str, longest: int) -> Iterator[Record]:
    """Objects of a document by their place from 1. Where the document breaks, the break is the last record."""
    window = _Window(TextIOWrapper(stream, encoding, errors="unreadable"), longest)
    in_array = window.takes("[")
    place = 0
    while not window.at_end():
        if in_array and window.takes("]"):
            if not window.at_end():
                yield Record(place + 1, window.rest(), {}, "text follows the end of the array", header=False)
            return
        place += 1
        value, original, broken = window.value()
        error = broken or unusable(value, original)
        values = {} if error else {key: json_text(item) for key, item in value.items()}
        yield Record(place, original.replace(UNREADABLE, "\ufffd"), values, error, header=False)
        if broken:
            return
        window.takes(",")
    if in_array:
        yield Record(place + 1, "", {}, "the array is not closed", header=False)


def json_line_records(stream: BinaryIO, encoding: str, longest: int) -> Iterator[Record]:
    """One object a line; a line that is none is one bad record, and the next line is read."""
    for number, text, broken in lines_of(stream, encoding, longest):
        values: dict[str, str | None] = {}
        error = broken
        if error is None:
            try:
                value = DECODER.decode(text)
                error = unusable(value, text)
                values = {} if error else {key: json_text(item) for key, item in value.items()}
            except json.JSONDecodeError:
                error = "the text is not one JSON object"
            except RecursionError:
                error = "the text is not one JSON object: it is nested too deeply"
        yield Record(number, text, values, error, header=False)


def unusable(value: Any, original: str) -> str | None:
    """Why a value is no record."""
    if not isinstance(value, dict):
        return "the text is not one JSON object"
    if isinstance(value, Repeated):
        return "a key stands twice in the object"
    if UNREADABLE in original:
        return "the text is not valid in its encoding"
    if ("NaN" in original or "Infinity" in original) and _has_constant(value):
        return "NaN and Infinity are numbers that no JSON has"
    return None


def _has_constant(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_constant, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Constant)


def json_text(value: Any) -> str | None:
    """A value as text: a string as it is, a number with all its digits, what is nested as JSON."""
    if value is None or isinstance(value, str):
        return value
    return _dumped(value)


def _dumped(value: Any) -> str:
    match value:
        case Number():
            return str(value)
        case dict():
            pairs = value.pairs if isinstance(value, Repeated) else value.items()
            return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_dumped(v)}" for k, v in pairs) + "}"
        case list():
            return "[" + ",".join(map(_dumped, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


class Repeated(dict[str, Any]):
    """An object in which a key stands twice; `pairs` has both."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


DECODER = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=Constant, object_pairs_hook=_object, strict=False
)


class _Window:
    """The part of a document that is looked at; it grows until a value is whole, and moves on behind it."""

    def __init__(self, text: TextIOWrapper, longest: int) -> None:
        self.text, self.longest, self.buffer, self.start = text, longest, "", 0
        self.ended = False

    def at_end(self) -> bool:
        return not self._next()

    def takes(self, character: str) -> bool:
        """Move behind `character` if it comes next."""
        if self._next() != character:
            return False
        self.start += 1
        return True

    def rest(self) -> str:
        return self.buffer[self.start :][:1000]

    def value(self) -> tuple[Any, str, str | None]:
        """The next value, its text, and what is wrong where the document cannot be read on."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.buffer, self.start)
            except json.JSONDecodeError as error:
                if not self.ended and len(self.buffer) - self.start < self.longest:
                    self._grow(max(CHUNK, len(self.buffer) - self.start))
                    continue
                what = error.msg if self.ended else f"no value ends within {self.longest:,} characters"
                return None, self.rest(), f"the JSON breaks here: {what}"
            except RecursionError:
                return None, self.rest(), "the JSON breaks here: it is nested too deeply"
            if end == len(self.buffer) and not self.ended:  # a number may go on
                self._grow(CHUNK)
                continue
            original, self.start = self.buffer[self.start : end], end
            return value, original, None

    def _next(self) -> str:
        while True:
            while self.start < len(self.buffer) and self.buffer[self.start] in BLANK:
                self.start += 1
            if self.start < len(self.buffer):
                return self.buffer[self.start]
            if self.ended:
                return ""
            self._grow(CHUNK)

    def _grow(self, size: int) -> None:
        more = self.text.read(size)
        self.ended = not more
        self.buffer, self.start = self.buffer[self.start :] + more, 0
