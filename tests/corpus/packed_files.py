"""gzip, bzip2 and zip: bombs, cuts, members that lead out, sizes that lie."""

import bz2
import gzip
import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Sequence

from tests.corpus.cases import Case

ROWS = "a,b\n" + "".join(f"{n},{n * n * 7919 % 10**9}\n" for n in range(2, 20_002))
GOOD = "a,b\n1,x\n"
TIME = (2026, 1, 1, 0, 0, 0)
Member = tuple[str | zipfile.ZipInfo, str | bytes]


def gz(content: str | bytes) -> bytes:
    """Gzip with no time in it."""
    return gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0)


def archive(*members: Member, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of members; names may repeat."""
    target = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(target, "w", method) as packed:
        for name, content in members:
            info = zipfile.ZipInfo(name, TIME) if isinstance(name, str) else name
            info.compress_type = method
            packed.writestr(info, content)
    return target.getvalue()


def link(name: str, target: str) -> Member:
    """A member that is a symbolic link."""
    info = zipfile.ZipInfo(name, TIME)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


def patched(
    packed: bytes, *, local: Sequence[tuple[int, bytes]] = (), central: Sequence[tuple[int, bytes]] = ()
) -> bytes:
    """The archive with bytes written over in its first local and its first central header."""
    data = bytearray(packed)
    for start, patches in ((data.index(b"PK\x03\x04"), local), (data.index(b"PK\x01\x02"), central)):
        for offset, value in patches:
            data[start + offset : start + offset + len(value)] = value
    return bytes(data)


def flipped(packed: bytes, at: int) -> bytes:
    """The data with one byte changed."""
    return packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]


ZEROS = GOOD + "0" * (20 << 20)
STORED = archive(("1.csv", GOOD), ("2.csv", GOOD), method=zipfile.ZIP_STORED)
TWO = archive(("1.csv", ROWS), ("2.csv", GOOD))
BREAK = "data break here"

CASES = (
    Case("good.csv.gz", "gzip", gz(GOOD), {2: ("1", "x")}),
    Case(
        "bomb.csv.gz",
        "a gzip bomb",
        lambda path: path.write_bytes(gz(ZEROS)),
        {2: ("1", "x")},
        ((3, "200 times its size"),),
    ),
    Case(
        "bomb.jsonl.gz",
        "a gzip bomb of one object",
        lambda path: path.write_bytes(gz('{"a": 1}\n{"a": "' + "0" * (20 << 20))),
        {1: ("1", None)},
        ((2, "200 times its size"),),
    ),
    Case(
        "bomb.csv.bz2",
        "a bzip2 bomb",
        lambda path: path.write_bytes(bz2.compress(ZEROS.encode())),
        {2: ("1", "x")},
        ((3, "200 times its size"),),
    ),
    Case("cut.csv.gz", "a gzip that was cut", gz(ROWS)[:-4], 20_000, ((20_002, BREAK),)),
    Case("cut.csv.bz2", "a bzip2 that was cut", bz2.compress(GOOD.encode())[:-8], {2: ("1", "x")}, ((3, BREAK),)),
    Case(
        "crc.csv.gz",
        "a gzip whose checksum is wrong",
        flipped(gz(GOOD), len(gz(GOOD)) - 6),
        {2: ("1", "x")},
        ((3, "CRC check failed"),),
    ),
    Case("tail.csv.gz", "a gzip with something behind it", gz(GOOD) + b"junk", {2: ("1", "x")}, ((3, BREAK),)),
    Case("parts.csv.gz", "two gzips one behind the other", gz(GOOD) + gz("2,y\n"), {2: ("1", "x"), 3: ("2", "y")}),
    Case("empty.csv.gz", "a gzip of nothing", gz("")),
    Case("no_bytes.csv.gz", "no bytes", b"", refused="it is an empty .gz"),
    Case("no_bytes.csv.bz2", "no bytes", b"", refused="it is an empty .bz2"),
    Case("no_bytes.zip", "no bytes", b"", refused="it is an empty .zip"),
    Case(
        "lines.jsonl.gz",
        "lines that are no JSON between good ones",
        gz('{"a": 1}\nno\n{"a": 2,}\n{"a": 3}\n'),
        {1: ("1", None), 4: ("3", None)},
        ((2, "not one JSON object"), (3, "not one JSON object")),
    ),
    Case("zip.csv.gz", "a zip by another name", archive(("1.csv", GOOD)), refused="does not begin like one"),
    Case("text.zip", "text by another name", GOOD, refused="does not begin like one"),
    Case(
        "good.zip",
        "members of several formats",
        archive(("1.csv", GOOD), ("d/", ""), ("d/2.jsonl", '{"a": 2}'), ("3.xml", "<r><c><a>3</a></c></r>")),
        3,
    ),
    Case(
        "bomb.zip",
        "a zip bomb, and a member behind it",
        lambda path: path.write_bytes(archive(("1.csv", ZEROS), ("2.csv", GOOD))),
        2,
        ((3, "200 times its size"),),
    ),
    Case(
        "many.zip",
        "10,001 members",
        lambda path: path.write_bytes(archive(*((f"{n}.csv", "") for n in range(10_001)))),
        0,
        ((1, "10,001 members, allowed are 10,000"),),
    ),
    Case(
        "nested.zip",
        "a zip inside a zip",
        archive(("1.csv", GOOD), ("2.zip", archive(("3.csv", GOOD)))),
        1,
        ((0, "not declared: .zip"),),
    ),
    Case(
        "packed_member.zip",
        "a gzip inside a zip",
        archive(("1.csv.gz", gz(GOOD)), ("2.csv", GOOD)),
        1,
        ((0, "not declared: .gz"),),
    ),
    Case(
        "says_less.zip",
        "a member that is larger than it says",
        patched(
            archive(("1.csv", ROWS), ("2.csv", GOOD)),
            local=[(22, struct.pack("<I", 8))],
            central=[(24, struct.pack("<I", 8))],
        ),
        1,
        ((1, "Bad CRC-32"),),
    ),
    Case(
        "says_more.zip", "a member that says 4 GB", patched(TWO, central=[(24, struct.pack("<I", 0xFFFFFFF0))]), 20_001
    ),
    Case(
        "crc.zip",
        "a checksum that is wrong, and a member behind it",
        flipped(STORED, STORED.index(b"1,x")),
        1,
        ((1, "Bad CRC-32"),),
    ),
    Case("cut.zip", "a zip that was cut", TWO[:-100], 0, ((1, BREAK),)),
    Case(
        "method.zip",
        "a method of compression that is not known",
        patched(TWO, local=[(8, b"\x63\0")], central=[(10, b"\x63\0")]),
        1,
        ((0, BREAK),),
    ),
    Case(
        "encrypted.zip",
        "an encrypted member",
        patched(TWO, local=[(6, b"\1")], central=[(8, b"\1")]),
        1,
        ((0, "is encrypted"),),
    ),
    Case(
        "names.zip",
        "members whose names lead out",
        archive(
            ("../1.csv", GOOD),
            ("/etc/2.csv", GOOD),
            ("C:\\3.csv", GOOD),
            ("d/../../4.csv", GOOD),
            ("..\\5.csv", GOOD),
            ("6.csv", GOOD),
        ),
        1,
        ((0, "leads out of the archive"),) * 5,
    ),
    Case(
        "link.zip",
        "a member that is a link",
        archive(link("1.csv", "/etc/passwd"), ("2.csv", GOOD)),
        1,
        ((0, "is a link"),),
    ),
    Case("twice.zip", "two members of one name", archive(("1.csv", GOOD), ("1.csv", "a,b\n2,y\n")), 2),
    Case("no_members.zip", "a zip without a member", archive()),
    Case("prefixed.zip", "a zip behind something else", b"#!/bin/sh\n" + STORED, refused="does not begin like one"),
    Case(
        "entries.zip",
        "more members than are declared to be allowed",
        archive(*((f"{n}.csv", "") for n in range(6))),
        0,
        ((1, "6 members, allowed are 5"),),
        lot="declared",
    ),
)
