"""What is inside a packed file, as streams that stop at the declared limits. Nothing is ever written to a disk."""

import bz2
import gzip
import io
import posixpath
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lakeloop.ingestion.source_specs.files import Limits

PACKINGS = {"gz": "gzip", "bz2": "bzip2", "zip": "zip"}
# What readers raise on bytes that nobody foresaw; a ValueError is that of Arrow's streams and of half a character too.
BREAKS = (
    OSError, EOFError, zlib.error, zipfile.BadZipFile, struct.error, NotImplementedError, RuntimeError, ValueError,
    LookupError, ArithmeticError,
)  # fmt: skip
UNCHECKED_BYTES = 1 << 20  # small files compress as they like


class BombError(ValueError):
    """A packed file unpacks to more than its limits allow."""


@dataclass(frozen=True)
class Part:
    """A stream inside a file: `name` within an archive, "" for the file itself; `refused` says why it is not opened."""

    name: str
    stream: BinaryIO | io.BufferedReader
    refused: str | None = None


def parts_of(stream: BinaryIO, packing: str, packed_bytes: int, limits: Limits) -> Iterator[Part]:
    """The stream itself, or what it holds unpacked. Raises one of BREAKS where the packing is damaged."""
    if packing == "gz":
        yield Part("", _limited(gzip.GzipFile(fileobj=stream), packed_bytes, limits))
    elif packing == "bz2":
        yield Part("", _limited(bz2.BZ2File(stream), packed_bytes, limits))
    elif packing == "zip":
        # Python's reader asks a small archive for bytes before its start, which not every stream refuses as it expects.
        yield from _members(io.BytesIO(stream.read()) if packed_bytes < UNCHECKED_BYTES else stream, limits)
    else:
        yield Part("", stream)


def _members(stream: BinaryIO, limits: Limits) -> Iterator[Part]:
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if len(members) > limits.entries:
            raise BombError(f"the archive has {len(members):,} members, allowed are {limits.entries:,}")
        total = 0
        for member in members:
            if member.is_dir():
                continue
            total += member.file_size
            if total > limits.expanded_bytes:
                raise BombError(f"the archive unpacks to more than {limits.expanded_bytes:,} bytes")
            refused = _refused(member)
            if refused:
                yield Part(member.filename, io.BytesIO(), refused)
                continue
            try:
                inside = archive.open(member)
            except BREAKS as error:  # the members behind it may be whole
                yield Part(member.filename, io.BytesIO(), f"the zip data break here: {error}")
                continue
            with inside:
                yield Part(member.filename, _limited(inside, member.compress_size, limits))


def _refused(member: zipfile.ZipInfo) -> str | None:
    name = member.filename.replace("\\", "/")
    if posixpath.isabs(name) or ".." in name.split("/") or ":" in name.split("/", maxsplit=1)[0]:
        return "the member's name leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "the member is a link"
    if member.flag_bits & 1:
        return "the member is encrypted"
    return None


def _limited(stream: object, packed_bytes: int, limits: Limits) -> io.BufferedReader:
    return io.BufferedReader(_Limited(stream, packed_bytes, limits), 1 << 18)


class _Limited(io.RawIOBase):
    """Counts what is unpacked."""

    def __init__(self, stream: object, packed_bytes: int, limits: Limits) -> None:
        self.stream, self.packed, self.limits, self.unpacked = stream, max(packed_bytes, 1), limits, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # a buffer, as RawIOBase promises
        # Not `read`, which loses what it has unpacked where the data break.
        data = self.stream.read1(len(view))  # type: ignore[attr-defined]  # each unpacking stream has it
        self.unpacked += len(data)
        if self.unpacked > self.limits.expanded_bytes:
            raise BombError(f"it unpacks to more than {self.limits.expanded_bytes:,} bytes")
        if self.unpacked > UNCHECKED_BYTES and self.unpacked > self.packed * self.limits.ratio:
            raise BombError(f"it unpacks to more than {self.limits.ratio} times its size")
        view[: len(data)] = data
        return len(data)
