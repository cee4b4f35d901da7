"""Pages as files: one record a line, and an empty line where a record was read before, so that places stay."""

import re
from collections.abc import Sequence

from lakeloop.lake.storage import filesystem
from lakeloop.lake.storage_failures import storage_explained

HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def land(folder: str, number: int, records: Sequence[str]) -> str:
    """Write a page, by the same name each time, and give its path."""
    system, path = filesystem(folder)
    name = f"page-{number:06d}.jsonl"
    text = "".join(f"{record}\n" for record in records)
    # No encoding has half a surrogate pair, but an escape has; its record is malformed when it is read.
    text = HALF_A_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    with storage_explained(folder):
        system.create_dir(path, recursive=True)
        with system.open_output_stream(f"{path}/{name}") as stream:
            stream.write(text.encode())
    return f"{folder}/{name}"
