"""The corpus of hostile and broken files: the same bytes each time, each file with its outcome."""

import os
from collections.abc import Iterable
from inspect import signature
from pathlib import Path

from tests.corpus import columnar_files, json_files, named_files, packed_files, sheet_files, text_files, xml_files
from tests.corpus.cases import Case, Surroundings

GROUPS = {
    "Delimited text, fixed widths, lines": text_files, "JSON": json_files, "XML": xml_files, "Packed": packed_files,
    "Parquet, ORC, Avro": columnar_files, "Workbooks": sheet_files, "Names and things that are no files": named_files,
}  # fmt: skip
ALL_FORMATS = {
    "csv": {}, "jsonl": {}, "json_array": {}, "xml": {"row_tag": "c"},
    "fixed_width": {"widths": {"a": 1, "b": 3}, "extensions": ["txt"]},
    "text": {"field": "a", "extensions": ["log"]}, "parquet": {}, "orc": {}, "avro": {}, "excel": {},
}  # fmt: skip
LOTS = {
    "plain": {"formats": ALL_FORMATS},
    "declared": {"formats": {"csv": {"encoding": "utf-16-le", "quote": "'", "delimiter": ";"}},
                 "limits": {"entries": 5, "record_bytes": 1000}},
    "found": {"formats": {"csv": {"encoding": "auto", "multiline": True}}},
}  # fmt: skip
LOT_WORDS = {
    "plain": "",
    "declared": " (declared: UTF-16-LE, `;`, quote `'`, 5 entries, records of 1,000 bytes)",
    "found": " (declared: encoding auto, multiline)",
}


def cases(lot: str) -> list[Case]:
    """The cases that are read in one batch."""
    return [case for group in GROUPS.values() for case in group.CASES if case.lot == lot]


def write(chosen: Iterable[Case], folder: Path, around: Surroundings) -> None:
    """Write the files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in chosen:
        path = folder / os.fsdecode(case.file)
        if isinstance(case.content, str | bytes):
            path.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
        elif len(signature(case.content).parameters) == 2:
            case.content(path, around)  # type: ignore[call-arg]
        else:
            case.content(path)  # type: ignore[call-arg]


def page() -> str:
    """The tables of `docs/hostile-files.md`."""
    sections = []
    for heading, group in GROUPS.items():
        rows = [
            f"| {_code(case.file)} | {_text(case.what + LOT_WORDS[case.lot])} | {_text(case.outcome)} |"
            for case in group.CASES
        ]
        sections.append("\n".join([f"## {heading}", "", "| file | what it is | outcome |", "|---|---|---|", *rows]))
    return "\n\n".join(sections) + "\n"


def _code(name: str | bytes) -> str:
    """A name as a text between backticks, with what cannot be seen escaped."""
    shown = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    plain = "".join(
        each if each.isascii() and each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )
    short = plain if len(plain) < 50 else f"{plain[:20]}…{plain[-8:]}"
    return (
        f"`` {short} ``".replace("|", "\\|")
        if "`" in short or short != short.strip()
        else f"`{short}`".replace("|", "\\|")
    )


def _text(text: str) -> str:
    return text.replace("|", "\\|")
