"""Workbooks that a password locks: a compound file around one stream that nobody can read without it."""

from typing import BinaryIO

COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")
ENTRY = 128  # bytes of an entry of the directory, which is aligned to them: a name in 64, then its length
NAME = "EncryptedPackage".encode("utf-16-le")
MARK = NAME.ljust(64, b"\0") + (len(NAME) + 2).to_bytes(2, "little")
CHUNK = 1 << 20
LOCKED = "the workbook is encrypted; drop a copy without its password"


def is_encrypted(stream: BinaryIO) -> bool:
    """Whether a stream, read from where it stands to its end, is a workbook that Excel encrypted."""
    chunk = stream.read(CHUNK)
    if not chunk.startswith(COMPOUND):
        return False
    while chunk:
        if any(chunk.startswith(MARK, place) for place in range(0, len(chunk), ENTRY)):
            return True
        chunk = stream.read(CHUNK)
    return False
