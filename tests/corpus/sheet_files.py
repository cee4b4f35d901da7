"""Workbooks: merged, wrong, encrypted and with macros."""

import datetime as dt
import io
import struct
import zipfile
from collections.abc import Callable

import xlsxwriter
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from tests.corpus.cases import Case
from tests.corpus.packed_files import archive, gz


def book(fill: Callable[[Workbook, Worksheet], object]) -> bytes:
    """A workbook with the header in its first line."""
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as workbook:
        workbook.set_properties({"created": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)})
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["a", "b"])
        fill(workbook, sheet)
    return target.getvalue()


def cells(*rows: list[object]) -> bytes:
    """A workbook of plain cells."""
    return book(lambda _, sheet: [sheet.write_row(line, 0, row) for line, row in enumerate(rows, start=1)])


def formulas(_: Workbook, sheet: Worksheet) -> None:
    sheet.write_formula("A2", "=1/0", None, "#DIV/0!")
    sheet.write_formula("B2", "=1+1", None, 2)
    sheet.write_formula("A3", '=HYPERLINK("http://127.0.0.1/")', None, "x")
    sheet.write_string("B3", "=1+1")


def dates(workbook: Workbook, sheet: Worksheet) -> None:
    format_ = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    sheet.write_datetime("A2", dt.datetime(2026, 2, 3, 4, 5), format_)  # noqa: DTZ001
    sheet.write_number("B2", 1e16)
    sheet.write_number("A3", 60, workbook.add_format({"num_format": "yyyy-mm-dd"}))
    sheet.write_number("B3", -1, format_)


def macro(workbook: Workbook, sheet: Worksheet) -> None:
    workbook.add_vba_project(io.BytesIO(b"no program"), True)
    sheet.write_row(1, 0, [1, "x"])


def encrypted() -> bytes:
    """A compound file with the streams that a password makes, which hold nothing."""
    free, end, fat = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    header = struct.pack("<8s16sHHHHH6sIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3,
                         0xFFFE, 9, 6, b"",
                         0, 1, 1, 0, 4096, end, 0, end, 0)  # fmt: skip
    names = ("Root Entry", "EncryptionInfo", "EncryptedPackage", "")
    entries = b""
    for number, name in enumerate(names):
        text = name.encode("utf-16-le").ljust(64, b"\0")
        kind = 5 if number == 0 else 2 if name else 0
        links = (free, free, 1) if number == 0 else (free, 2 if number == 1 else free, free)
        entries += struct.pack(
            "<64sHBBIII16sIQQIQ", text, 2 * len(name) + 2 if name else 0, kind, 1, *links, b"", 0, 0, 0, end, 0
        )
    table = struct.pack("<128I", fat, end, *[free] * 126)
    return header + struct.pack("<109I", *[free] * 109) + table + entries


def locked(workbook: bytes) -> bytes:
    """The workbook as Excel would save it with a password; other bytes each time, since the key is drawn."""
    from msoffcrypto.format.ooxml import OOXMLFile

    target = io.BytesIO()
    OOXMLFile(io.BytesIO(workbook)).encrypt("correct horse", target)
    return target.getvalue()


def bomb() -> bytes:
    """A workbook whose sheet is a bomb."""
    with zipfile.ZipFile(io.BytesIO(cells([1, "x"]))) as good:
        members = [(name, good.read(name)) for name in good.namelist()]
    blown = [(name, data + b" " * (50 << 20) if name.endswith("sheet1.xml") else data) for name, data in members]
    return archive(*blown)


def lying_bomb() -> bytes:
    """The same, with sizes that say nothing of it."""
    packed = bytearray(bomb())
    name = b"xl/worksheets/sheet1.xml"
    for mark, size_at, name_at in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        at = packed.index(mark)
        while packed[at + name_at : at + name_at + len(name)] != name:
            at = packed.index(mark, at + 1)
        packed[at + size_at : at + size_at + 4] = struct.pack("<I", 1000)
    return bytes(packed)


GOOD = cells([1, "x"], [2.5, True], [None, None], [3, ""])
CANNOT = "the workbook cannot be read"

CASES = (
    Case("good.xlsx", "numbers, truth, a blank line", GOOD, {2: ("1", "x"), 3: ("2.5", "true"), 5: ("3", None)}),
    Case(
        "formulas.xlsx",
        "formulas, which count by their value, and one that came to an error",
        book(formulas),
        {3: ("x", "=1+1")},
        ((2, "an error in A2 (#DIV/0!)"),),
    ),
    Case(
        "dates.xlsx",
        "dates, the day that never was, and numbers beyond them",
        book(dates),
        {2: ("2026-02-03 04:05:00", "1e+16"), 3: ("1900-02-28", "00:00:00")},
    ),
    Case(
        "merged.xlsx",
        "merged cells: the first has the value",
        book(lambda _, sheet: sheet.merge_range("A2:B3", "x")),
        {2: ("x", None)},
    ),
    Case("macro.xlsm", "a macro, which is not looked at", book(macro), {2: ("1", "x")}),
    Case("password.xlsx", "the least file that a password makes", encrypted(), refused="the workbook is encrypted"),
    Case(
        "encrypted.xlsx",
        "a workbook that is encrypted indeed",
        lambda path: path.write_bytes(locked(GOOD)),
        refused="the workbook is encrypted",
    ),
    Case(
        "encrypted.xlsx.gz",
        "the same, packed",
        lambda path: path.write_bytes(gz(locked(GOOD))),
        0,
        ((1, "the workbook is encrypted"),),
    ),
    Case(
        "bomb.xlsx",
        "a sheet that is a bomb",
        lambda path: path.write_bytes(bomb()),
        0,
        ((1, "the workbook unpacks to"),),
    ),
    Case(
        "lying_bomb.xlsx",
        "the same bomb, which says that it is small",
        lambda path: path.write_bytes(lying_bomb()),
        0,
        ((1, CANNOT),),
    ),
    Case("cut.xlsx", "a workbook that was cut", GOOD[:-100], 0, ((1, CANNOT),)),
    Case("csv.xlsx", "CSV by another name", "a,b\n1,x\n", 0, ((1, CANNOT),)),
    Case("no_sheet.xlsx", "a zip that is no workbook", archive(("1.txt", "x")), 0, ((1, CANNOT),)),
    Case("empty.xlsx", "no bytes", b""),
    Case("header.xlsx", "a header and no row", cells()),
)
