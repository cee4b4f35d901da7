"""Cells of a workbook whose formula came to an error (`#DIV/0!`, `#N/A`), which the reader of sheets shows as empty."""

import io
import posixpath
import re
import zipfile
from typing import IO

from lxml import etree

SHEETS = "xl/workbook.xml"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
AN_ERROR = re.compile(rb"""\bt\s*=\s*["']e["']""")
CHUNK = 1 << 20
SHOWN = 5


def lines_with_errors(content: bytes, position: int) -> dict[int, str]:
    """Lines of a sheet, by its position in the workbook, with the cells in which an error stands: `A2 (#DIV/0!)`.

    Nothing for a workbook that is not of the kind `.xlsx`. The sheet is parsed only where it holds an error at all.
    Raises ValueError where its XML breaks.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = _part(archive, position)
        if name is None:
            return {}
        with archive.open(name) as sheet:
            if not _has_error(sheet):
                return {}
        with archive.open(name) as sheet:
            try:
                return _errors(sheet)
            except etree.XMLSyntaxError as error:
                raise ValueError(f"the sheet's XML breaks: {error.msg}") from error


def _part(archive: zipfile.ZipFile, position: int) -> str | None:
    relations = "xl/_rels/workbook.xml.rels"
    if not {SHEETS, relations} <= set(archive.namelist()):
        return None
    sheets = [sheet.get(RELATION) for sheet in _parsed(archive, SHEETS).iter("{*}sheet")]
    targets = {each.get("Id"): each.get("Target") for each in _parsed(archive, relations).iter("{*}Relationship")}
    target = targets.get(sheets[position]) if position < len(sheets) else None
    name = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/") if target else None
    return name if name in archive.namelist() else None


def _parsed(archive: zipfile.ZipFile, name: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(archive.read(name), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{name}: {error.msg}") from error


def _has_error(sheet: IO[bytes]) -> bool:
    before = b""
    while chunk := sheet.read(CHUNK):
        if AN_ERROR.search(before + chunk):
            return True
        before = chunk[-20:]
    return False


def _errors(sheet: IO[bytes]) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    rows = etree.iterparse(sheet, tag="{*}row", resolve_entities=False, no_network=True, load_dtd=False)
    line = 0
    for _, row in rows:
        line = int(row.get("r") or line + 1)
        for cell in row.iterchildren("{*}c"):
            if cell.get("t") == "e":
                found.setdefault(line, []).append(f"{cell.get('r', '?')} ({cell.findtext('{*}v')})")
        row.clear()
        while row.getprevious() is not None:
            del row.getparent()[0]
    return {line: ", ".join(cells[:SHOWN]) for line, cells in found.items()}
