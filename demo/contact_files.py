"""How the support desk writes a file: contacts as CSV, JSON lines or XML, one line each, with defects among them."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from demo.telco import Row

FIELDS = ["contact_id", "customer_id", "contacted_at", "channel", "topic", "minutes", "satisfaction"]


@dataclass(frozen=True)
class Entry:
    """A line of a file: a contact, or the text of a line that is none, with the reason if it is planted."""

    line: Row | str
    reason: str | None = None


def write_file(
    extension: str, entries: Sequence[Entry], fields: Sequence[str] = FIELDS, *, cut_off: bool = False
) -> tuple[bytes, list[tuple[int, str]]]:
    """The bytes of a file, and line number (from 1) and reason of each planted entry.

    NULL is an empty cell in CSV, `null` in JSON, an empty element in XML. `cut_off` ends the file with its last entry,
    as a broken transfer does.
    """
    head, tail = [], []
    if extension == "csv":
        head = [",".join(fields)]
    elif extension == "xml":
        head, tail = ['<?xml version="1.0" encoding="UTF-8"?>', "<contacts>"], ["</contacts>"]
    lines = [entry.line if isinstance(entry.line, str) else _line(extension, entry.line, fields) for entry in entries]
    text = "\n".join(head + lines) if cut_off else "\n".join([*head, *lines, *tail, ""])
    planted = [(number, entry.reason) for number, entry in enumerate(entries, start=len(head) + 1) if entry.reason]
    return text.encode(), planted


def _line(extension: str, row: Row, fields: Sequence[str]) -> str:
    if extension == "jsonl":
        return json.dumps({field: row[field] for field in fields})
    cells = ["" if row[field] is None else str(row[field]) for field in fields]
    if extension == "xml":
        elements = (f"<{field}>{escape(cell)}</{field}>" for field, cell in zip(fields, cells, strict=True))
        return f"<contact>{''.join(elements)}</contact>"
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
