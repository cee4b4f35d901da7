"""Sheets of workbooks into records. Runs on executors; needs the extra `files`."""

import datetime as dt
import io
import json
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from lakeloop.ingestion.source_specs.files import ExcelFormat, Limits
from lakeloop.ingestion.sources.files.encryption import LOCKED, is_encrypted
from lakeloop.ingestion.sources.files.packing import BombError
from lakeloop.ingestion.sources.files.sheet_errors import lines_with_errors
from lakeloop.ingestion.sources.files.text_records import Record
from lakeloop.ingestion.sources.headers import distinct_names

Cell = str | float | bool | dt.datetime | dt.date | dt.time | dt.timedelta


def sheet_records(stream: BinaryIO, excel: ExcelFormat, limits: Limits) -> Iterator[Record]:
    """Rows below the header by their line in the sheet; rows without a cell that is filled are left out."""
    from python_calamine import CalamineError, WorksheetNotFound, load_workbook

    content = stream.read(limits.expanded_bytes + 1)
    _check_size(content, limits)
    if is_encrypted(io.BytesIO(content)):
        yield Record(1, "", {}, LOCKED)
        return
    try:
        workbook = load_workbook(io.BytesIO(content))
        name = excel.sheet if isinstance(excel.sheet, str) else workbook.sheet_names[excel.sheet]
        sheet = workbook.get_sheet_by_name(name)
    except (CalamineError, WorksheetNotFound, IndexError) as error:
        yield Record(1, "", {}, f"the workbook cannot be read: {error}")
        return
    wrong = lines_with_errors(content, workbook.sheet_names.index(name))
    first = (sheet.start or (0, 0))[0]  # empty lines at the top are no part of what is iterated
    header: tuple[str, ...] = ()
    for line, row in enumerate(sheet.iter_rows(), start=first + 1):
        cells = [cell_text(cell) for cell in row]
        if line == excel.header_line:
            header = distinct_names((cell or "").strip() for cell in cells)
        elif line > excel.header_line and any(cell is not None for cell in cells):
            original = json.dumps(cells, ensure_ascii=False)
            complaint = None if header else f"line {excel.header_line} does not name the columns"
            if complaint is None and line in wrong:
                complaint = f"the formula's value is an error in {wrong[line]}"
            yield Record(line, original, dict(zip(header, cells, strict=False)), complaint)


def cell_text(cell: Cell) -> str | None:
    """A cell as text: whole numbers without a fraction, times as ISO 8601 with a blank, nothing for an empty one."""
    match cell:
        case "":
            return None
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer() and abs(cell) < 2**53:
            return str(int(cell))
        case dt.datetime():
            return cell.isoformat(sep=" ")
        case _:
            return str(cell)


def _check_size(content: bytes, limits: Limits) -> None:
    if len(content) > limits.expanded_bytes:
        raise BombError(f"the workbook has more than {limits.expanded_bytes:,} bytes")
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > min(limits.expanded_bytes, max(1 << 20, len(content) * limits.ratio)):
        raise BombError(f"the workbook unpacks to {unpacked:,} bytes, too many for its {len(content):,}")
