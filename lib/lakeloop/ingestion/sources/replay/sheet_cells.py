"""Cells of rows that people edit in a spreadsheet: written so that nothing obeys them, and read back exactly."""

import hashlib
import json
import re
from collections.abc import Mapping

from lakeloop.lake.masks import REDACTED
from lakeloop.lake.plain_values import FORMULA_STARTS

# Control characters, which move a terminal's cursor, and marks of direction; line feeds stand as they are in a cell.
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
WRITTEN = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))")
OBEYED = re.compile("'*[" + re.escape("".join(FORMULA_STARTS)) + "]")
BACKSLASH = r"\x5c"


def as_cell(text: str | None) -> str:
    r"""A text as a cell; NULL is empty.

    A control character is written as `\x1b`, a backslash as `\x5c` where what follows it would be read so, and what a
    spreadsheet would take for a formula gets one apostrophe in front.
    """
    if not text:
        return ""
    plain = WRITTEN.sub(lambda found: found[0].replace("\\", BACKSLASH, 1) if _is_read(found) else found[0], text)
    shown = UNSEEN.sub(_written, plain)
    return f"'{shown}" if OBEYED.match(shown) else shown


def of_cell(cell: str) -> str | None:
    """The text that `as_cell` was given, or that somebody has typed; an empty cell is NULL."""
    plain = cell[1:] if cell.startswith("'") and OBEYED.match(cell) else cell
    return WRITTEN.sub(lambda found: _read(found) if _is_read(found) else found[0], plain) or None


def told(text: str | None, cells: Mapping[str, str | None]) -> str:
    """What tells one state of a row from another: its text and cells, as they were shown.

    It begins with a letter and holds no `e`, so that no spreadsheet takes it for a number. Absent and empty cells count
    alike, so that a column that the schema has got since then changes nothing.
    """
    filled = {name: value for name, value in sorted(cells.items()) if value}
    digest = hashlib.sha256(json.dumps([text or "", filled]).encode()).hexdigest()
    return "v" + digest[:15].replace("e", "g")


def masked(text: str | None) -> str | None:
    """What somebody sees who may not see personal data."""
    return REDACTED if text else text


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _read(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16))


def _is_read(found: re.Match[str]) -> bool:
    """Whether `as_cell` writes a character so; other such sequences are texts, as those of JSON."""
    character = _read(found)
    return (character == "\\" or UNSEEN.fullmatch(character) is not None) and _written_as(character) == found[0]


def _written_as(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
