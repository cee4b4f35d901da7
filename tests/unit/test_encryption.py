"""Which workbooks count as encrypted."""

import io

import pytest

from lakeloop.ingestion.sources.files.encryption import CHUNK, COMPOUND, MARK, NAME, is_encrypted


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (COMPOUND.ljust(512, b"\0") + MARK, True),
        (COMPOUND.ljust(CHUNK + 128, b"\0") + MARK, True),
        (COMPOUND.ljust(512, b"\0") + b"x" + MARK, False),  # a text in a cell of an older workbook
        (COMPOUND.ljust(512, b"\0") + NAME, False),
        (b"PK".ljust(512, b"\0") + MARK, False),
        (COMPOUND, False),
        (b"", False),
    ],
)
def test_the_directory_of_a_compound_file_tells(content: bytes, found: bool) -> None:
    assert is_encrypted(io.BytesIO(content)) is found
